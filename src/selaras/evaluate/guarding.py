"""Answers behind a guard: what the model alone said, and what of it a user would see.

The model's answers are those of the System without its guard, so that the two differ in nothing but
the guard: no batch is composed otherwise, and none is made twice. What the guard decided is
journalled row by row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Conversation
from selaras.evaluate.runner import Answer, Job
from selaras.models.protocol import Model

BLOCK, ERROR = "block", "error"
CHUNK = 256


class Decided(Protocol):
    """What a guard says of one text (a `selaras.safeguard.Outcome`)."""

    @property
    def action(self) -> str: ...
    @property
    def policy(self) -> str | None: ...
    @property
    def score(self) -> float | None: ...
    @property
    def threshold(self) -> float | None: ...
    @property
    def stage(self) -> str | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def message(self) -> str: ...


class Guarding(Protocol):
    """A guard as an evaluation needs it."""

    @property
    def fingerprint(self) -> str:
        """Identity of all that decides an outcome."""
        ...

    def through(self, wrap: Callable[[Model], Model]) -> "Guarding":
        """Return the same guard, whose stages ask their models through `wrap`."""
        ...

    def asks(self, asked: Conversation, response: str) -> Sequence[tuple[Model, Conversation]]:
        """Return what its models are asked at most about a conversation and the response to it."""
        ...

    def check_queries(self, asked: Sequence[Conversation]) -> Sequence[Decided]:
        """Return the outcome of each conversation, in their order."""
        ...

    def check_responses(
        self, asked: Sequence[Conversation], responses: Sequence[str]
    ) -> Sequence[Decided]:
        """Return the outcome of each response, in their order."""
        ...


def guarded_answers(
    guard: Guarding, job: Job, answers: Sequence[Answer], journal: Journal,
    progress: Progress = SILENT, title: str = "guarding",
) -> list[Answer]:  # fmt: skip
    """Return the answers as a user behind the guard sees them, in their order.

    A blocked one is the guard's message, with what was decided in `guard`; what could not be
    checked is an error.
    """
    keys = [
        fingerprint(["guard", guard.fingerprint, job.system, row.id, row.fingerprint, answer.text])
        for row, answer in zip(job.rows, answers, strict=True)
    ]
    with progress.task(title, len(keys)) as task:
        left = [i for i, key in enumerate(keys) if journal.get(key) is None]
        task.advance(len(keys) - len(left))
        for start in range(0, len(left), CHUNK):
            chunk = left[start : start + CHUNK]
            talks = [job.render(job.rows[i]) for i in chunk]
            for i, entry in zip(
                chunk, _entries(guard, talks, [answers[i] for i in chunk]), strict=True
            ):
                journal.add(keys[i], entry)
            task.advance(len(chunk))
    journal.sync()
    return [
        _seen(answer, journal.get(key) or {}) for answer, key in zip(answers, keys, strict=True)
    ]


def blocked_queries(guard: Guarding, talks: Sequence[Conversation]) -> list[bool]:
    """Return whether the guard keeps each conversation from the model."""
    return [outcome.action == BLOCK for outcome in guard.check_queries(talks)] if talks else []


def _entries(
    guard: Guarding, talks: Sequence[Conversation], answers: Sequence[Answer]
) -> list[dict[str, Any]]:
    """Return what the journal keeps: the decision, and the message where it is a block."""
    found = {
        i: _entry("query", each)
        for i, each in enumerate(guard.check_queries(talks))
        if each.action != "allow"
    }
    left = [i for i, answer in enumerate(answers) if i not in found and answer.status == "ok"]
    said = guard.check_responses([talks[i] for i in left], [answers[i].text for i in left])
    found |= {i: _entry("response", each) for i, each in zip(left, said, strict=True)}
    passed: dict[str, Any] = {"guard": {"action": "allow"}}
    return [found.get(i, passed) for i in range(len(answers))]


def _entry(side: str, outcome: Decided) -> dict[str, Any]:
    fact = {
        "action": outcome.action, "side": side, "policy": outcome.policy, "stage": outcome.stage,
        "score": outcome.score, "threshold": outcome.threshold, "reason": outcome.reason,
    }  # fmt: skip
    return {"guard": fact, **({"message": outcome.message} if outcome.action == BLOCK else {})}


def _seen(answer: Answer, entry: Mapping[str, Any]) -> Answer:
    fact = entry["guard"]
    if fact["action"] == BLOCK:
        return replace(answer, text=entry["message"], status="ok", finish="stop", error=None,
                       guard=fact)  # fmt: skip
    if fact["action"] == ERROR:
        return replace(
            answer, text="", status="error", error=f"guard: {fact['reason']}", guard=fact
        )
    return replace(answer, guard=fact)
