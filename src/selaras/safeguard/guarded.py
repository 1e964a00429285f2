"""A guarded model: to everything else a model, whose every answer passed the guard.

A query that the guard blocks never reaches the model. What the guard did is a fact of the
Generation (`guard`), so that an evaluation need not read it out of the message.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selaras.core.records import Conversation
from selaras.core.system import Sampling
from selaras.models.protocol import Generation, Model
from selaras.safeguard.guard import Guard
from selaras.safeguard.outcome import Outcome


@dataclass(frozen=True, slots=True)
class GuardedModel:
    """A model behind a guard; make one with `guarded_model`."""

    model: Model
    guard: Guard

    @property
    def identity(self) -> dict[str, Any]:
        return {**self.model.identity, "guard": self.guard.fingerprint}

    @property
    def batch_size(self) -> int:
        return self.model.batch_size

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        """Yield one Generation a conversation: the model's, or the guard's message in its place.

        What could not be checked is a Generation of status error.
        """
        asked = self.guard.check_queries(conversations)
        open_ = [i for i, outcome in enumerate(asked) if outcome.allowed]
        for i, outcome in enumerate(asked):
            if not outcome.allowed:
                yield stopped(i, outcome)
        sent = [conversations[i] for i in open_]
        size = max(1, self.model.batch_size)
        waiting: list[Generation] = []
        for generation in self.model.generate(sent, sampling) if sent else ():
            waiting.append(generation)
            if len(waiting) >= size:
                yield from self._answered(waiting, open_, conversations)
                waiting = []
        yield from self._answered(waiting, open_, conversations)

    def _answered(
        self,
        generations: Sequence[Generation],
        numbers: Sequence[int],
        conversations: Sequence[Conversation],
    ) -> Iterator[Generation]:
        good = [each for each in generations if each.status == "ok"]
        talks = [conversations[numbers[each.index]] for each in good]
        outcomes = self.guard.check_responses(talks, [each.text for each in good])
        checked = dict(zip((each.index for each in good), outcomes, strict=True))
        for each in generations:
            outcome = checked.get(each.index)
            index = numbers[each.index]
            yield (
                replace(each, index=index)
                if outcome is None
                else passed(replace(each, index=index), outcome)
            )


def guarded_model(model: Model, guard: Guard) -> GuardedModel:
    """Return the model behind the guard."""
    return GuardedModel(model, guard)


def passed(generation: Generation, outcome: Outcome) -> Generation:
    """Return the generation where its outcome allows it, else what is said in its place."""
    if outcome.allowed:
        return replace(generation, guard=fact(outcome))
    return replace(
        stopped(generation.index, outcome),
        prompt_tokens=generation.prompt_tokens, tokens=generation.tokens, served=generation.served,
    )  # fmt: skip


def stopped(index: int, outcome: Outcome) -> Generation:
    """Return the Generation that stands in place of what was blocked or could not be checked."""
    if outcome.action == "block":
        return Generation(index, outcome.message, finish="stop", guard=fact(outcome))
    return Generation(
        index, "", status="error", error=f"guard: {outcome.reason}", guard=fact(outcome)
    )


def fact(outcome: Outcome) -> dict[str, Any]:
    """Return what an evaluation keeps of an outcome: no text, no times."""
    return {
        "action": outcome.action,
        "side": outcome.side,
        "policy": outcome.policy,
        "stage": outcome.stage,
        "score": outcome.score,
        "threshold": outcome.threshold,
        **({"faults": list(outcome.faults)} if outcome.faults else {}),
    }
