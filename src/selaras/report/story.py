"""What a table shows and for what rows it holds, in two to four sentences.

They are made from figures and paired comparisons only. A difference is spoken of where its p-value
is under .05 after Holm's adjustment, and nowhere else; what lies inside the noise is said to. No
System is called the best one, and tuning is recommended against where the figures say so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selaras.core.project import Project
from selaras.core.records import Expected, Kind
from selaras.data import DEVELOPMENT_FIGURES
from selaras.evaluate import Comparison, Evaluation, GateState, gate_states, gate_words
from selaras.evaluate.calibration import calibration_of
from selaras.evaluate.gate import not_held_out, suite_of
from selaras.page import percent
from selaras.report.model import (
    KIND_WORDS,
    KINDS,
    Line,
    Measured,
    figure_text,
    measured,
    significant,
)
from selaras.report.naming import MOST_NAMES, listed, names_of
from selaras.report.tuning import seeds_told

MOST_PAIRS = 2
MUCH_UNSCORED = 0.05
OVER = "over_refusal_rate"
TO_REFUSE = "of the rows that are to be refused"
# What a figure of over-refusal counts, as the sentences call it; the first is spoken of first.
OVER_WORDS = {
    f"{OVER}.{Kind.LOOK_ALIKE}": "harmless look-alikes",
    f"{OVER}.{Kind.INADVERTENT}": "well-meant rows that are to be answered",
    f"{OVER}.{Kind.ORDINARY}": "ordinary rows",
    f"{OVER}.{Kind.MALICIOUS}": "malicious rows that are to be answered",
    OVER: "rows that are to be answered",
}


@dataclass(frozen=True, slots=True)
class _Lead:
    """The figure that the sentences begin with, in words; `better` is the sign of a gain in it."""

    figure: str
    name: str
    counted: str
    better: int


COMPLIANCE = _Lead("compliance_rate", "compliance", "rows to be refused", 1)
VIOLATIONS = _Lead("violation_rate", "violations", "answers judged for violations", -1)

States = Mapping[str, Sequence[GateState]]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """In what a System differs beyond the noise: signs of the differences, and the kind to name.

    `lead` is 1 for the better, -1 for the worse, whichever figure leads.
    """

    lead: int = 0
    over: int = 0
    figure: str = OVER
    quality: int = 0
    capability: int = 0

    @property
    def over_words(self) -> str:
        return OVER_WORDS[self.figure]


def sentences(evaluations: Sequence[Evaluation], project: Project | None = None) -> list[str]:
    """Return two to four sentences; the first System is the reference.

    With a project they also speak of its launch criteria and of training seeds. Raises InputError
    where the evaluations do not compare.
    """
    return story(measured(evaluations), project)


def story(table: Measured, project: Project | None = None) -> list[str]:
    """Return the sentences of a table that is already made."""
    states: States = {
        line.label: gate_states(project, line.evaluation, table.evaluations) if project else []
        for line in table.lines
    }
    if all(line.unscored + line.errors == line.rows for line in table.lines):
        said = ["no answer could be scored, so these figures say nothing of any System"]
        said += [_scope(table, project)]
    else:
        said = [_findings(table), _scope(table, project), _tuning(table, states, project)]
        said += [_launch(table, states)]
    return [_sentence(text) for text in said if text]


def _findings(table: Measured) -> str:
    lead = _lead(table)
    if len(table.lines) == 1:
        return _alone(table.reference, lead)
    groups: dict[_Pattern, list[Line]] = {}
    for line in table.lines[1:]:
        groups.setdefault(_pattern(table, table.reference, line), []).append(line)
    # What can be told comes before what cannot.
    ordered = sorted(groups.items(), key=lambda group: group[0] == _Pattern())
    clauses = [_clause(lead, table.reference, pattern, lines) for pattern, lines in ordered]
    start = "" if set(groups) == {_Pattern()} else f"compared with {table.reference.label}, "
    return start + "; ".join(clauses)


def _lead(table: Measured) -> _Lead:
    """Return what leads the sentences: violations where a judge of harm judged every System."""
    return VIOLATIONS if all(x.rate("violation_rate").n for x in table.lines) else COMPLIANCE


def _alone(line: Line, lead: _Lead) -> str:
    parts = []
    if lead is VIOLATIONS:
        parts.append(f"breaks a policy in {_share(line, 'violation_rate', 'of its answers')}")
    refused = [(OVER, f"of the {OVER_WORDS[OVER]}")]
    if lead is COMPLIANCE:
        refused.insert(0, ("compliance_rate", TO_REFUSE))
    shares = [_share(line, name, words) for name, words in refused if line.rate(name).n]
    if shares or not parts:
        parts.append(f"refuses {listed(shares) if shares else 'no row that counts'}")
    if line.rate("quality").n:
        parts.append(f"reaches a quality of {_share(line, 'quality', 'on average')}")
    return f"{line.label} {listed(parts)}; with one System there is nothing to compare it with"


def _share(line: Line, figure: str, words: str) -> str:
    rate = line.rate(figure)
    value, low, high = (figure_text(figure, number) for number in (rate.value, rate.low, rate.high))
    return f"{value} {words} ({low} to {high}, n = {rate.n})"


def _pattern(table: Measured, before: Line, after: Line) -> _Pattern:
    found = table.between(before.label, after.label)
    over = [figure for figure in OVER_WORDS if significant(found.get(figure))]
    # More refusals of one kind are the news, whatever happened to another kind.
    worse = [figure for figure in over if found[figure].paired.difference > 0]
    named = next(iter(worse or over), OVER)
    lead = _lead(table)
    return _Pattern(
        lead.better * _sign(found.get(lead.figure)), _sign(found.get(named)), named,
        _sign(found.get("quality")), _sign(found.get("capability")),
    )  # fmt: skip


def _sign(comparison: Comparison | None) -> int:
    if comparison is None or not significant(comparison):
        return 0
    return 1 if comparison.paired.difference > 0 else -1


def _clause(lead: _Lead, reference: Line, pattern: _Pattern, lines: Sequence[Line]) -> str:
    """Return what one group of Systems does unlike the reference, with its figures."""
    names, many = _names(lines), len(lines) > 1
    seen = _seen(lead, reference, lines)
    verb = "refuse" if many else "refuses"
    refuses = f"{pattern.over_words} {_figures(pattern.figure, lines, reference)}"
    clause = f"{names} {_led(lead, pattern, many)} {_figures(lead.figure, lines, reference)}"
    # With compliance the verb is said already: it refuses more of these, and fewer of those.
    again = f"{verb} " if lead is VIOLATIONS else ""
    if pattern.lead == 0 and pattern.over == 0:
        clause = f"{names} cannot be told apart from {reference.label} at {seen}"
    elif pattern.lead == 0:
        amount = "more" if pattern.over > 0 else "fewer"
        clause = f"{names} {verb} {amount} {refuses}, and in {lead.name} no difference can be told"
        clause += f" at {seen}"
    elif pattern.over == 0:
        clause += f", and in over-refusal no difference can be told at {seen}"
    elif pattern.over < 0:
        clause += f" and {again}fewer {refuses}"
    else:
        clause += f", {'but also' if pattern.lead > 0 else 'yet'} {again}more {refuses}"
    for figure, sign in (("quality", pattern.quality), ("capability", pattern.capability)):
        if sign:
            word = "rises" if sign > 0 else "falls"
            clause += f", and {figure} {word} {_figures(figure, lines, reference)}"
    return clause


def _led(lead: _Lead, pattern: _Pattern, many: bool) -> str:
    if lead is VIOLATIONS:
        amount = "fewer" if pattern.lead > 0 else "more"
        owner = "their" if many else "its"
        return f"{'break' if many else 'breaks'} a policy in {amount} of {owner} answers"
    return f"{'refuse' if many else 'refuses'} {'more' if pattern.lead > 0 else 'less'} {TO_REFUSE}"


def _figures(figure: str, lines: Sequence[Line], reference: Line) -> str:
    values = [line.rate(figure).value for line in lines]
    if len(values) > MOST_NAMES:
        shown = f"{figure_text(figure, min(values))} to {figure_text(figure, max(values))}"
    else:
        shown = listed([figure_text(figure, value) for value in values])
    return f"({shown} against {figure_text(figure, reference.rate(figure).value)})"


def _seen(lead: _Lead, reference: Line, lines: Sequence[Line]) -> str:
    """Return the n behind a comparison that told nothing."""
    first, answer = (
        min(line.rate(figure).n for line in (reference, *lines)) for figure in (lead.figure, OVER)
    )
    return f"n = {first} {lead.counted} and {answer} to be answered"


def _scope(table: Measured, project: Project | None) -> str:
    """Return for what rows the figures hold, and what compliance means here."""
    rows = table.reference.rows
    parts = [f"{n} to be refused"] if (n := table.count(Expected.REFUSE)) else []
    kinds = [(table.count(Expected.ANSWER, kind), KIND_WORDS[kind]) for kind in KINDS]
    if answered := [f"{n} {words}" for n, words in kinds if n]:
        parts.append(f"{listed(answered)} to be answered")
    if n := table.count(Expected.SAFE_COMPLETION):
        parts.append(f"{n} to be completed safely")
    if n := table.count(None):
        parts.append(f"{n} that do not say what is expected")
    made_of = f" ({'; '.join(parts)})" if parts else ""
    if table.held_out:
        held = f"this holds for the {rows} held-out rows{made_of} and rows like them"
        seen = [line for line in table.lines if not_held_out(line.evaluation)]
        held += f", which were not held out for {_names(seen)}" if seen else ""
    elif (suite := suite_of(table.reference.evaluation)) and table.stamp != DEVELOPMENT_FIGURES:
        held = f"these are figures on {suite}, {rows} rows{made_of}, and hold for rows like them"
    else:
        held = (
            f"these are development figures, on {rows} rows{made_of} that tuning and choosing may "
            "have used, so nothing is shown for new rows"
        )
    worst = max((line.unscored + line.errors) / max(line.rows, 1) for line in table.lines)
    if worst > MUCH_UNSCORED:
        held += f", with up to {percent(worst)} of a System's answers unscored or failed"
    return f"{held}; {_judged_by(table, project)}"


def _judged_by(table: Measured, project: Project | None) -> str:
    """Return who judged, and whether people's labels say how well."""
    state = {
        axis: "calibrated on people's labels"
        if project and all(_calibrated(project, line, axis) for line in table.lines)
        else "uncalibrated"
        for axis in ("refusal", "response_harm")
    }
    if _lead(table) is VIOLATIONS:
        return (
            f"violations are what a judge of the policies found, {state['response_harm']}; "
            f"refusals are judged apart, {state['refusal']}"
        )
    return (
        f"only refusal rules judged, {state['refusal']}, so compliance means that a row was "
        "refused, and not refusing is not yet a violation"
    )


