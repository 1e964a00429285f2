"""The guard: a cascade of stages over what is asked and what is answered.

Stages are asked in their order, cheapest first; a text that one of them blocks is not shown to the
next. A stage that fails makes the outcome `error` (fail closed), unless a stage that works blocks
the text anyway, or the guard was set to fail open; both are said in the outcome.

>>> from selaras.safeguard.rules import Rules, rule
>>> guard = Guard("shop", (Rules((rule("spoilers", "the butler did it"),)),))
>>> guard.check_response("Who was it?", "The But\\u200bler did it!").action
'block'
>>> guard.check_query("Who wrote it?").allowed
True
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from selaras.core.errors import BudgetSpentError
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Conversation, Message
from selaras.models.protocol import Model
from selaras.policy import Policy, policy_text
from selaras.safeguard.message import Wording
from selaras.safeguard.normal import visible_tail
from selaras.safeguard.outcome import (
    AskingStage,
    Material,
    Outcome,
    Score,
    Side,
    Stage,
    StaleError,
)

LOGGER = logging.getLogger("selaras.guard")
LONGEST = 1 << 20  # characters; what is longer is not checked in part, but an error
SEVERITIES = ("low", "medium", "high", "critical")
OnFault = Literal["closed", "open"]
OnUnread = Literal["error", "block", "allow"]


@dataclass(frozen=True, slots=True)
class Guard:
    """Stages, the policies that they speak of, and what happens when a stage fails.

    `wording` says what the user is shown. `on_unread` is what becomes of a text in which a stage
    met a script that it cannot read, where no other stage with scores read it.
    """

    name: str
    stages: tuple[Stage, ...]
    policies: Mapping[str, Policy] = field(default_factory=dict)
    wording: Wording = field(default_factory=Wording)
    on_fault: OnFault = "closed"
    on_unread: OnUnread = "error"

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides an outcome, as JSON values."""
        return {
            "stages": [stage.identity for stage in self.stages],
            "policies": {
                name: [policy.revision, fingerprint(policy_text(policy))]
                for name, policy in sorted(self.policies.items())
            },
            "messages": {name: self.message(name) for name in sorted(self.policies)},
            "on_fault": self.on_fault,
            "on_unread": self.on_unread,
        }

    @property
    def fingerprint(self) -> str:
        """Identity of everything but the name."""
        return fingerprint(self.identity)

    @property
    def hold(self) -> int:
        """Visible characters at the end of a growing response that no stage may let go yet."""
        own = [stage.hold for stage in self.stages if "response" in stage.sides]
        return max(own, default=0)

    @property
    def quick(self) -> bool:
        """Whether a check of a short text takes a millisecond or two and waits for nothing."""
        return all(stage.quick for stage in self.stages)

    def releasable(self, text: str) -> int:
        """Return how many characters of a growing response may leave, once they were checked.

        What a match may still grow over is held back: `hold` visible characters, however many
        invisible ones and spaces stand between them.
        """
        return visible_tail(text, self.hold)

    def through(self, wrap: Callable[[Model], Model]) -> "Guard":
        """Return the same guard, whose stages ask their models through `wrap` (to count calls)."""
        stages = [s.through(wrap) if isinstance(s, AskingStage) else s for s in self.stages]
        return replace(self, stages=tuple(stages))

    def asks(self, asked: Conversation, response: str) -> list[tuple[Model, Conversation]]:
        """Return what its models are asked at most about a conversation and the response to it."""
        both = (Material("query", given(asked), asked), Material("response", response, asked))
        return [
            pair
            for stage in self.stages
            if isinstance(stage, AskingStage)
            for material in both
            if material.side in stage.sides
            for pair in stage.asks(material)
        ]

    def check_query(self, asked: str | Conversation) -> Outcome:
        """Return the outcome of what the user gives: a text, or the conversation so far."""
        return self.check_queries([asked])[0]

    def check_response(
        self,
        asked: str | Conversation,
        response: str,
        arguments: Sequence[str] = (),
        final: bool = True,
    ) -> Outcome:
        """Return the outcome of a response, and of a tool call's `arguments` as texts of their own.

        `final` is False while the response is still growing.
        """
        talk = conversation_of(asked)
        texts = [response, *arguments]
        found = self.check([Material("response", text, talk, final) for text in texts])
        return worst(found)

    def check_queries(self, asked: Sequence[str | Conversation]) -> list[Outcome]:
        """Return the outcome of each conversation, in their order; stages read them in batches."""
        talks = [conversation_of(each) for each in asked]
        return self.check([Material("query", given(talk), talk) for talk in talks])

    def check_responses(
        self, asked: Sequence[str | Conversation], responses: Sequence[str]
    ) -> list[Outcome]:
        """Return the outcome of each response to its conversation, in their order."""
        pairs = zip(asked, responses, strict=True)
        return self.check(
            [Material("response", text, conversation_of(talk)) for talk, text in pairs]
        )

    def check(self, materials: Sequence[Material]) -> list[Outcome]:
        """Return the outcome of each material, in their order; in an empty one is nothing to check.

        No stage is asked about a text without any sign, and it is allowed.
        """
        begun = time.perf_counter()
        scores: list[list[Score]] = [[] for _ in materials]
        faults: list[list[str]] = [[] for _ in materials]
        for i, material in enumerate(materials):
            if len(material.text) > LONGEST:
                faults[i].append(f"guard: longer than {LONGEST} characters")
        for stage in self.stages:
            left = [
                i
                for i, material in enumerate(materials)
                if material.side in stage.sides
                and material.text.strip()
                and len(material.text) <= LONGEST
                and not any(score.blocks for score in scores[i])
                and (not stage.only_unsure or _asks_for_more(scores[i], faults[i]))
            ]
            for i, found in zip(left, _checked(stage, [materials[i] for i in left]), strict=True):
                if isinstance(found, str):
                    faults[i].append(found)
                else:
                    scores[i] += found
        seconds = (time.perf_counter() - begun) / max(1, len(materials))
        return [
            replace(self._outcome(material.side, own, failed), seconds=seconds)
            for material, own, failed in zip(materials, scores, faults, strict=True)
        ]

    def message(self, policy: str | None) -> str:
        """Return what the user is shown when the policy blocks."""
        return self.wording.blocked(policy, self.policies.get(policy or ""))

    def _outcome(self, side: Side, scores: Sequence[Score], faults: Sequence[str]) -> Outcome:
        kept, failed = tuple(scores), tuple(faults)
        blocking = [score for score in scores if score.blocks]
        unread = None if blocking else _unread(scores)
        if unread is not None and self.on_unread == "error":
            failed = (*failed, f"{unread.stage}: {unread.reason}")
        if blocking:
            score = max(blocking, key=self._weight)
            return Outcome(
                "block", side, score.policy, score.value, score.threshold, score.stage,
                score.reason, self.message(score.policy), scores=kept, faults=failed,
            )  # fmt: skip
        if failed and self.on_fault == "closed":
            stage = failed[0].partition(":")[0]
            message = self.wording.failed if unread is None else self.wording.unread
            return Outcome(
                "error", side, stage=stage, reason=failed[0], message=message,
                scores=kept, faults=failed,
            )  # fmt: skip
        if unread is not None and self.on_unread == "block":
            return Outcome(
                "block", side, None, unread.value, unread.threshold, unread.stage, unread.reason,
                self.wording.unread, scores=kept, faults=failed,
            )  # fmt: skip
        nearest = max(scores, key=lambda score: score.value - score.threshold, default=None)
        reason = f"failed open: {failed[0]}" if failed else unread.reason if unread else ""
        if failed:
            LOGGER.warning("guard %s let a %s through unchecked: %s", self.name, side, failed[0])
        if nearest is None:
            return Outcome("allow", side, reason=reason, faults=failed)
        return Outcome(
            "allow", side, nearest.policy, nearest.value, nearest.threshold, nearest.stage,
            reason, scores=kept, faults=failed,
        )  # fmt: skip

    def _weight(self, score: Score) -> tuple[int, float]:
        policy = self.policies.get(score.policy or "")
        severity = SEVERITIES.index(policy.severity) if policy else -1
        return severity, score.value - score.threshold


