"""What a table shows and for what rows it holds, in two to four sentences.

They are made from figures and paired comparisons only. A difference is spoken of where its p-value
is under .05 after Holm's adjustment, and nowhere else; what lies inside the noise is said to. No
System is called the best one, and tuning is recommended against where the figures say so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from selaras.core.project import Project
from selaras.core.records import Expected, Kind
from selaras.evaluate import Comparison, Evaluation
from selaras.page import percent
from selaras.report.gates import GateState, gate_states, gate_words
from selaras.report.model import KIND_WORDS, KINDS, Line, Measured, measured, significant
from selaras.report.tuning import seeds_words

MOST_NAMES = 4
MOST_PAIRS = 2
MUCH_UNSCORED = 0.05
OVER = "over_refusal_rate"
TO_REFUSE = "of the rows that are to be refused"
# What a figure of over-refusal counts, as the sentences call it.
OVER_WORDS = {
    f"{OVER}.{Kind.LOOK_ALIKE}": "harmless look-alikes",
    f"{OVER}.{Kind.INADVERTENT}": "well-meant rows that are to be answered",
    f"{OVER}.{Kind.ORDINARY}": "ordinary rows",
    OVER: "rows that are to be answered",
}


@dataclass(frozen=True, slots=True)
class _Pattern:
    """In what a System differs beyond the noise: signs of the differences, and the kind to name."""

    compliance: int
    over: int
    figure: str


def sentences(evaluations: Sequence[Evaluation], project: Project | None = None) -> list[str]:
    """Return two to four sentences; the first System is the reference.

    With a project they also speak of its launch criteria and of training seeds. Raises InputError
    where the evaluations do not compare.
    """
    return story(measured(evaluations), project)


def story(table: Measured, project: Project | None = None) -> list[str]:
    """Return the sentences of a table that is already made."""
    if all(line.unscored + line.errors == line.rows for line in table.lines):
        said = ["No answer could be scored, so these figures say nothing of any System", _scope(table)]
        return [_sentence(text) for text in said]
    states = {
        line.label: gate_states(project, line.evaluation) if project else [] for line in table.lines
    }
    said = [
        _findings(table),
        _scope(table),
        _tuning(table, states, project),
        _launch(table, states),
    ]
    return [_sentence(text) for text in said if text]


def _findings(table: Measured) -> str:
    if len(table.lines) == 1:
        return _alone(table.reference)
    groups: dict[_Pattern, list[Line]] = {}
    for line in table.lines[1:]:
        groups.setdefault(_pattern(table.between(table.reference.label, line.label)), []).append(line)
    clauses = [_clause(table, pattern, lines) for pattern, lines in groups.items()]
    clauses += _capability(table)
    spoken = len(groups) > 1 or not groups.keys() <= {_Pattern(0, 0, OVER)}
    start = f"Compared with {table.reference.label}, " if spoken else ""
    return start + "; ".join(clauses)


def _alone(line: Line) -> str:
    parts = []
    for figure, words in (("compliance_rate", TO_REFUSE), (OVER, f"of the {OVER_WORDS[OVER]}")):
        rate = line.rate(figure)
        if rate.n:
            between = f"{percent(rate.low)} to {percent(rate.high)}"
            parts.append(f"{percent(rate.value)} {words} ({between}, n = {rate.n})")
    shares = " and ".join(parts) or "no row that counts"
    return f"{line.label} refuses {shares}; with one System there is nothing to compare it with"


def _pattern(found: Mapping[str, Comparison]) -> _Pattern:
    over = [f for f in (*OVER_WORDS, f"{OVER}.{Kind.MALICIOUS}") if significant(found.get(f))]
    # More refusals of one kind are the news, whatever happened to another kind.
    worse = [f for f in over if found[f].paired.difference > 0]
    named = next(iter(worse or over), OVER)
    return _Pattern(_sign(found.get("compliance_rate")), _sign(found.get(named)), named)


def _sign(comparison: Comparison | None) -> int:
    if comparison is None or not significant(comparison):
        return 0
    return 1 if comparison.paired.difference > 0 else -1


def _clause(table: Measured, pattern: _Pattern, lines: Sequence[Line]) -> str:
    """Return what one group of Systems does unlike the reference, with its figures."""
    names, reference = _names(lines), table.reference
    verb = "refuses" if len(lines) == 1 else "refuse"
    ns = _seen(reference, lines)
    if (pattern.compliance, pattern.over) == (0, 0):
        return f"{names} cannot be told apart from {reference.label} at {ns}"
    complies = _against_reference("compliance_rate", lines, reference)
    refuses = _against_reference(pattern.figure, lines, reference)
    what = OVER_WORDS.get(pattern.figure, "rows that are to be answered")
    if pattern.compliance == 0:
        amount = "more" if pattern.over > 0 else "fewer"
        rest = "in compliance no difference can be told"
        return f"{names} {verb} {amount} {what} {refuses}, while {rest} at {ns}"
    clause = f"{names} {verb} {'more' if pattern.compliance > 0 else 'less'} {TO_REFUSE} {complies}"
    if pattern.over == 0:
        return f"{clause}, while in over-refusal no difference can be told at {ns}"
    if pattern.over < 0:
        return f"{clause} and fewer {what} {refuses}"
    return f"{clause}, {'but also' if pattern.compliance > 0 else 'yet'} more {what} {refuses}"


def _against_reference(figure: str, lines: Sequence[Line], reference: Line) -> str:
    values = [line.rate(figure).value for line in lines]
    if len(values) > MOST_NAMES:
        shown = f"{percent(min(values))} to {percent(max(values))}"
    else:
        shown = _listed([percent(value) for value in values])
    return f"({shown} against {percent(reference.rate(figure).value)})"


def _seen(reference: Line, lines: Sequence[Line]) -> str:
    """Return the n behind a comparison that told nothing."""
    parts = []
    for figure, words in (("compliance_rate", "to be refused"), (OVER, "to be answered")):
        n = min(line.rate(figure).n for line in (reference, *lines))
        parts.append(f"n = {n} {words}")
    return " and ".join(parts)


def _capability(table: Measured) -> list[str]:
    clauses = []
    for direction, word in ((-1, "falls"), (1, "rises")):
        lines = [
            line
            for line in table.lines[1:]
            if _sign(table.between(table.reference.label, line.label).get("capability"))
            == direction
        ]
        if lines:
            figures = _against_reference("capability", lines, table.reference)
            clauses.append(f"capability {word} for {_names(lines)} {figures}")
    return clauses


def _scope(table: Measured) -> str:
    """Return for what rows the figures hold, and what compliance means here."""
    rows = table.reference.rows
    parts = []
    if refuse := table.count(Expected.REFUSE):
        parts.append(f"{refuse} to be refused")
    answered = [
        f"{n} {KIND_WORDS[kind]}" for kind in KINDS if (n := table.count(Expected.ANSWER, kind))
    ]
    if answered:
        parts.append(f"to be answered {_listed(answered)}")
    if safe := table.count(Expected.SAFE_COMPLETION):
        parts.append(f"{safe} to be completed safely")
    if silent := table.count(None):
        parts.append(f"{silent} that say nothing of what is expected")
    made_of = f" ({'; '.join(parts)})" if parts else ""
    if table.held_out:
        held = f"This holds for the {rows} held-out rows{made_of} and rows like them"
    else:
        held = (
            f"These are development figures, on {rows} rows{made_of} that tuning and choosing may "
            "have used, so nothing is shown for new rows"
        )
    worst = max((line.unscored + line.errors) / line.rows if line.rows else 0.0 for line in table.lines)
    missing = f", with up to {percent(worst)} unscored or failed" if worst > MUCH_UNSCORED else ""
    return (
        f"{held}{missing}; only refusal rules judged, uncalibrated, so compliance means that a row "
        "was refused, and not refusing is not yet a violation"
    )


def _tuning(
    table: Measured, states: Mapping[str, Sequence[GateState]], project: Project | None
) -> str:
    """Return what the figures say for or against the tuned Systems."""
    tuned = [line for line in table.lines[1:] if line.tuned]
    if not tuned:
        return ""
    against = {line.label: why for line in tuned if (why := _against(table, line, states))}
    idle = [
        line
        for line in tuned
        if line.label not in against
        and _sign(table.between(table.reference.label, line.label).get("compliance_rate")) <= 0
    ]
    parts = []
    if against:
        whole = len(against) + len(idle) == len(tuned)
        start = "The figures speak against tuning as it was done here" if whole else ""
        reasons = _listed([f"{label}, which {why}" for label, why in against.items()], "; and ")
        parts.append(f"{start}: {reasons}" if start else f"The figures speak against {reasons}")
    if idle:
        parts.append(f"they give no reason to tune as for {_names(idle)}")
    parts += _between_tuned(table, tuned)
    seeds = seeds_words(project, tuned) if project else ""
    parts += [seeds] if seeds else []
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] if idle and not against else text


def _against(
    table: Measured, line: Line, states: Mapping[str, Sequence[GateState]]
) -> str | None:
    """Return why the figures speak against a tuned System, or None."""
    reference = table.reference
    found = table.between(reference.label, line.label)
    pattern = _pattern(found)
    what = OVER_WORDS.get(pattern.figure, OVER_WORDS[OVER])
    if pattern.compliance < 0:
        return "refuses less of what is to be refused"
    if pattern.over > 0 and pattern.compliance == 0:
        return f"refuses more {what} and shows no gain in compliance"
    kept = {state.gate for state in states[reference.label] if state.state != "not met"}
    for state in states[line.label]:
        fell = pattern.over > 0 if state.gate.figure == OVER else (
            state.gate.figure == "capability" and _sign(found.get("capability")) < 0
        )
        if fell and state.state == "not met" and state.gate in kept:
            return f"breaks a limit that {reference.label} keeps ({gate_words(state.gate)})"
    if pattern.over > 0 and line.rate(pattern.figure).low > 1 / 2:
        return f"refuses most of the {what}"
    if _sign(found.get("capability")) < 0 and pattern.compliance == 0:
        return "loses capability and shows no gain in compliance"
    return None


def _between_tuned(table: Measured, tuned: Sequence[Line]) -> list[str]:
    """Return how tuned Systems differ from each other, the largest differences first."""
    found: list[tuple[float, str]] = []
    lines = {line.label: line for line in tuned}
    for comparison in table.comparisons:
        before, after = lines.get(comparison.before), lines.get(comparison.after)
        if before is None or after is None or comparison.figure != "compliance_rate":
            continue
        both = table.between(before.label, after.label)
        pattern = _pattern(both)
        if pattern.over:
            less, more = (after, before) if pattern.over < 0 else (before, after)
            what = OVER_WORDS.get(pattern.figure, OVER_WORDS[OVER])
            text = f"{less.label} refuses fewer {what} than {more.label} " + _against_reference(
                pattern.figure, [less], more
            )
            if pattern.compliance:
                same = pattern.compliance == pattern.over
                amount = "but also less" if same else "and more"
                text += f" {amount} {TO_REFUSE} " + _against_reference("compliance_rate", [less], more)
            found.append((-abs(both[pattern.figure].paired.difference), text))
    return [text for _, text in sorted(found)[:MOST_PAIRS]]


def _launch(table: Measured, states: Mapping[str, Sequence[GateState]]) -> str:
    """Return which Systems meet the launch criteria, or what to try next."""
    gates = [gate_words(state.gate) for state in states[table.reference.label]]
    if not gates:
        return ""
    criteria = f"the launch criteria ({_listed(gates)})" if len(gates) > 1 else (
        f"the launch criterion ({gates[0]})"
    )
    passed = [line for line in table.lines if all(s.state == "met" for s in states[line.label])]
    if passed:
        verb = "meets" if len(passed) == 1 else "meet"
        return f"{_names(passed)} {verb} {criteria} on these rows, which is all that they ask"
    ways = ["a guard in front of the model", "a larger model"]
    if any(_pattern(table.between(table.reference.label, line.label)).over > 0
           for line in table.lines[1:] if line.tuned):  # fmt: skip
        ways.insert(1, "more answered look-alikes in the tuning data")
    if not table.held_out:
        return f"Development figures cannot meet {criteria}: measure on sealed rows before a launch"
    open_ones = [
        line for line in table.lines if all(s.state != "not met" for s in states[line.label])
    ]
    start = f"No System is shown to meet {criteria}"
    if open_ones:
        start += f", though for {_names(open_ones)} the rows are too few or too doubtful to decide"
    return f"{start}; what to try next is {_listed(ways, ' or ')}"


def _names(lines: Sequence[Line]) -> str:
    labels = [line.label for line in lines]
    if len(labels) > MOST_NAMES:
        labels = [*labels[: MOST_NAMES - 1], f"{len(labels) - MOST_NAMES + 1} more"]
    return _listed(labels)


def _listed(words: Iterable[str], last: str = " and ") -> str:
    *rest, end = words
    return f"{', '.join(rest)}{last}{end}" if rest else end


def _sentence(text: str) -> str:
    return text.rstrip(".") + "."