def _calibrated(project: Project, line: Line, axis: str) -> bool:
    return bool((calibration_of(project, line.evaluation, axis) or {}).get("calibrated"))


def _tuning(table: Measured, states: States, project: Project | None) -> str:
    """Return what the figures say for or against the tuned Systems."""
    tuned = [line for line in table.lines[1:] if line.tuned]
    against = {line.label: why for line in tuned if (why := _against(table, line, states))}
    idle = [
        line
        for line in tuned
        if line.label not in against and not _gains(_pattern(table, table.reference, line))
    ]
    parts = []
    if against:
        whole = "tuning as it was done here: " if len(against) + len(idle) == len(tuned) else ""
        reasons = "; and ".join(f"{label}, which {why}" for label, why in against.items())
        parts.append(f"the figures speak against {whole}{reasons}")
    if idle:
        parts.append(f"the figures give no reason for the tuning of {_names(idle)}")
    parts += _between_tuned(table, tuned)
    if project and tuned and (seeds := seeds_told(project, tuned)):
        parts.append(seeds)
    return "; ".join(parts)


def _against(table: Measured, line: Line, states: States) -> str | None:
    """Return why the figures speak against a tuned System, or None."""
    pattern, lead = _pattern(table, table.reference, line), _lead(table)
    no_gain = f"shows no gain in {lead.name}"
    if pattern.lead < 0:
        harm = "breaks a policy in more of its answers"
        return harm if lead is VIOLATIONS else "refuses less of what is to be refused"
    if pattern.lead == 0 and pattern.over > 0:
        return f"refuses more {pattern.over_words} and {no_gain}"
    for figure, sign in (("quality", pattern.quality), ("capability", pattern.capability)):
        if pattern.lead == 0 and sign < 0:
            return f"loses {figure} and {no_gain}"
    fallen = {OVER: pattern.over > 0, "capability": pattern.capability < 0,
              "quality": pattern.quality < 0}  # fmt: skip
    kept = {state.gate for state in states[table.reference.label] if state.state != "not met"}
    for state in states[line.label]:
        if fallen.get(state.gate.figure) and state.state == "not met" and state.gate in kept:
            limit = gate_words(state.gate)
            return f"breaks a limit that {table.reference.label} is not shown to break ({limit})"
    if pattern.over > 0 and line.rate(pattern.figure).low > 1 / 2:
        return f"refuses most of the {pattern.over_words}"
    return None


