"""What a guard says of one text: allow, block or error, by which policy, and what the user is told.

`error` is not `block`: something that should have checked could not. Neither is ever turned into
`allow`, unless the guard was set to let through what it cannot check; the outcome then says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from selaras.core.errors import InputError
from selaras.core.records import Conversation
from selaras.models.protocol import Model

Action = Literal["allow", "block", "error"]
Side = Literal["query", "response"]
SIDES: tuple[Side, ...] = ("query", "response")


class StaleError(InputError):
    """Raised where a stage was made for something else than what is here.

    A guard says its words in full: they hold nothing of the text that was checked.
    """


@dataclass(frozen=True, slots=True)
class Material:
    """A text to check: all that the user gave, or a response (or a tool call's arguments) to it.

    `conversation` is what the model was sent. `final` is False while a response is still growing: a
    match that touches its end may yet become something else, and does not count.
    """

    side: Side
    text: str = field(repr=False)
    conversation: Conversation = field(default=(), repr=False)
    final: bool = True


@dataclass(frozen=True, slots=True)
class Score:
    """What a stage says of one policy: it is against it from `threshold` on.

    Below `clear` the stage is sure that nothing is wrong; between the two a later stage that asks
    only where others are unsure (a policy judge) decides. `unread` says that the stage could not
    read the text, so that a value below the threshold means nothing.
    """

    stage: str
    policy: str | None
    value: float
    threshold: float
    reason: str
    clear: float | None = None
    unread: bool = False

    @property
    def blocks(self) -> bool:
        """Whether the score reaches the threshold."""
        return self.value >= self.threshold

    @property
    def unsure(self) -> bool:
        """Whether it lies between clear and blocked, or says nothing."""
        if self.blocks:
            return False
        return self.unread or (self.clear is not None and self.value >= self.clear)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The decision on one text.

    `policy`, `score`, `threshold`, `stage` and `reason` are those of what decided; all stages'
    `scores` are kept. `message` is what the product's user is shown in place of the text, empty
    where it is allowed. `faults` name the stages that failed, also where the guard fails open.
    `reason` and `faults` hold no text of the user or of the model.
    """

    action: Action
    side: Side
    policy: str | None = None
    score: float | None = None
    threshold: float | None = None
    stage: str | None = None
    reason: str = ""
    message: str = ""
    seconds: float = 0.0
    scores: tuple[Score, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the text may pass."""
        return self.action == "allow"

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return asdict(self)


class Stage(Protocol):
    """One part of the cascade: rules, a classifier, a probe, a judge.

    `hold` is how many visible characters at the end of a growing response a match of this stage may
    still need; 0 where it reads no characters. `only_unsure` stages are asked only where an earlier
    stage was unsure. What cannot be checked raises: the guard makes an error of it.
    """

    @property
    def name(self) -> str:
        """A short name: `rules`, `classifier`, `probe`, `judge`."""
        ...

    @property
    def sides(self) -> frozenset[Side]:
        """Which sides it checks."""
        ...

    @property
    def hold(self) -> int:
        """How much of a growing response it holds back."""
        ...

    @property
    def only_unsure(self) -> bool:
        """Whether it is asked only where an earlier stage was unsure."""
        ...

    @property
    def quick(self) -> bool:
        """Whether a check of a short text takes a millisecond or two and waits for nothing."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides its scores, as JSON values."""
        ...

    def check(self, materials: Sequence[Material]) -> list[tuple[Score, ...]]:
        """Return the scores of each material, in their order: one a policy that it speaks of."""
        ...


@runtime_checkable
class AskingStage(Stage, Protocol):
    """A stage that asks a model about each text: calls that somebody may pay for."""

    def through(self, wrap: Callable[[Model], Model]) -> Stage:
        """Return the stage that asks its model through `wrap`."""
        ...

    def asks(self, material: Material) -> Sequence[tuple[Model, Conversation]]:
        """Return what the model is asked about a material."""
        ...
