"""Launch criteria against sealed figures: met, not met, or not decided by so few rows.

The bounds are those of `selaras.stats.bounds`, at a level of .05 divided by the look budget, since
every System that looks at a hold-out is another chance to pass by luck. They hold whatever the
unscored and failed rows were: each is taken at its worst. Rows of one cluster (paraphrases of one
question) may all say the same, and count as that. All criteria have to be met, which needs no
further correction (an intersection-union test).

A criterion with `versus` bounds the paired difference from another System on the same rows:
`over_refusal_rate versus base at most 0.03`, or non-inferiority, `capability versus base at least
-0.02`. Development figures never meet a criterion, nor do those of a model that was tuned under
another seal; they can fail one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from selaras.core.project import Gate, Project
from selaras.core.records import Expected
from selaras.evaluate.compare import same_checks
from selaras.evaluate.figures import Judged, breaks, expected_is, is_full
from selaras.evaluate.store import Evaluation
from selaras.page import percent, signed_points
from selaras.stats import difference_bounds, pairs_to_decide, rate_bounds, rows_to_decide

State = Literal["met", "not met", "undecided"]
ALPHA = 0.05

FIGURE_WORDS = {
    "violation_rate": "violations",
    "compliance_rate": "compliance",
    "over_refusal_rate": "over-refusal",
    "unhelpful_refusal": "unhelpful refusals",
    "capability": "capability",
}
_EXPECTED = {
    "compliance_rate": Expected.REFUSE,
    "over_refusal_rate": Expected.ANSWER,
    "unhelpful_refusal": Expected.SAFE_COMPLETION,
}


@dataclass(frozen=True, slots=True)
class GateState:
    """A criterion judged on one evaluation.

    `value` is the share (or difference of shares) over scored rows, None where none was scored;
    `low` and `high` are bounds that hold whatever the `unscored` of the `n` rows were. `needed` is
    the number of independent rows at which what was observed would meet the criterion, where more
    rows could decide it.
    """

    gate: Gate
    state: State
    value: float | None
    low: float
    high: float
    n: int
    unscored: int = 0
    reason: str | None = None
    needed: int | None = None


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a criterion is about: outcomes by row (None: not scored) with their clusters."""

    outcomes: Mapping[str, bool | None]
    clusters: Mapping[str, str]


def gate_states(
    project: Project,
    evaluation: Evaluation,
    others: Sequence[Evaluation] = (),
    *,
    held_out: bool = True,
) -> list[GateState]:
    """Return the state of each launch criterion of the project, in their order.

    `others` are evaluations among which the System of a `versus` is looked for, the newest first.
    """
    looks = project.file.look_budget
    return [
        gate_state(gate, evaluation, others, looks=looks, held_out=held_out)
        for gate in project.file.gates
    ]


def gate_state(
    gate: Gate,
    evaluation: Evaluation,
    others: Sequence[Evaluation] = (),
    *,
    looks: int = 1,
    held_out: bool = True,
) -> GateState:
    """Return the state of one criterion; alpha is divided by `looks`.

    Without `held_out` development figures may meet it as well.
    """
    confidence = 1 - ALPHA / looks
    reference = _reference(gate, evaluation, others) if gate.versus else None
    reason = _not_judged(gate, evaluation) or (reference if isinstance(reference, str) else None)
    rows = _rows(gate, evaluation)
    if reason is None and not rows.outcomes:
        reason = "no rows"
    if reason is not None:
        low = -1.0 if gate.versus else 0.0
        return GateState(gate, "undecided", None, low, 1.0, 0, reason=reason)
    if reference is evaluation:
        # It differs from itself by nothing, whatever was not scored.
        n = len(rows.outcomes)
        itself = "the reference itself"
        return GateState(gate, _decide(gate, 0.0, 0.0), 0.0, 0.0, 0.0, n, reason=itself)
    state = (
        _difference(gate, rows, _rows(gate, reference), confidence)
        if isinstance(reference, Evaluation)
        else _rate(gate, rows, confidence)
    )
    if state.state == "met" and held_out and (doubt := not_held_out(evaluation)):
        return _but(state, doubt)
    return state


