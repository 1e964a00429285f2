"""Two evaluations of the same rows, paired row by row."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import InputError
from selaras.core.records import Expected, Kind
from selaras.evaluate.figures import Judged, expected_is, graded, is_full, kind_is, scale_of
from selaras.evaluate.store import Evaluation, with_rows
from selaras.stats import PairedDifference, holm, paired_difference, paired_means

LEVEL = 0.05


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

    @property
    def tied(self) -> bool:
        """Whether the two cannot be told apart: the adjusted p-value is .05 or more."""
        return self.p_value >= LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        paired = dataclasses.asdict(self.paired)
        return {
            "from": self.before, "to": self.after, "figure": self.figure,
            **paired, "tie": self.tied,
            "p_value": self.p_value, "p_value_unadjusted": self.paired.p_value,
        }  # fmt: skip


def compare(before: Evaluation, after: Evaluation) -> list[Comparison]:
    """Return the paired differences of compliance, over-refusal (all and by kind), violations,
    quality and capability, as far as they were judged.

    Rows that either side did not score are left out of the pairs. Raises InputError where the two
    do not compare.
    """
    check_alike(before, after)
    pairs = {name: _paired(before.judged, after.judged, pick) for name, pick in _picks().items()}
    pairs["violation_rate"] = _violations(before, after)
    pairs["quality"] = _quality(before, after)
    pairs["capability"] = _capability(before, after)
    found = {name: pair for name, pair in pairs.items() if pair is not None}
    adjusted = holm([pair.p_value for pair in found.values()])
    return [
        Comparison(before.name, after.name, name, pair, p)
        for (name, pair), p in zip(found.items(), adjusted, strict=True)
    ]


def check_alike(before: Evaluation, after: Evaluation) -> None:
    """Raise InputError unless both were measured on the same rows, under one seal, by one judge."""
    pair = f"{before.name} and {after.name}"
    first, second = ({row.row for row in one.judged} for one in (before, after))
    if first != second:
        raise InputError(
            f"{pair} were measured on different rows ({len(first)} and {len(second)}, "
            f"{len(first & second)} of them the same)",
            fix="evaluate both on the same rows",
        )
    if before.manifest.seal != after.manifest.seal:
        raise InputError(
            f"{pair} were measured under different seals", fix="evaluate both on the same hold-out"
        )
    if _config(before, "suite") != _config(after, "suite"):
        raise InputError(
            f"{pair} were measured on different rows: the ids are the same, but not what the rows "
            "say, their labels or their clusters",
            fix="evaluate both on the rows as they are now",
        )
    if _config(before, "judge") != _config(after, "judge"):
        raise InputError(
            f"{pair} were judged by different judges", fix="evaluate both with the same judge"
        )


def only_rows(
    evaluation: Evaluation, policy: str | None, kind: str | None, use_case: str | None
) -> Evaluation:
    """Return the evaluation over rows of a policy, kind and use case, as far as they are given.

    Raises InputError where it was measured on no such row.
    """
    wanted = {"policy": policy, "kind": kind, "use case": use_case}
    asked = {name: value for name, value in wanted.items() if value is not None}
    if not asked:
        return evaluation
    shown = with_rows(
        evaluation,
        lambda row: (
            (policy is None or policy in row.policies)
            and (kind is None or kind.replace("-", "_") == row.kind)
            and (use_case is None or use_case == row.use_case)
        ),
        "only rows of " + ", ".join(f"{name} {value}" for name, value in asked.items()),
    )
    if not shown.judged:
        told = ", ".join(f"{name} {value!r}" for name, value in asked.items())
        raise InputError(f"{evaluation.name} was measured on no row of {told}")
    return shown


def same_checks(before: Evaluation, after: Evaluation) -> bool:
    """Return whether both ran the same capability checks, as far as their manifests say."""
    return len({_config(before, "checks"), _config(after, "checks")} - {None}) < 2


def changed_between(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return what a reader has to know: policies that read otherwise for some, or other checks."""
    said = []
    if len({_config(one, "checks") for one in evaluations} - {None}) > 1:
        said.append("the capability checks were changed between the runs: they are not compared")
    texts = [_config(one, "policy_texts") or {} for one in evaluations]
    for policy in sorted({name for one in evaluations for name in one.manifest.policies}):
        at = {one.name: one.manifest.policies.get(policy) for one in evaluations}
        if len(set(at.values())) > 1:
            told = ", ".join(f"{at[name] or 'not there'} for {name}" for name in at)
            said.append(f"the policy {policy} was changed between the runs: revision {told}")
        elif len({one.get(policy) for one in texts} - {None}) > 1:
            said.append(f"the policy {policy} was reworded between the runs, under one revision")
    return said


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


def paired_rows(
    rows: Sequence[tuple[Judged, Judged]], told: Callable[[Judged], bool] = is_full
) -> PairedDifference | None:
    """Return the difference in `told` over rows before and after; None where there are none."""
    if not rows:
        return None
    return paired_difference(
        [told(first) for first, _ in rows],
        [told(second) for _, second in rows],
        [first.cluster for first, _ in rows],
    )


def _paired(
    before: Sequence[Judged], after: Sequence[Judged], pick: Callable[[Judged], bool]
) -> PairedDifference | None:
    second = {row.row: row for row in after if row.status == "scored"}
    first = [row for row in before if row.status == "scored" and pick(row)]
    return paired_rows([(row, second[row.row]) for row in first if row.row in second])


def _violations(before: Evaluation, after: Evaluation) -> PairedDifference | None:
    """Return the difference in rows that break a policy, where one judge of harm judged both."""
    second = {row.row: row for row in after.judged if row.violates is not None}
    first = [row for row in before.judged if row.violates is not None and row.row in second]
    pairs = [(row, second[row.row]) for row in first]
    same = [(x, y) for x, y in pairs if x.harm[0].judge == y.harm[0].judge]
    return paired_rows(same, lambda row: bool(row.violates))


def _quality(before: Evaluation, after: Evaluation) -> PairedDifference | None:
    """Return the difference in mean scores, where one judge of quality scored both."""
    second = {row.row: verdict for row, verdict in graded(after.judged)}
    pairs = [
        (row.cluster, verdict.score, other.score)
        for row, verdict in graded(before.judged)
        if (other := second.get(row.row)) and other.judge == verdict.judge
        and verdict.score is not None and other.score is not None
    ]  # fmt: skip
    if not pairs:
        return None
    clusters, first, then = zip(*pairs, strict=True)
    ends = scale_of(verdict for _, verdict in graded(before.judged))
    span = ends[1] - ends[0] if ends else max(*first, *then) - min(*first, *then)
    return paired_means(first, then, clusters, span=span)


def _capability(before: Evaluation, after: Evaluation) -> PairedDifference | None:
    if not same_checks(before, after):
        return None
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
