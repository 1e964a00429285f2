"""Evaluations to the values that page and sentences are made of. Pure: nothing is read or written.

The first System is the reference. Two questions are asked, each a family of its own for Holm's
adjustment: how the others differ from the reference, and how tuned Systems differ from each other,
because which recipe to take is what tuning leaves open.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import InputError
from selaras.core.records import Expected, Kind
from selaras.evaluate import Comparison, Evaluation, compare
from selaras.evaluate.compare import check_alike
from selaras.evaluate.figures import breaks, interval_value, is_full
from selaras.page import percent
from selaras.stats import clustered_wilson, holm

# Look-alikes first: they are where an over-cautious System shows.
KINDS = (Kind.LOOK_ALIKE, Kind.INADVERTENT, Kind.ORDINARY, Kind.MALICIOUS)
KIND_WORDS = {
    Kind.LOOK_ALIKE: "look-alikes",
    Kind.INADVERTENT: "inadvertent rows",
    Kind.ORDINARY: "ordinary rows",
    Kind.MALICIOUS: "malicious rows",
}

_FIGURE_OF = {Expected.REFUSE.value: "compliance_rate", Expected.ANSWER.value: "over_refusal_rate"}


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its interval; the value is nan where no row was scored."""

    value: float
    low: float
    high: float
    n: int