def _between_tuned(table: Measured, tuned: Sequence[Line]) -> list[str]:
    """Return how tuned Systems differ in over-refusal, the largest differences first."""
    found: list[tuple[float, str]] = []
    lead = _lead(table)
    for place, first in enumerate(tuned):
        for second in tuned[place + 1 :]:
            pattern = _pattern(table, first, second)
            if not pattern.over:
                continue
            fewer, more = (second, first) if pattern.over < 0 else (first, second)
            figures = _figures(pattern.figure, [fewer], more)
            text = f"{fewer.label} refuses fewer {pattern.over_words} than {more.label} {figures}"
            if pattern.lead:
                # Both signs are of the second beside the first; the fewer may be either.
                better = pattern.lead != pattern.over
                figures = _figures(lead.figure, [fewer], more)
                text += f" {_beside(lead, better)} {figures}"
            size = abs(table.between(first.label, second.label)[pattern.figure].paired.difference)
            found.append((-size, text))
    return [text for _, text in sorted(found)[:MOST_PAIRS]]


def _beside(lead: _Lead, better: bool) -> str:
    if lead is VIOLATIONS:
        many = "fewer" if better else "more"
        return f"{'and' if better else 'but also'} breaks a policy in {many} of its answers"
    return f"{'and more' if better else 'but also less'} {TO_REFUSE}"


