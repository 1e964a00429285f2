"""The figures' part of a report: the table, the plot, kinds, differences, cells, criteria."""

import math
from collections.abc import Mapping, Sequence

from selaras.core.project import Gate
from selaras.evaluate import Comparison, GateState, gate_words
from selaras.evaluate.gate_words import state_words
from selaras.page import (
    BarRow,
    Child,
    HeatCell,
    Markup,
    Point,
    element,
    heat,
    interval_bars,
    interval_text,
    join,
    percent,
    signed_points,
    table,
    tradeoff,
)
from selaras.report.model import (
    KIND_WORDS,
    KINDS,
    NO_RATE,
    Line,
    Measured,
    figure_text,
    policy_rates,
    significant,
)

OVER = "over_refusal_rate"
COMPLIANCE = "compliance_rate"
FEWEST = 5
VIOLATIONS = "violation_rate"
FIGURES = {
    VIOLATIONS: "Violations",
    "quality": "Quality",
    COMPLIANCE: "Compliance",
    OVER: "Over-refusal",
    **{f"{OVER}.{kind}": KIND_WORDS[kind].removesuffix(" rows").capitalize() for kind in KINDS},
    "capability": "Capability",
}
ALWAYS = (COMPLIANCE, OVER, f"{OVER}.look_alike", f"{OVER}.ordinary", "capability")
MEANINGS = (
    "Violations: answers that break a policy, of those that a judge of harm was given; lower is "
    "better. Quality: the mean grade of 1 to 5, or the share of preferences over a baseline. "
    "Compliance: refused in full, of the rows that are to be refused; higher is better. "
    "Over-refusal: refused in full, of all rows that are to be answered; lower is better. It is "
    "shown by kind, because ordinary rows alone hide the damage: look-alikes are safe and sound "
    "unsafe, inadvertent rows are well-meant and may trigger. Capability: checks passed. Partial "
    "refusals are of the rows that are to be answered, unhelpful ones are refusals where a safe "
    "completion is due."
)
FULL_CELLS = {
    VIOLATIONS: "Violations",
    COMPLIANCE: "Compliance",
    OVER: "Over-refusal",
    "unhelpful_refusal": "Unhelpful refusal",
}
STATE_CLASSES = {"met": "good", "not met": "bad", "undecided": "muted"}


def main_table(found: Measured, seeds: Mapping[str, str]) -> Markup:
    """Return the figures, one line a System; `seeds` says by label what a tuned one rests on."""
    known = {name for line in found.lines for name, rate in line.rates.items() if rate.n}
    figures = [name for name in FIGURES if name in known or name in ALWAYS]
    rows: list[list[Child]] = [
        [_named(line, seeds), *(_rate(found, line, name) for name in figures)]
        for line in found.lines
    ]
    columns = ["System", *(FIGURES[name] for name in figures)]
    made = table(
        columns, rows, caption="Every System, measured on both sides", numeric=set(columns[1:])
    )
    note = f"Of {found.reference.rows:,} rows, n were scored. In brackets 95 % intervals; rows of "
    note += "one split group are one cluster."
    if len(found.lines) > 1:
        note += (
            f" ↑ and ↓ mark what lies above or below {found.reference.label} beyond the noise "
            "(p < .05 after Holm)."
        )
    folded = element("details", element("summary", "What the figures mean"), element("p", MEANINGS))
    return join([made, _note(note), folded])


def other_table(found: Measured) -> Markup:
    """Return what else was counted: partial and unhelpful refusals, what could not be judged."""
    columns = ["System", "Partial refusal", "Unhelpful refusal", "Unscored", "Failed"]
    asked = any(line.rate("query_harm_rate").n for line in found.lines)
    rows: list[list[Child]] = [
        [
            line.label,
            _rate(found, line, "partial_refusal_rate"),
            _rate(found, line, "unhelpful_refusal"),
            f"{line.unscored:,}",
            f"{line.errors:,}",
        ]
        for line in found.lines
    ]
    if asked:
        columns.append("Queries found harmful")
        for row, line in zip(rows, found.lines, strict=True):
            row.append(_rate(found, line, "query_harm_rate"))
    if any(line.checks_unscored for line in found.lines):
        columns.append("Checks unscored")
        for row, line in zip(rows, found.lines, strict=True):
            row.append(f"{line.checks_unscored:,}")
    return table(columns, rows, caption="What else was counted", numeric=set(columns[1:]))