def conversation_of(asked: str | Conversation) -> Conversation:
    """Return a text as the conversation of one user's turn; a conversation as it is."""
    return (Message(role="user", content=asked),) if isinstance(asked, str) else tuple(asked)


def given(conversation: Conversation) -> str:
    """Return all that did not come from the product's author: every turn but the system's.

    A client presents the whole history and may have written the assistant's turns itself.
    """
    return "\n".join(turn.content for turn in conversation if turn.role != "system")


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the first block, else the first error, else the first outcome."""
    for action in ("block", "error"):
        for outcome in outcomes:
            if outcome.action == action:
                return outcome
    return outcomes[0]


def _checked(stage: Stage, materials: Sequence[Material]) -> list[tuple[Score, ...] | str]:
    """Return the scores of each material, or why there are none."""
    if not materials:
        return []
    try:
        found = stage.check(materials)
    except BudgetSpentError:
        raise  # nobody is answered: the run stops, which is no outcome of this text
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here must close the gate
        if len(materials) > 1:
            # One text must not take the others with it.
            return [each for material in materials for each in _checked(stage, [material])]
        why = error.what if isinstance(error, StaleError) else type(error).__name__
        LOGGER.warning("guard stage %s failed: %s", stage.name, why)
        return [f"{stage.name}: {why}"]
    if len(found) != len(materials):
        return [f"{stage.name}: answered {len(found)} of {len(materials)} texts"] * len(materials)
    bad = [any(score.value != score.value for score in own) for own in found]
    return [f"{stage.name}: a score is not a number" if nan else own
            for own, nan in zip(found, bad, strict=True)]  # fmt: skip


def _unread(scores: Sequence[Score]) -> Score | None:
    """Return the score of a stage that could not read the text, where no other stage did."""
    unread = [score for score in scores if score.unread]
    return unread[0] if unread and len(unread) == len(scores) else None


def _asks_for_more(scores: Sequence[Score], faults: Sequence[str]) -> bool:
    return bool(faults) or not scores or any(score.unsure for score in scores)