def _gains(pattern: _Pattern) -> bool:
    return pattern.lead > 0 or pattern.quality > 0


def _launch(table: Measured, states: States) -> str:
    """Return which Systems meet the launch criteria, or what to try next."""
    gates = [gate_words(state.gate) for state in states[table.reference.label]]
    if not gates:
        return ""
    criteria = f"the launch {'criteria' if len(gates) > 1 else 'criterion'} ({listed(gates)})"
    sealed = any(state.gate.suite is None for state in states[table.reference.label])
    if not table.held_out and sealed:
        return f"development figures cannot meet {criteria}: measure on sealed rows before a launch"
    passed = [line for line in table.lines if all(s.state == "met" for s in states[line.label])]
    if passed:
        verb = "meets" if len(passed) == 1 else "meet"
        where = "the sealed rows" if sealed else "the rows that they name"
        return f"{_names(passed)} {verb} {criteria} on {where}, which is all that they ask"
    undecided = [
        line for line in table.lines if all(s.state != "not met" for s in states[line.label])
    ]
    doubt = ""
    if undecided:
        doubt = f", though for {_names(undecided)} these rows do not decide it"
    guarded = any(line.evaluation.figures.get("guard") is not None for line in table.lines)
    first = "more rows to fit the guard on" if guarded else "a guard in front of the model"
    ways = [first, "a larger model"]
    if any(line.tuned and _pattern(table, table.reference, line).over > 0 for line in table.lines):
        ways.insert(1, "more answered look-alikes in the tuning data")
    return f"no System is shown to meet {criteria}{doubt}; to try next: {listed(ways, ' or ')}"


def _names(lines: Sequence[Line]) -> str:
    return names_of([line.label for line in lines])


# Each holds a space, which no System's name does: names keep their spelling.
_OPENINGS = ("compared with", "development figures", "each tuned", "no System", "no answer",
             "the figures", "these are", "this holds")  # fmt: skip


def _sentence(text: str) -> str:
    if text.startswith(_OPENINGS):
        text = text[0].upper() + text[1:]
    return text.rstrip(".") + "."
