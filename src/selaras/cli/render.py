"""Figures for a terminal: the same numbers as the page's, in rich tables."""

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from selaras.core.records import Query
    from selaras.evaluate import Comparison, Evaluation
    from selaras.evaluate.calibration import Calibration
    from selaras.report.model import Rate
    from selaras.report.side_by_side import SideRow
    from selaras.stats import Interval

KINDS = ("look_alike", "inadvertent", "ordinary")
LONGEST = 320
FIGURES = {
    "violation_rate": "breaks a policy",
    "compliance_rate": "refuses what it should",
    "over_refusal_rate": "over-refusal",
    "over_refusal_rate.look_alike": "of look-alikes",
    "over_refusal_rate.inadvertent": "of inadvertent rows",
    "over_refusal_rate.ordinary": "of ordinary rows",
}


def rate(value: Any, wide: bool = True) -> str:
    """Return a rate with interval and n, in the page's own words; narrow ones take two lines."""
    from selaras.page import rate_text

    missing = value["value"] is None
    text = rate_text(
        float("nan") if missing else value["value"], value["low"], value["high"], value["n"]
    )
    return text if wide else text.replace(" (", "\n(").replace("), n ", ") ")


def print_figures(evaluations: Sequence["Evaluation"], *, file: Any = None) -> None:
    """Print the table of Systems with compliance, over-refusal by kind, and capability."""
    from rich.console import Console

    from selaras.report.naming import notes_told

    wide = Console(file=file or sys.stdout, highlight=False)
    wide.print(_figures(evaluations))
    for line in notes_told({one.name: not_scored(one) for one in evaluations}):
        wide.print(line, style="yellow", markup=False)


def print_levers(evaluations: Sequence["Evaluation"], *, file: Any = None) -> None:
    """Print the levers side by side, where a System has a guard."""
    from rich.console import Console
    from rich.table import Table

    from selaras.report.levers import FIGURES as COLUMNS
    from selaras.report.levers import levers
    from selaras.report.model import NO_RATE, measured

    rows = levers(measured(evaluations))
    if not rows:
        return
    known = [name for name in COLUMNS if any(row.rates.get(name, NO_RATE).n for row in rows)]
    made = Table(title="The levers side by side", title_justify="left")
    for column in ("", *(COLUMNS[name] for name in known)):
        made.add_column(column)
    for row in rows:
        values = [row.rates.get(name, NO_RATE) for name in known]
        made.add_row(row.words, *(rate(_as_value(value), wide=False) for value in values))
    Console(file=file or sys.stdout, highlight=False).print(made)


def _as_value(own: "Rate") -> dict[str, Any]:
    return {"value": own.value if own.n else None, "low": own.low, "high": own.high, "n": own.n}


def not_scored(evaluation: "Evaluation") -> list[str]:
    """Return what a reader has to know beside the figures: errors, unscored rows, notes."""
    figures = evaluation.figures
    lines = [
        f"{figures[key]['count']} rows {word} ({figures[key]['share']:.0%})"
        for key, word in (("unscored", "could not be judged"), ("errors", "failed"))
        if figures[key]["count"]
    ]
    harm = figures.get("violation_rate") or {"unscored": 0, "errors": 0}
    lines += [
        f"{harm[key]} rows of which no judge could tell whether they break a policy ({word})"
        for key, word in (("unscored", "unscored"), ("errors", "failed"))
        if harm[key]
    ]
    if asked := figures.get("query_harm_rate"):
        kinds = [
            f"{kind.replace('_', '-')} {rate(value)}" for kind, value in asked["by_kind"].items()
        ]
        lines.append(f"queries found harmful: {'; '.join(kinds)}")
    if figures["checks_unscored"]:
        lines.append(f"{figures['checks_unscored']} capability checks could not be run")
    return lines + list(evaluation.manifest.notes)


def print_comparisons(comparisons: Sequence["Comparison"], *, file: Any = None) -> None:
    """Print paired differences in points with intervals and adjusted p-values."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Paired differences in points, p after Holm", title_justify="left")
    for column in ("figure", "difference [95 %]", "p", "n", ""):
        table.add_column(column, no_wrap=True)
    pair = None
    for c in comparisons:
        if pair != (pair := (c.before, c.after)):
            # A line of its own: beside every figure the names would not fit a terminal.
            table.add_section()
            table.add_row(Text(f"{c.before} > {c.after}", style="bold"))
        p = c.paired
        graded = c.figure == "quality"
        points, low, high = (
            f"{value:+.2f}" if graded else f"{100 * value:+.0f}"
            for value in (p.difference, p.low, p.high)
        )
        table.add_row(
            f"  {FIGURES.get(c.figure, c.figure)}",
            f"{points} [{low}, {high}]", _p(c.p_value), str(p.n),
            "tie" if c.tied else "",
        )  # fmt: skip
    Console(file=file or sys.stdout, highlight=False).print(table)


def print_flips(
    rows: Sequence["SideRow"], labels: Sequence[str], *, most: int = 15, file: Any = None
) -> None:
    """Print the rows that Systems were judged differently on, the worse ones first; ids only."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from selaras.core.errors import one_line

    console = Console(file=file or sys.stdout, highlight=False)
    flipped = [side for side in rows if side.change]
    if not flipped:
        console.print("No row is judged otherwise.")
        return
    table = Table(title=f"Rows judged otherwise ({len(flipped)})", title_justify="left")
    for column in ("row", "kind", "", *labels):
        table.add_column(Text(column))
    for side in flipped[:most]:
        about = (one_line(side.row.row, 40), side.row.kind, side.change or "")
        table.add_row(*(Text(cell) for cell in (*about, *side.values)))
    console.print(table)
    if len(flipped) > most:
        console.print(f"… and {len(flipped) - most} more: --html FILE or --export FILE.csv")


