"""`selaras compare --html`: Systems side by side, row by row, flips first, with filters."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from selaras.core.records import Expected, Query
from selaras.evaluate import Evaluation
from selaras.evaluate.cells import compare_cells
from selaras.evaluate.compare import changed_between
from selaras.evaluate.flips import rank_of
from selaras.page import (
    Child,
    Filters,
    Markup,
    element,
    filters,
    join,
    page,
    signed_points,
    table,
    untrusted,
)
from selaras.report import html_figures
from selaras.report.html_showcase import VERDICTS, WISHES
from selaras.report.model import Measured, measured
from selaras.report.naming import notes_told
from selaras.report.side_by_side import SideRow, side_by_side

MOST_ROWS = 3000
LONGEST = 1500
CHANGES = {"worse": "worse", "better": "better", "other": "judged otherwise"}
_FACETS: dict[str, Callable[[SideRow], tuple[str, ...]]] = {
    "Change": lambda side: (CHANGES[side.change] if side.change else "the same",),
    "Policy": lambda side: side.row.policies or ("no policy",),
    "Kind": lambda side: (side.row.kind.replace("_", "-"),),
    "Use case": lambda side: (side.row.use_case or "none",),
    "Text": lambda side: ("shown" if side.query else "not shown",),
}
STYLE = """
.side { border-top: 1px solid var(--rule); padding: .9rem 0; break-inside: avoid; }
.side h3 { margin: 0 0 .3rem; font: 600 .95rem/1.5 var(--sans); overflow-wrap: anywhere; }
.side .answers { display: grid; gap: .6rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); }
.side .answers > div { min-width: 0; }
.side .answers p { margin: .1rem 0; }
"""


def render_comparison(
    evaluations: Sequence[Evaluation], texts: Mapping[str, Query], product: str
) -> str:
    """Return the comparison as one HTML page that loads and runs nothing.

    `texts` are the rows that may be shown. Raises InputError where the evaluations do not compare.
    """
    found = measured(evaluations)
    rows = side_by_side(found.evaluations, texts)
    shown = rows[:MOST_ROWS]
    facets = filters({name: [of(side) for side in shown] for name, of in _FACETS.items()}, "side")
    warned = [element("p", text, class_="warning") for text in _warnings(found)]
    figures = [html_figures.main_table(found, {})]
    if found.comparisons:
        figures.append(html_figures.differences(found))
    figures += [_cells(found, number) for number in range(1, len(found.lines))]
    body = join(
        [
            *warned,
            _section("figures", "The figures", join(figures)),
            _section("rows", "Row by row", _rows(found, rows, shown, facets)),
        ]
    )
    names = " and ".join(line.label for line in found.lines)
    lede = f"{found.stamp.capitalize()}: {len(rows):,} rows, {_flipped(rows):,} judged otherwise"
    nav = [element("li", element("a", title, href=f"#{name}"))
           for name, title in (("figures", "The figures"), ("rows", "Row by row"))]  # fmt: skip
    return page(
        f"{product}: {names}",
        body,
        lede=lede,
        nav=element("ul", *nav),
        footer="Made by Selaras. This page loads nothing and runs nothing.",
        style=STYLE + facets.style,
    )


def _cells(found: Measured, number: int) -> Markup:
    """Return the cells in which a System differs from the first, by Holm over all of its cells."""
    first, other = found.lines[0], found.lines[number]
    cells = compare_cells(first.evaluation, other.evaluation)
    surely = [cell for cell in cells if not cell.tied]
    said = f"{first.label} → {other.label}: {len(surely)} of {len(cells)} cells differ"
    if not surely:
        return element("p", element("small", f"{said}; in none can they be told apart."))
    rows: list[list[Child]] = [
        [f"{cell.policy}, {cell.use_case}: {cell.kind.replace('_', '-')}",
         html_figures.FIGURES.get(cell.figure, cell.figure),
         f"{signed_points(cell.paired.difference)} ({signed_points(cell.paired.low)} to "
         f"{signed_points(cell.paired.high)})".replace(" points", ""),
         f"{html_figures.p_words(cell.p_value)}, n {cell.paired.n:,}"]
        for cell in surely
    ]  # fmt: skip
    heads = ["Cell", "Figure", "Difference in points", "After Holm over cells"]
    return table(heads, rows, caption=said)


def opened(evaluations: Sequence[Evaluation], texts: Mapping[str, Query]) -> Markup:
    """Return the rows that were opened, with every System's answer, for a report."""
    labels = [line.label for line in measured(evaluations).lines]
    only = [dataclasses.replace(one, judged=()) for one in evaluations]
    said = element(
        "p",
        "Sealed rows that were opened to be read, drawn by the seal and not by anybody. They are "
        "spent: no figure above counts them.",
    )
    return join([said, *(_side(side, "side", labels) for side in side_by_side(only, texts))])


