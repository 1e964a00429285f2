"""What judges are given, and the judges that need more than a query and a response."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from selaras.judge.question import Question, Reply
from selaras.judge.verdict import Axis, Judgement
from selaras.models.protocol import Model
from selaras.policy import Policy


@dataclass(frozen=True, slots=True)
class Case:
    """One response to judge: `query` is all that the user gave; `policy` as it holds for the row.

    `rubric` is the use case's own idea of a good answer, `baseline` another System's response to
    the same row; both are empty where there is none. `system` is the System's fingerprint.
    """

    row: str
    query: str = field(repr=False)
    response: str = field(repr=False)
    policy: Policy | None = None
    rubric: str = ""
    baseline: str = field(default="", repr=False)
    system: str = ""


@dataclass(frozen=True, slots=True)
class ModelJudge:
    """A judge that puts closed questions to a model; who asks them keeps the answers.

    `questions` gives the questions of a case, none where the case is not for this judge;
    `judgement` makes of their replies (in the same order) one judgement. A judge that is
    `by_policy` is given one case a policy.
    """

    identity: dict[str, Any]
    axis: Axis
    model: Callable[[], Model]
    questions: Callable[[Case], tuple[Question, ...]]
    judgement: Callable[[Sequence[Reply]], Judgement]
    by_policy: bool = False


@runtime_checkable
class CaseJudge(Protocol):
    """A judge of many cases at once: a classifier, or a reader of stored judgements.

    What it says nothing about (another policy, say) is None.
    """

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides a judgement, as JSON values."""
        ...

    @property
    def axis(self) -> Axis:
        """What is judged."""
        ...

    @property
    def by_policy(self) -> bool:
        """Whether it is given one case a policy."""
        ...

    def judge_cases(self, cases: Sequence[Case]) -> list[Judgement | None]:
        """Return a judgement a case, in their order."""
        ...