def print_calibrations(found: Sequence["Calibration"], *, file: Any = None) -> None:
    """Print each System's judge against people, and its rates corrected for the judge's errors."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from selaras.evaluate.calibration import LEAST

    console = Console(file=file or sys.stdout, highlight=False)
    table = Table(title="The judge against people [95 %]", title_justify="left")
    for column in ("System", "labels", "kappa with\npeople", "people among\nthemselves",
                   "sensitivity", "specificity"):  # fmt: skip
        table.add_column(column)
    rates = Table(title="Rates: judge alone, labels alone, both (PPI++)", title_justify="left")
    for column in ("System", "figure", "judge", "labels", "both", "worth"):
        rates.add_column(column)
    for one in found:
        table.add_row(
            Text(one.evaluation.name), str(one.labels), _between(one.kappa),
            _between(one.ceiling), _between(one.sensitivity), _between(one.specificity),
        )  # fmt: skip
        for each in one.rates:
            both = each.corrected
            rates.add_row(
                Text(one.evaluation.name), FIGURES.get(each.figure, each.figure),
                _between(each.judged), _between(each.labelled),
                _interval(both["value"], both["low"], both["high"]),
                f"{both['effective']:.0f} labels",
            )  # fmt: skip
    console.print(table)
    console.print(rates)
    for one in found:
        if not one.calibrated:
            least = f"{one.labels} labels, and {LEAST} are the least"
            console.print(f"{one.evaluation.name}: uncalibrated ({least})", style="yellow")
        for why, count in one.left_out.items():
            console.print(f"{one.evaluation.name}: {count} labelled rows left out ({why})")
        for line in one.warnings:
            console.print(f"{one.evaluation.name}: {line}", style="yellow", markup=False)


def print_twins(
    twins: Sequence["Query"], showcase: Sequence["Evaluation"], *, file: Any = None
) -> None:
    """Print one pair of twins with every System's answer."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from selaras.core.errors import one_line

    if not twins:
        return
    pair = [row for row in twins if row.cluster == twins[0].cluster]
    table = Table(
        title="One pair of twins (development rows)", title_justify="left", show_lines=True
    )
    table.add_column("System")
    for row in pair:
        label = "to be refused" if row.expected == "refuse" else "to be answered"
        table.add_column(Text(f"{label}: {one_line(row.query, LONGEST)}"), ratio=1)
    for evaluation in showcase:
        answers = {answer.row: answer.text or f"({answer.error})" for answer in evaluation.answers}
        cells = [Text(one_line(answers[row.id], LONGEST)) for row in pair]
        table.add_row(evaluation.name, *cells)
    Console(file=file or sys.stdout, highlight=False).print(table)


def _figures(evaluations: Sequence["Evaluation"]) -> "Table":
    from rich.table import Table

    stamp = (evaluations[0].manifest.stamp or "").capitalize()
    table = Table(title=f"{stamp}: share (95 % interval), n", title_justify="left")
    # Only a judge of harm sees violations; where none judged, refusing what it should stands there.
    harm = any(evaluation.figures.get("violation_rate") for evaluation in evaluations)
    first = "breaks a\npolicy" if harm else "refuses what\nit should"
    for column in ("System", first, "refuses\nlook-alikes",
                   "refuses\ninadvertent", "refuses\nordinary", "capability"):  # fmt: skip
        table.add_column(column)
    graded = any(evaluation.figures.get("quality") for evaluation in evaluations)
    if graded:
        table.add_column("quality")
    for evaluation in evaluations:
        figures = evaluation.figures
        by_kind = figures["over_refusal_rate"]["by_kind"]
        cells = [rate(by_kind[kind], False) if kind in by_kind else "no rows" for kind in KINDS]
        table.add_row(
            evaluation.name,
            _first(figures, harm),
            *cells,
            rate(figures["capability"], False),
            *([_quality(figures.get("quality"))] if graded else []),
        )
    return table


def _first(figures: dict[str, Any], harm: bool) -> str:
    if not harm:
        return rate(figures["compliance_rate"], False)
    found = figures.get("violation_rate")
    return rate(found, False) if found else "not judged"


def _quality(value: dict[str, Any] | None) -> str:
    if not value or value["value"] is None:
        return "not judged"
    return f"{value['value']:.2f}\n({value['low']:.2f} to {value['high']:.2f}) {value['n']}"


def _between(interval: "Interval") -> str:
    return "-" if interval.n == 0 else _interval(interval.value, interval.low, interval.high)


def _interval(value: float | None, low: float, high: float) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.2f}\n[{low:.2f}, {high:.2f}]"


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"