def tradeoff_plot(found: Measured) -> Markup:
    """Return violations, or compliance where nobody judged them, against over-refusal: every System
    a point with its intervals.
    """
    points = []
    harm = all(line.rate(VIOLATIONS).n for line in found.lines)
    for line in found.lines:
        x, y = line.rate(OVER), line.rate(VIOLATIONS if harm else COMPLIANCE)
        points.append(Point(line.label, x.value, x.low, x.high, y.value, y.low, y.high))
    plot = tradeoff(
        points,
        x_label="Over-refusal: harmless rows refused",
        y_label="Violations: answers that break a policy"
        if harm
        else "Compliance: rows to be refused that were",
        x_better="low",
        y_better="low" if harm else "high",
        title=f"{'Violations' if harm else 'Compliance'} against over-refusal",
    )
    caption = (
        "Bars are 95 % intervals. Where they overlap, read no order into the points: the paired "
        "differences below decide."
    )
    return element("figure", plot, element("figcaption", caption))


def kind_bars(found: Measured, gates: Sequence[Gate]) -> Markup:
    """Return over-refusal by kind; a launch criterion on over-refusal is drawn as a line."""
    rows = [
        BarRow(KIND_WORDS[kind].capitalize(), line.label, rate.value, rate.low, rate.high, rate.n)
        for kind in KINDS
        if any(line.rate(f"{OVER}.{kind}").n for line in found.lines)
        for line in found.lines
        for rate in [line.rate(f"{OVER}.{kind}")]
    ]
    whole = [g for g in gates if not (g.policy or g.use_case or g.kind or g.versus)]
    limits = [g.at_most for g in whole if g.figure == OVER]
    limit = next((value for value in limits if value is not None), None)
    words = "" if limit is None else f"criterion over all kinds: at most {percent(limit)}"
    return interval_bars(
        rows, x_label="Harmless rows refused, by kind (lower is better)",
        title="Over-refusal by kind", threshold=limit, threshold_label=words,
    )  # fmt: skip


def differences(found: Measured) -> Markup:
    """Return the paired differences, one line a pair of Systems."""
    figures = [name for name in FIGURES if any(c.figure == name for c in found.comparisons)]
    pairs = dict.fromkeys((c.before, c.after) for c in found.comparisons)
    rows: list[list[Child]] = []
    for before, after in pairs:
        by_figure = found.between(before, after)
        name = f"{before}\u00a0→ {after}"
        rows.append([name, *(_difference(by_figure.get(figure)) for figure in figures)])
    columns = ["Systems", *(FIGURES[name] for name in figures)]
    made = table(columns, rows, caption="Paired differences", numeric=set(columns[1:]))
    return join([made, _note(
        "Row by row on the same rows, in percentage points (quality in its judge's own unit), with "
        "95 % intervals over clusters. "
        f"p-values are adjusted by Holm over all differences from {found.reference.label}, and "
        "apart from these over all between tuned Systems; in bold what may be spoken of "
        "(p < .05), the rest lies inside the noise.")])  # fmt: skip


def cells(found: Measured, titles: Mapping[str, str]) -> Markup:
    """Return the figures by policy, and folded away by policy, use case and kind."""
    by_line = {line.label: policy_rates(line) for line in found.lines}
    named = dict.fromkeys(policy for rates in by_line.values() for _, policy in rates)
    policies = sorted(named, key=[*titles, *(p for p in named if p not in titles)].index)
    parts: list[Child] = []
    for figure, caption in (
        (VIOLATIONS, "Violations by policy (lower is better)"),
        (COMPLIANCE, "Compliance by policy (higher is better)"),
        (OVER, "Over-refusal by policy (lower is better)"),
    ):
        grid = {
            (_policy(policy, titles), line.label): HeatCell(rate.value, rate.n, rate.low, rate.high)
            for policy in policies
            if any((figure, policy) in rates for rates in by_line.values())
            for line in found.lines
            for rate in [by_line[line.label].get((figure, policy), NO_RATE)]
        }
        if grid or figure != VIOLATIONS:
            parts.append(heat(grid, caption=caption, corner="Policy", fewest=FEWEST))
    judged = any(line.rate(VIOLATIONS).n for line in found.lines)
    inner = [
        _full_cells(found, figure, titles)
        for figure in FULL_CELLS
        if judged or figure != VIOLATIONS
    ]
    summary = element("summary", "Every cell: policy, use case and kind")
    return join([*parts, element("details", summary, *inner)])


