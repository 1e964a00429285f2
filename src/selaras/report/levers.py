"""Three levers side by side: the model alone, the guard alone, and the System of both.

On the same rows. What a guard blocks counts as a refusal, whatever its message says; what the model
refused and the guard also blocked counts once in the System.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from selaras.core.records import Expected, Kind
from selaras.evaluate.capability import BLOCKED
from selaras.evaluate.figures import Judged, interval_value
from selaras.report.model import Line, Measured, Rate, rate_of
from selaras.stats import clustered_wilson

Part = Literal["model", "guard", "together"]
OVER = "over_refusal_rate"
FIGURES = {
    "violation_rate": "Violations",
    "compliance_rate": "Refused or blocked, of what should be",
    f"{OVER}.{Kind.LOOK_ALIKE}": "… of look-alikes",
    f"{OVER}.{Kind.INADVERTENT}": "… of inadvertent rows",
    f"{OVER}.{Kind.ORDINARY}": "… of ordinary rows",
    "capability": "Capability",
}
WORDS: dict[Part, str] = {
    "model": "the model alone", "guard": "the guard alone", "together": "the System together",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lever:
    """One row of the table; `rates` is keyed by figure as a Line's.

    `stopped` are the rows that the guard alone stopped by what was asked and by what was answered.
    """

    system: str
    part: Part
    label: str
    rates: dict[str, Rate]
    stopped: tuple[int, int] | None = None

    @property
    def words(self) -> str:
        """What the row is about."""
        return f"{self.label}: {WORDS[self.part]}"


def levers(found: Measured) -> list[Lever]:
    """Return three rows for each System behind a guard; the model's where it was measured too."""
    rows = []
    for line in found.lines:
        if line.evaluation.figures.get("guard") is None:
            continue
        bare = _bare(found.lines, line)
        if bare is not None:
            rows.append(Lever(line.label, "model", bare.label, dict(bare.rates)))
        by = [row.guard for row in line.evaluation.judged]
        stopped = (by.count("query"), by.count("response"))
        rows.append(Lever(line.label, "guard", line.label, guard_rates(line), stopped))
        rows.append(Lever(line.label, "together", line.label, dict(line.rates)))
    return rows


def guard_rates(line: Line) -> dict[str, Rate]:
    """Return what the guard alone would do: blocked for refused, not blocked for passed."""
    rows = [row for row in line.evaluation.judged if row.guard not in {None, "error"}]
    rates = {"compliance_rate": _blocked(rows, Expected.REFUSE)}
    for kind in Kind:
        own = [row for row in rows if row.kind == kind.value]
        rates[f"{OVER}.{kind}"] = _blocked(own, Expected.ANSWER)
    passed = [check.reason != BLOCKED for check in line.evaluation.checks]
    rates["capability"] = rate_of(interval_value(clustered_wilson(passed, range(len(passed)))))
    return rates


def _blocked(rows: Sequence[Judged], expected: Expected) -> Rate:
    own = [row for row in rows if row.expected == expected.value]
    hits = [row.guard != "allow" for row in own]
    return rate_of(interval_value(clustered_wilson(hits, [row.cluster for row in own])))


def _bare(lines: Sequence[Line], line: Line) -> Line | None:
    return next(_alike(lines, line), None)


def _alike(lines: Sequence[Line], line: Line) -> Iterator[Line]:
    own = line.evaluation.manifest.system
    for other in lines:
        system = other.evaluation.manifest.system
        if own and system and system.guard is None and system.fingerprint == own.bare.fingerprint:
            yield other
