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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from selaras.core.fingerprint import fingerprint
from selaras.core.records import Conversation, Message
from selaras.policy import Policy, policy_text
from selaras.safeguard.normal import visible_tail
from selaras.safeguard.outcome import Material, Outcome, Score, Side, Stage

LOGGER = logging.getLogger("selaras.guard")
LONGEST = 1 << 20  # characters; what is longer is not checked in part, but an error
SEVERITIES = ("low", "medium", "high", "critical")
BLOCKED = "I can't help with this: it is against this product's rules ({title})."
FAILED = "This could not be checked, so it is not shown. Please try again."
OnFault = Literal["closed", "open"]


@dataclass(frozen=True, slots=True)
class Guard:
    """Stages, the policies that they speak of, and what happens when a stage fails.

    `messages` are what the user is shown when a policy blocks, by policy; a policy without one has
    its own `desired.message`, or a plain sentence with its title.
    """

    name: str
    stages: tuple[Stage, ...]
    policies: Mapping[str, Policy] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    on_fault: OnFault = "closed"

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
        """Return the outcome of each material, in their order."""
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
        own = self.messages.get(policy or "")
        if own is not None:
            return own
        found = self.policies.get(policy or "")
        if found is not None and found.desired.message:
            return found.desired.message
        return BLOCKED.format(title=found.title if found else policy or "its policy")

    def _outcome(self, side: Side, scores: Sequence[Score], faults: Sequence[str]) -> Outcome:
        kept, failed = tuple(scores), tuple(faults)
        blocking = [score for score in scores if score.blocks]
        if blocking:
            score = max(blocking, key=self._weight)
            return Outcome(
                "block", side, score.policy, score.value, score.threshold, score.stage,
                score.reason, self.message(score.policy), scores=kept, faults=failed,
            )  # fmt: skip
        if failed and self.on_fault == "closed":
            stage = failed[0].partition(":")[0]
            return Outcome(
                "error", side, stage=stage, reason=failed[0], message=FAILED,
                scores=kept, faults=failed,
            )  # fmt: skip
        nearest = max(scores, key=lambda score: score.value - score.threshold, default=None)
        reason = f"failed open: {failed[0]}" if failed else ""
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
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here must close the gate
        if len(materials) > 1:
            # One text must not take the others with it.
            return [each for material in materials for each in _checked(stage, [material])]
        LOGGER.warning("guard stage %s failed: %s", stage.name, type(error).__name__)
        return [f"{stage.name}: {type(error).__name__}"]
    if len(found) != len(materials):
        return [f"{stage.name}: answered {len(found)} of {len(materials)} texts"] * len(materials)
    bad = [any(score.value != score.value for score in own) for own in found]
    return [f"{stage.name}: a score is not a number" if nan else own
            for own, nan in zip(found, bad, strict=True)]  # fmt: skip


def _asks_for_more(scores: Sequence[Score], faults: Sequence[str]) -> bool:
    return bool(faults) or not scores or any(score.unsure for score in scores)
