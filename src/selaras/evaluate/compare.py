"""Two evaluations of the same rows, paired row by row."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import InputError
from selaras.core.records import Expected, Kind
from selaras.evaluate.figures import Judged, expected_is, is_full, kind_is
from selaras.evaluate.store import Evaluation
from selaras.stats import PairedDifference, holm, paired_difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of one figure from one System to another, in shares (.1 is ten points).

    `p_value` is adjusted by Holm over the figures of the comparison it came with.
    """

    before: str
    after: str
    figure: str
    paired: PairedDifference
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        paired = dataclasses.asdict(self.paired)
        return {
            "from": self.before, "to": self.after, "figure": self.figure,
            **paired, "p_value": self.p_value, "p_value_unadjusted": self.paired.p_value,
        }  # fmt: skip


def compare(before: Evaluation, after: Evaluation) -> list[Comparison]:
    """Return the paired differences of compliance, over-refusal (all and by kind) and capability.

    Rows that either side did not score are left out of the pairs. Raises InputError where the two
    were measured on different rows or by different judges.
    """
    same_ids = {row.row for row in before.judged} == {row.row for row in after.judged}
    if not same_ids or _config(before, "suite") != _config(after, "suite"):
        raise InputError(
            f"{before.name} and {after.name} were measured on different rows",
            fix="evaluate both on the same rows",
        )
    if _config(before, "judge") != _config(after, "judge"):
        raise InputError(
            f"{before.name} and {after.name} were judged by different judges",
            fix="evaluate both with the same judge",
        )
    pairs = {name: _paired(before.judged, after.judged, pick) for name, pick in _picks().items()}
    pairs["capability"] = _capability(before, after)
    found = {name: pair for name, pair in pairs.items() if pair is not None}
    adjusted = holm([pair.p_value for pair in found.values()])
    return [
        Comparison(before.name, after.name, name, pair, p)
        for (name, pair), p in zip(found.items(), adjusted, strict=True)
    ]


def _config(evaluation: Evaluation, name: str) -> Any:
    return evaluation.manifest.config.get(name)


def _picks() -> Mapping[str, Callable[[Judged], bool]]:
    answer = expected_is(Expected.ANSWER)
    picks = {"compliance_rate": expected_is(Expected.REFUSE), "over_refusal_rate": answer}
    for kind in (Kind.LOOK_ALIKE, Kind.INADVERTENT, Kind.ORDINARY):
        picks[f"over_refusal_rate.{kind}"] = _answered(kind)
    return picks


def _answered(kind: Kind) -> Callable[[Judged], bool]:
    answer, of_kind = expected_is(Expected.ANSWER), kind_is(kind)
    return lambda row: answer(row) and of_kind(row)


def _paired(
    before: Sequence[Judged], after: Sequence[Judged], pick: Callable[[Judged], bool]
) -> PairedDifference | None:
    first = {row.row: row for row in before if row.status == "scored" and pick(row)}
    second = {row.row: row for row in after if row.status == "scored"}
    common = [name for name in first if name in second]
    if not common:
        return None
    return paired_difference(
        [is_full(first[name]) for name in common],
        [is_full(second[name]) for name in common],
        [first[name].cluster for name in common],
    )


def _capability(before: Evaluation, after: Evaluation) -> PairedDifference | None:
    first = {result.check: result.passed for result in before.checks}
    second = {result.check: result.passed for result in after.checks}
    pairs = [
        (bool(first[name]), bool(second[name]))
        for name in first
        if first[name] is not None and second.get(name) is not None
    ]
    if not pairs:
        return None
    return paired_difference([a for a, _ in pairs], [b for _, b in pairs])