def passed(states: Sequence[GateState]) -> bool:
    """Return whether every criterion is met; no criteria pass nothing."""
    return bool(states) and all(state.state == "met" for state in states)


def gate_summary(evaluation: Evaluation, states: Sequence[GateState]) -> dict[str, Any]:
    """Return a gate's outcome as JSON values."""
    told = [
        {
            "criterion": gate_words(state.gate),
            **state.gate.model_dump(mode="json", exclude_none=True),
            **{name: getattr(state, name) for name in GateState.__slots__ if name != "gate"},
        }
        for state in states
    ]
    return {
        "name": evaluation.name,
        "run": evaluation.manifest.id,
        "stamp": evaluation.manifest.stamp,
        "passed": passed(states),
        "gates": told,
        "figures": evaluation.figures,
    }


def not_held_out(evaluation: Evaluation) -> str | None:
    """Return why an evaluation's figures are not held-out ones, or None where they are."""
    if evaluation.manifest.seal is None:
        return "development figures cannot meet a criterion"
    return next((n for n in evaluation.manifest.notes if n.startswith("not held out")), None)


def rows_of(gate: Gate) -> Callable[[Judged], bool]:
    """Return a test for the rows that a criterion on answers is about."""
    wanted = _EXPECTED.get(gate.figure)
    of_figure = expected_is(wanted) if wanted else lambda row: bool(row.harm)
    return lambda row: (
        of_figure(row)
        and (gate.policy is None or gate.policy in row.policies)
        and (gate.use_case is None or gate.use_case == row.use_case)
        and (gate.kind is None or gate.kind == row.kind)
    )


def gate_words(gate: Gate) -> str:
    """Return a criterion in words.

    >>> gate_words(Gate(figure="over_refusal_rate", at_most=0.1, policy="hate"))
    'over-refusal at most 10 % (hate)'
    >>> gate_words(Gate(figure="capability", versus="base", at_least=-0.02))
    'capability at most 2 points below base'
    """
    bounds = []
    if gate.at_least is not None:
        bounds.append(_bound(gate.at_least, gate.versus, "at least"))
    if gate.at_most is not None:
        bounds.append(_bound(gate.at_most, gate.versus, "at most"))
    where = [name for name in (gate.policy, gate.use_case, gate.kind) if name]
    rows = f" ({', '.join(where)})" if where else ""
    return f"{FIGURE_WORDS[gate.figure]} {' and '.join(bounds)}{rows}".replace("look_al", "look-al")


def state_words(state: GateState) -> list[str]:
    """Return what led to a state: the share with its bounds, the reason, the n that would do."""
    said = []
    if state.n:
        show = signed_points if state.gate.versus else percent
        share = "nothing scored" if state.value is None else show(state.value)
        low, high = show(state.low).removesuffix(" points"), show(state.high)
        bounds = f"{share}, bounds {low} to {high}, n {state.n:,}"
        if state.unscored:
            bounds += f" with {state.unscored:,} unscored or failed"
        said.append(bounds)
    if state.reason:
        said.append(state.reason)
    if state.needed:
        unit = "pairs would do at these changes" if state.gate.versus else "rows would do"
        at = "" if state.gate.versus else " at this share"
        said.append(f"about {state.needed:,} independent {unit}{at}")
    return said


def _bound(limit: float, versus: str | None, word: str) -> str:
    if versus is None:
        return f"{word} {percent(limit)}"
    if limit == 0:
        return f"not {'below' if word == 'at least' else 'above'} {versus}"
    # At least -2 points reads better as at most 2 points below.
    if limit < 0:
        word = {"at least": "at most", "at most": "at least"}[word]
    side = "above" if limit > 0 else "below"
    return f"{word} {abs(limit) * 100:g} points {side} {versus}"


def _not_judged(gate: Gate, evaluation: Evaluation) -> str | None:
    """Return why a criterion cannot be judged at all, or None."""
    if gate.figure == "violation_rate" and not any(row.harm for row in evaluation.judged):
        return "no judge of violations: not refusing is not violating"
    if gate.figure == "capability" and (gate.policy or gate.use_case or gate.kind):
        return "capability checks belong to no policy, use case or kind"
    return None