NO_RATE = Rate(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """One System's figures. `rates` is keyed by figure, kinds as `over_refusal_rate.look_alike`."""

    label: str
    evaluation: Evaluation
    rates: Mapping[str, Rate]
    rows: int
    unscored: int
    errors: int
    checks_unscored: int

    def rate(self, figure: str) -> Rate:
        """Return the figure, or one of no rows."""
        return self.rates.get(figure, NO_RATE)

    @property
    def model(self) -> Mapping[str, Any]:
        """The model's identity."""
        return self.evaluation.manifest.system.model if self.evaluation.manifest.system else {}

    @property
    def tuned(self) -> bool:
        """Whether the model carries an adapter that was trained here."""
        return "adapter" in self.model or any(
            parent.startswith("tune-") for parent in self.evaluation.manifest.parents
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """Systems measured on the same rows by the same judge, and their paired differences."""

    lines: tuple[Line, ...]
    comparisons: tuple[Comparison, ...]
    stamp: str
    seal: str | None
    judge: Mapping[str, Any]

    @property
    def reference(self) -> Line:
        """The System that the others are compared with."""
        return self.lines[0]

    @property
    def evaluations(self) -> list[Evaluation]:
        """What the lines show, in their order."""
        return [line.evaluation for line in self.lines]

    @property
    def held_out(self) -> bool:
        """Whether sealed rows were measured."""
        return self.seal is not None

    def count(self, expected: Expected | None, kind: Kind | None = None) -> int:
        """Return how many rows are expected to be met so (None: nothing is said)."""
        return sum(
            row.expected == expected and (kind is None or row.kind == kind)
            for row in self.reference.evaluation.judged
        )

    def between(self, before: str, after: str) -> dict[str, Comparison]:
        """Return the comparisons from one System to another, by figure."""
        return {c.figure: c for c in self.comparisons if (c.before, c.after) == (before, after)}


def measured(evaluations: Sequence[Evaluation]) -> Measured:
    """Return the Systems of evaluations side by side; an evaluation given twice counts once.

    Raises InputError where there are none, or where they differ in rows, seal or judge: figures
    that do not compare must not stand in one table.
    """
    unique = list({evaluation.manifest.id: evaluation for evaluation in evaluations}.values())
    if not unique:
        raise InputError("nothing to report on", fix="name one or more finished evaluations")
    first = unique[0]
    for other in unique[1:]:
        check_alike(first, other)
    lines = tuple(map(_line, _labels(unique), unique))
    manifest = first.manifest
    return Measured(
        lines,
        tuple(_comparisons(lines)),
        manifest.stamp or ("held-out figures" if manifest.seal else "development figures"),
        manifest.seal,
        manifest.config.get("judge", {}),
    )


def comparisons(evaluations: Sequence[Evaluation]) -> list[Comparison]:
    """Return the paired differences of a report: what may be spoken of has a p-value under .05.

    Each System against the first, adjusted by Holm over all of these; then each tuned System
    against the later tuned ones, adjusted over all of those.
    """
    return list(measured(evaluations).comparisons)


def significant(comparison: Comparison | None) -> bool:
    """Return whether a difference may be spoken of (adjusted p under .05)."""
    return comparison is not None and not comparison.tied


def rate_of(value: Mapping[str, Any] | None) -> Rate:
    """Return a figure of a manifest as a Rate; null becomes nan."""
    if not value or not value.get("n") or value.get("value") is None:
        return NO_RATE
    return Rate(value["value"], value["low"], value["high"], value["n"])


def figure_text(figure: str, value: float) -> str:
    """Return a figure's value in words: a share in percent, quality in its judge's own unit.

    >>> figure_text("capability", 0.5), figure_text("quality", 3.254)
    ('50 %', '3.25')
    """
    return f"{value:.2f}" if figure == "quality" else percent(value)


def policy_rates(line: Line) -> dict[tuple[str, str], Rate]:
    """Return compliance, over-refusal and violations by (figure, policy); "-" is no policy."""
    found: dict[tuple[str, str], list[tuple[bool, str]]] = {}
    for row in line.evaluation.judged:
        figure = _FIGURE_OF.get(row.expected or "")
        for policy in row.policies or ("-",):
            if figure and row.status == "scored":
                found.setdefault((figure, policy), []).append((is_full(row), row.cluster))
        for policy in {name for verdict in row.harm for name in verdict.policy_revision or ()}:
            if (broken := breaks(row, policy)) is not None:
                found.setdefault(("violation_rate", policy), []).append((broken, row.cluster))
    return {
        key: rate_of(
            interval_value(clustered_wilson([hit for hit, _ in rows], [group for _, group in rows]))
        )
        for key, rows in found.items()
    }


def _labels(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return a name for each: the System's, with its fingerprint where two share one."""
    names = Counter(evaluation.name for evaluation in evaluations)
    labels = []
    for evaluation in evaluations:
        system = evaluation.manifest.system
        mark = system.fingerprint[:6] if system else evaluation.manifest.id[-4:]
        labels.append(
            evaluation.name if names[evaluation.name] == 1 else f"{evaluation.name}:{mark}"
        )
    if len(set(labels)) < len(labels):
        labels = [evaluation.manifest.id for evaluation in evaluations]
    return labels


def _line(label: str, evaluation: Evaluation) -> Line:
    figures = evaluation.figures
    rates = {
        name: rate_of(value)
        for name, value in figures.items()
        if isinstance(value, Mapping) and "n" in value
    }
    by_kind = figures.get("over_refusal_rate", {}).get("by_kind", {})
    rates |= {f"over_refusal_rate.{kind}": rate_of(value) for kind, value in by_kind.items()}
    return Line(
        label,
        evaluation,
        rates,
        rows=len(evaluation.judged),
        unscored=sum(row.status == "unscored" for row in evaluation.judged),
        errors=sum(row.status == "error" for row in evaluation.judged),
        checks_unscored=sum(check.passed is None for check in evaluation.checks),
    )


def _comparisons(lines: Sequence[Line]) -> list[Comparison]:
    reference, *others = lines
    tuned = [line for line in others if line.tuned]
    with_reference = [(reference, line) for line in others]
    between_tuned = [(a, b) for place, a in enumerate(tuned) for b in tuned[place + 1 :]]
    return [*_adjusted(with_reference), *_adjusted(between_tuned)]


def _adjusted(pairs: Sequence[tuple[Line, Line]]) -> list[Comparison]:
    found = [
        dataclasses.replace(comparison, before=before.label, after=after.label)
        for before, after in pairs
        for comparison in compare(before.evaluation, after.evaluation)
    ]
    # Not Holm upon Holm: `compare` adjusted each pair alone, here the whole family is.
    adjusted = holm([comparison.paired.p_value for comparison in found])
    return [dataclasses.replace(c, p_value=p) for c, p in zip(found, adjusted, strict=True)]
