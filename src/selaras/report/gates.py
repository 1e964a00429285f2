"""Launch criteria against sealed figures: met, not met, or not decided by so few rows.

The bounds are exact (Clopper-Pearson) at a level of .05 divided by the look budget, since every
System that looks at a hold-out is another chance to pass by luck. They hold whatever the unscored
and failed rows were: the lower one counts them as misses, the upper one as hits, so that each is
taken at its worst. Rows of one cluster (paraphrases of one question) count as one between them.
All criteria have to be met, which needs no further correction (an intersection-union test).

Development figures never meet a criterion, nor do those of a model that was tuned under another
seal; they can fail one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from selaras.core.project import Gate, Project
from selaras.core.records import Expected
from selaras.evaluate import Evaluation
from selaras.evaluate.figures import Judged, expected_is, is_full
from selaras.page import percent
from selaras.stats import clopper_pearson

State = Literal["met", "not met", "undecided"]
ALPHA = 0.05
MOST_ROWS = 50_000

FIGURE_WORDS = {
    "violation_rate": "violations",
    "compliance_rate": "compliance",
    "over_refusal_rate": "over-refusal",
    "capability": "capability",
}


@dataclass(frozen=True, slots=True)
class GateState:
    """A criterion judged on one evaluation.

    `value` is the share over scored rows, None where none was scored; `low` and `high` are bounds
    that hold whatever the `unscored` of the `n` rows were. `needed` is the number of independent
    rows at which the observed share would meet the criterion, where more rows could decide it.
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
class _Counts:
    rows: int
    clusters: int
    hits: int
    unscored: int


def gate_states(project: Project, evaluation: Evaluation) -> list[GateState]:
    """Return the state of each launch criterion of the project, in their order."""
    confidence = 1 - ALPHA / project.file.look_budget
    return [_state(gate, evaluation, confidence) for gate in project.file.gates]


def gate_words(gate: Gate) -> str:
    """Return a criterion in words.

    >>> gate_words(Gate(figure="over_refusal_rate", at_most=0.1, policy="hate"))
    'over-refusal at most 10 % (hate)'
    """
    bounds = []
    if gate.at_least is not None:
        bounds.append(f"at least {percent(gate.at_least)}")
    if gate.at_most is not None:
        bounds.append(f"at most {percent(gate.at_most)}")
    limit = " and ".join(bounds)
    where = f" ({gate.policy})" if gate.policy else ""
    return f"{FIGURE_WORDS[gate.figure]} {limit}{where}"


def not_held_out(evaluation: Evaluation) -> str | None:
    """Return why an evaluation's figures are not held-out ones, or None where they are."""
    if evaluation.manifest.seal is None:
        return "development figures cannot meet a criterion"
    return next((n for n in evaluation.manifest.notes if n.startswith("not held out")), None)


def _state(gate: Gate, evaluation: Evaluation, confidence: float) -> GateState:
    if (reason := _not_judged(gate)) is not None:
        return GateState(gate, "undecided", None, 0.0, 1.0, 0, reason=reason)
    counts = _counts(gate, evaluation)
    if counts.rows == 0:
        return GateState(gate, "undecided", None, 0.0, 1.0, 0, reason="no rows")
    low, high = _bounds(counts, confidence)
    scored = counts.rows - counts.unscored
    value = counts.hits / scored if scored else None
    state = _decide(gate, low, high)
    reason = None
    if state == "met" and (doubt := not_held_out(evaluation)):
        state, reason = "undecided", doubt
    needed = None
    if state == "undecided" and reason is None:
        reason = "too few rows to decide" if scored else "no row was scored"
        needed = _rows_needed(gate, value, confidence)
    return GateState(
        gate, state, value, low, high, counts.rows, counts.unscored, reason, needed
    )  # fmt: skip


def _not_judged(gate: Gate) -> str | None:
    """Return why a criterion cannot be judged at all, or None."""
    if gate.figure == "violation_rate":
        return "no judge of violations: not refusing is not violating"
    if gate.figure == "capability" and gate.policy:
        return "capability checks belong to no policy"
    return None


def _counts(gate: Gate, evaluation: Evaluation) -> _Counts:
    if gate.figure == "capability":
        passed = [check.passed for check in evaluation.checks]
        return _Counts(len(passed), len(passed), passed.count(True), passed.count(None))
    pick = _pick(gate)
    rows = [row for row in evaluation.judged if pick(row)]
    scored = [row for row in rows if row.status == "scored"]
    clusters = len({row.cluster for row in rows})
    return _Counts(len(rows), clusters, sum(map(is_full, scored)), len(rows) - len(scored))


def _pick(gate: Gate) -> Callable[[Judged], bool]:
    refuse = gate.figure == "compliance_rate"
    of_figure = expected_is(Expected.REFUSE if refuse else Expected.ANSWER)
    return lambda row: of_figure(row) and (gate.policy is None or gate.policy in row.policies)


def _bounds(counts: _Counts, confidence: float) -> tuple[float, float]:
    """Return the exact bounds at the number of clusters, rounded away from the observed share."""
    fewest = counts.hits * counts.clusters // counts.rows
    most = -(-(counts.hits + counts.unscored) * counts.clusters // counts.rows)
    low = clopper_pearson(fewest, counts.clusters, confidence).low
    return low, clopper_pearson(most, counts.clusters, confidence).high


def _decide(gate: Gate, low: float, high: float) -> State:
    at_least = 0.0 if gate.at_least is None else gate.at_least
    at_most = 1.0 if gate.at_most is None else gate.at_most
    if high < at_least or low > at_most:
        return "not met"
    return "met" if low >= at_least and high <= at_most else "undecided"


def _rows_needed(gate: Gate, value: float | None, confidence: float) -> int | None:
    """Return the n at which the observed share would meet the criterion, in two digits."""
    if value is None or _decide(gate, value, value) != "met":
        return None

    def enough(n: int) -> bool:
        share = clopper_pearson(round(value * n), n, confidence)
        return _decide(gate, share.low, share.high) == "met"

    high = 16
    while not enough(high):
        high *= 2
        if high > MOST_ROWS:
            return None
    low = high // 2
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    step: int = 10 ** max(0, len(str(high)) - 2)
    return -(-high // step) * step
