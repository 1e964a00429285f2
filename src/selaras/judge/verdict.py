"""One judgement of one row, and what it takes to be a judge.

A judge that could not decide says `unscored`, one that broke says `error`; both carry a reason and
no value, so that neither is ever counted as a 0.
"""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Protocol, get_args

from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint

Axis = Literal["query_harm", "response_harm", "refusal", "helpfulness"]
Status = Literal["scored", "unscored", "error"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says of one response; `score` is in the judge's own unit, or None.

    Raises ValueError where value and status contradict each other.
    """

    value: str | None
    score: float | None = None
    status: Status = "scored"
    reason: str | None = None

    def __post_init__(self) -> None:
        _check(self.value, self.score, self.status, self.reason)


class Identified(Protocol):
    """What every judge has, whatever it needs to judge."""

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides a judgement (rules or model, prompt, policy, parser): JSON values."""
        ...

    @property
    def axis(self) -> Axis:
        """What is judged."""
        ...


class Judge(Identified, Protocol):
    """Judges one axis. A row that cannot be judged is a Judgement; a broken judge raises."""

    def judge(self, query: str, response: str) -> Judgement:
        """Return the judgement of a response to a query."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement of one row of one System.

    `system` is the System's fingerprint and `judge` that of the judge's identity.
    `policy_revision` maps the policies that were judged against to their revisions, and is None
    where the axis knows no policy. Raises ValueError where value and status contradict each other.
    """

    row: str
    system: str
    axis: Axis
    value: str | None
    score: float | None
    status: Status
    policy_revision: dict[str, int] | None
    judge: str
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.axis not in get_args(Axis):
            raise ValueError(f"the axis is one of {', '.join(get_args(Axis))}, not {self.axis!r}")
        _check(self.value, self.score, self.status, self.reason)

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values.

        >>> verdict = Verdict("r1", "s", "refusal", "full", None, "scored", None, "j")
        >>> Verdict.from_dict(verdict.to_dict()) == verdict
        True
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Any) -> "Verdict":
        """Return the verdict that `to_dict` wrote; raises InputError that names the wrong field."""
        if not isinstance(value, dict):
            raise InputError("a verdict is an object")
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(value) - set(known)):
            raise InputError("unknown field", field=str(unknown[0]))
        for name in known:
            if name not in value and name != "reason":
                raise InputError("missing", field=name)
            if not _IS[name](value.get(name)):
                raise InputError(f"not {value[name]!r}", field=name)
        try:
            return cls(**value)
        except ValueError as error:
            raise InputError(str(error)) from error


def verdict_of(
    judge: Identified,
    judgement: Judgement,
    *,
    row: str,
    system: str,
    policy_revision: dict[str, int] | None = None,
) -> Verdict:
    """Return a judgement as the verdict on a row of a System (its fingerprint)."""
    return Verdict(
        row=row,
        system=system,
        axis=judge.axis,
        value=judgement.value,
        score=judgement.score,
        status=judgement.status,
        policy_revision=policy_revision,
        judge=fingerprint(judge.identity),
        reason=judgement.reason,
    )


def _check(value: str | None, score: float | None, status: Status, reason: str | None) -> None:
    if status not in get_args(Status):
        raise ValueError(f"the status is one of {', '.join(get_args(Status))}, not {status!r}")
    if score is not None and not math.isfinite(score):
        raise ValueError("the score is not a finite number")
    if status == "scored" and value is None and score is None:
        raise ValueError("a scored judgement has a value or a score")
    if status != "scored" and (value is not None or score is not None):
        raise ValueError(f"a judgement that is {status} has neither value nor score")
    if status != "scored" and not reason:
        raise ValueError(f"a judgement that is {status} has a reason")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _number_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _revisions_or_none(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and all(isinstance(k, str) for k in value)
        and all(isinstance(n, int) and not isinstance(n, bool) for n in value.values())
    )


_IS = {
    "row": _text,
    "system": _text,
    "axis": _text,
    "value": _text_or_none,
    "score": _number_or_none,
    "status": _text,
    "policy_revision": _revisions_or_none,
    "judge": _text,
    "reason": _text_or_none,
}