def _rows(
    found: Measured,
    rows: Sequence[SideRow],
    shown: Sequence[SideRow],
    facets: Filters,
) -> Markup:
    labels = [line.label for line in found.lines]
    said = f"Those that changed from {labels[0]} come first, the worse ones before the better ones."
    sealed = sum(side.query is None for side in shown)
    if sealed and not found.held_out:
        said += (
            f" Of {sealed:,} rows no text is shown: they are sealed by now, or their file was "
            "changed or is not there any more."
        )
    elif sealed:
        said += (
            f" {sealed:,} rows are sealed: their text and the answers to them are not shown. Open "
            "some for reading with --open N; they then count in no figure any more."
        )
    parts: list[Child] = [element("p", said)]
    if len(shown) < len(rows):
        parts.append(element("p", f"The first {len(shown):,} of {len(rows):,} rows are shown; "
                             "the rest is in --export FILE.csv.", class_="note"))  # fmt: skip
    parts.append(facets.choices)
    parts += [_side(*pair, labels) for pair in zip(shown, facets.classes, strict=True)]
    return join(parts)


def _side(side: SideRow, class_: str, labels: Sequence[str]) -> Markup:
    row = side.row
    wish = WISHES[Expected(row.expected)] if row.expected else ""
    facts = [row.kind.replace("_", "-"), wish, *row.policies, row.use_case or ""]
    change = {"worse": "bad", "better": "good"}.get(side.change or "", "muted")
    tag = element("span", CHANGES[side.change], class_=change) if side.change else None
    head = element("h3", untrusted(row.row, 200), " " if tag else None, tag)
    about = element("p", element("small", " · ".join(fact for fact in facts if fact)))
    asked = _asked(side.query) if side.query else None
    answers = [_answer(side, place, label) for place, label in enumerate(labels)]
    whole = [head, about, asked, element("div", *answers, class_="answers")]
    return element("article", *whole, class_=class_)


def _asked(query: Query) -> Markup:
    said: list[tuple[str, str]] = [(turn.role, turn.content) for turn in query.turns]
    said += [("", query.query), *query.context.items()]
    return element("blockquote", *(
        element("p", element("small", f"{name}: ") if name else None, untrusted(text, LONGEST))
        for name, text in said
    ))  # fmt: skip


def _answer(side: SideRow, place: int, label: str) -> Markup:
    refusal, _, harm = side.values[place].partition(", ")
    value = ", ".join(filter(None, [VERDICTS.get(refusal, refusal), harm]))
    rank = rank_of(side.judged[place])
    class_ = "muted" if rank in {None, 1} else "good" if rank == 2 else "bad"
    head = element("p", element("b", label), " ", element("small", value, class_=class_))
    answer = side.answers[place] if side.answers else None
    if answer is None:
        return element("div", head)
    if answer.error is not None:
        text: Child = join(["no answer: ", untrusted(answer.error, 300)])
    else:
        text = untrusted(answer.text, LONGEST) if answer.text.strip() else "an empty answer"
    return element("div", head, element("p", text))


def _warnings(found: Measured) -> list[str]:
    notes = notes_told({line.label: line.evaluation.manifest.notes for line in found.lines})
    return [*changed_between(found.evaluations), *notes]


def _flipped(rows: Sequence[SideRow]) -> int:
    return sum(side.change is not None for side in rows)


def _section(name: str, title: str, content: Child) -> Markup:
    return element("section", element("h2", title, id=f"{name}-title"), content, id=name,
                   aria_labelledby=f"{name}-title")  # fmt: skip
