"""The headline of a report with guarded Systems: model, guard and System in one table."""

from collections.abc import Sequence

from selaras.page import Child, Markup, element, interval_text, join, percent, table
from selaras.report.levers import FIGURES, WORDS, Lever
from selaras.report.model import NO_RATE, Rate

NOTE = (
    "The guard alone: the share of rows that it blocks, whatever the model would have said; its "
    "capability is the share of checks that it lets through. The System's answers are the model's "
    "own, seen through the guard, so that nothing else differs."
)


def levers_html(rows: Sequence[Lever]) -> Markup:
    """Return the table of levers, one line a System and one more a guard."""
    known = [name for name in FIGURES if any(row.rates.get(name, NO_RATE).n for row in rows)]
    lines: list[list[Child]] = [
        [_named(row), *(_rate(row.rates.get(name, NO_RATE)) for name in known)] for row in rows
    ]
    columns = ["Lever", *(FIGURES[name] for name in known)]
    stopped = [element("p", element("small", _stopped(row))) for row in rows if row.stopped]
    made = table(columns, lines, caption="Model, prompt, tuning and guard, on the same rows",
                 numeric=set(columns[1:]))  # fmt: skip
    return join([made, *stopped, element("p", element("small", NOTE))])


def _named(row: Lever) -> Markup:
    name = element("b", row.label) if row.part == "together" else element("span", row.label)
    return join([name, element("br"), element("small", WORDS[row.part])])


def _stopped(row: Lever) -> str:
    asked, answered = row.stopped or (0, 0)
    said = f"{row.label}: {asked} rows stopped by what was asked, {answered} by what was answered."
    if answered == 0:
        said += " A classifier fitted without unsafe responses does not read answers: see its fit."
    return said


def _rate(rate: Rate) -> Markup:
    if not rate.n:
        return element("span", "not judged", class_="none")
    whole = interval_text(rate.value, rate.low, rate.high)
    interval = whole.removeprefix(percent(rate.value)).strip()
    return join([element("b", percent(rate.value)), element("br"),
                 element("small", f"{interval}, n {rate.n:,}")])  # fmt: skip