def criteria(states: Mapping[str, Sequence[GateState]], budget: int) -> Markup:
    """Return the launch criteria with their state, one line a System."""
    gates = [state.gate for state in next(iter(states.values()), ())]
    if not gates:
        return element("p", "selaras.yaml names no launch criteria. Write some under ",
                       element("code", "gates"), " before you look at the figures.")  # fmt: skip
    rows: list[list[Child]] = [[label, *map(_state, own)] for label, own in states.items()]
    words = [gate_words(gate) for gate in gates]
    columns = ["System", *(w[0].upper() + w[1:] for w in words)]
    made = table(columns, rows, caption="What the exact bounds say")
    return join([made, _note(
        f"Exact bounds (Clopper-Pearson) of shares, Tango's with a continuity correction of paired "
        f"differences, at a level of .05 / {budget}, the look budget. Unscored and failed rows are "
        "taken at their worst. A criterion is met where the bound keeps it, not the share "
        "alone.")])  # fmt: skip


def _named(line: Line, seeds: Mapping[str, str]) -> Markup:
    """Return a System's name and, where it is tuned, on how many training seeds it rests."""
    told = seeds.get(line.label)
    return join([line.label, element("br"), element("small", told)] if told else [line.label])


def _rate(found: Measured, line: Line, name: str) -> Markup:
    rate = line.rate(name)
    if not rate.n:
        return element("span", "no rows", class_="none")
    comparison = found.between(found.reference.label, line.label).get(name)
    arrow = ""
    if comparison and significant(comparison):
        arrow = " ↑" if comparison.paired.difference > 0 else " ↓"
    whole = interval_text(rate.value, rate.low, rate.high)
    interval = whole.removeprefix(percent(rate.value)).strip()
    if name == "quality":
        interval = f"({figure_text(name, rate.low)} to {figure_text(name, rate.high)})"
    small = element("small", f"{interval}, n {rate.n:,}")
    return join([element("b", figure_text(name, rate.value), arrow), element("br"), small])


def _difference(comparison: Comparison | None) -> Markup:
    if comparison is None:
        return element("span", "no pairs", class_="none")
    paired = comparison.paired
    points, low, high = (
        f"{value:+.2f}" if comparison.figure == "quality"
        else signed_points(value).removesuffix(" points")
        for value in (paired.difference, paired.low, paired.high)
    )  # fmt: skip
    rest = element("small", f"({low} to {high})", element("br"),
                   f"{p_words(comparison.p_value)}, n {paired.n:,}")  # fmt: skip
    shown = element("b", points) if significant(comparison) else element("span", points)
    return join([shown, element("br"), rest])


def p_words(p: float) -> str:
    """Return a p-value as papers write it.

    >>> p_words(0.0004), p_words(0.0312), p_words(0.31), p_words(1.0)
    ('p < .001', 'p .031', 'p .31', 'p 1')
    """
    if p < 0.001:
        return "p < .001"
    if p >= 0.995:
        return "p 1"
    return f"p {p:.3f}".replace("0.", ".") if p < 0.1 else f"p {p:.2f}".replace("0.", ".")


def _note(text: str) -> Markup:
    """Return a line under a table; a caption's would scroll away with a wide one."""
    return element("p", element("small", text))


def _policy(name: str, titles: Mapping[str, str]) -> str:
    return titles.get(name, "No policy" if name == "-" else name)


def _full_cells(found: Measured, figure: str, titles: Mapping[str, str]) -> Markup:
    grid = {}
    for line in found.lines:
        for cell in line.evaluation.figures.get("cells", ()):
            if cell["figure"] == figure:
                policy = _policy(cell["policy"], titles)
                case = "" if cell["use_case"] == "-" else f", {cell['use_case']}"
                kind = str(cell["kind"]).replace("_", "-")
                value = math.nan if cell["value"] is None else cell["value"]
                name = f"{policy}{case}: {kind}"
                grid[name, line.label] = HeatCell(value, cell["n"], cell["low"], cell["high"])
    return heat(grid, caption=FULL_CELLS[figure], corner="Cell", fewest=FEWEST)


def _state(state: GateState) -> Markup:
    word = element("b", state.state, class_=STATE_CLASSES[state.state])
    small = [element("small", said) for said in state_words(state)]
    return join([word, element("br"), join(small, element("br"))])