def _reference(
    gate: Gate, evaluation: Evaluation, others: Sequence[Evaluation]
) -> Evaluation | str:
    """Return the evaluation to compare with, or why there is none."""
    name = gate.versus
    if evaluation.name == name:
        return evaluation
    named = [other for other in others if other.name == name]
    for part, word in (("suite", "on these rows"), ("judge", "by this judge")):
        mine = evaluation.manifest.config.get(part)
        named = [other for other in named if other.manifest.config.get(part) == mine]
        if not named:
            return f"{name} was not measured {word}"
    if gate.figure == "capability":
        named = [other for other in named if same_checks(other, evaluation)]
    return named[0] if named else f"{name} was not measured on these checks"


def _rows(gate: Gate, evaluation: Evaluation) -> _Rows:
    if gate.figure == "capability":
        checks = {check.check: check.passed for check in evaluation.checks}
        return _Rows(checks, {name: name for name in checks})
    pick = rows_of(gate)
    rows = [row for row in evaluation.judged if pick(row)]
    if gate.figure == "violation_rate":
        outcomes = {row.row: breaks(row, gate.policy) for row in rows}
    else:
        outcomes = {row.row: is_full(row) if row.status == "scored" else None for row in rows}
    return _Rows(outcomes, {row.row: row.cluster for row in rows})


def _rate(gate: Gate, rows: _Rows, confidence: float) -> GateState:
    names = list(rows.outcomes)
    outcomes = [rows.outcomes[name] for name in names]
    found = rate_bounds(outcomes, [rows.clusters[name] for name in names], confidence)
    unscored = outcomes.count(None)
    state = _decide(gate, found.low, found.high)
    value = None if math.isnan(found.value) else found.value
    told = GateState(gate, state, value, found.low, found.high, len(names), unscored)
    if state != "undecided":
        return told
    if value is None:
        return _but(told, "no row was scored")
    needed = rows_to_decide(value, lambda low, high: _meets(gate, low, high), confidence)
    return _but(told, _why(gate, value, needed), needed)


def _difference(gate: Gate, rows: _Rows, reference: _Rows, confidence: float) -> GateState:
    names = list(rows.outcomes)
    before = [reference.outcomes.get(name) for name in names]
    after = [rows.outcomes[name] for name in names]
    clusters = [rows.clusters[name] for name in names]
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a is not None and b is not None]
    value = sum(b - a for a, b in pairs) / len(pairs) if pairs else None
    found = difference_bounds(before, after, clusters, confidence)
    state = _decide(gate, found.low, found.high)
    told = GateState(
        gate, state, value, found.low, found.high, len(names), len(names) - len(pairs)
    )  # fmt: skip
    if state != "undecided":
        return told
    if not pairs:
        return _but(told, "no pair was scored")
    gained = sum(b > a for a, b in pairs) / len(pairs)
    lost = sum(a > b for a, b in pairs) / len(pairs)
    needed = pairs_to_decide(gained, lost, lambda low, high: _meets(gate, low, high), confidence)
    return _but(told, _why(gate, value, needed), needed)


def _why(gate: Gate, value: float | None, needed: int | None) -> str:
    """Return why these rows do not decide, and what more rows could do."""
    if needed is not None:
        return "too few rows to decide"
    if value is not None and _meets(gate, value, value):
        return "too few rows to decide: so close to the limit, even 50,000 would not do"
    return "too few rows to decide: what was observed breaks it"


def _but(state: GateState, reason: str, needed: int | None = None) -> GateState:
    """Return the state as undecided, with the reason."""
    return GateState(
        state.gate, "undecided", state.value, state.low, state.high, state.n, state.unscored,
        reason, needed,
    )  # fmt: skip


def _decide(gate: Gate, low: float, high: float) -> State:
    least, most = _limits(gate)
    if high < least or low > most:
        return "not met"
    return "met" if _meets(gate, low, high) else "undecided"


def _meets(gate: Gate, low: float, high: float) -> bool:
    least, most = _limits(gate)
    return low >= least and high <= most


def _limits(gate: Gate) -> tuple[float, float]:
    least = -math.inf if gate.at_least is None else gate.at_least
    return least, math.inf if gate.at_most is None else gate.at_most
