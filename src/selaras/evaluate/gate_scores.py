"""Launch criteria on quality: mean grades or shares of preferences, which are no yes or no.

Their bounds hold for scores of any distribution on the judge's scale (`stats.mean_bounds`); a
reward model's scores have no ends, so no criterion can be put on them.
"""

from collections.abc import Callable, Mapping

from selaras.core.project import Gate
from selaras.evaluate.figures import Judged, graded, scale_of
from selaras.evaluate.gate_state import GateState, decide, meets, undecided, why
from selaras.evaluate.store import Evaluation
from selaras.stats import mean_bounds, scores_to_decide


def scored_rows(evaluation: Evaluation) -> str | None:
    """Return why no criterion on quality can be judged on an evaluation, or None."""
    found = graded(evaluation.judged)
    if not found:
        return "no judge of quality: name one with --judge rubric:MODEL"
    if scale_of(verdict for _, verdict in found) is None:
        return "the judge's scores have no ends, so no bound can be put on their mean"
    return None


def mean_state(
    gate: Gate,
    evaluation: Evaluation,
    reference: Evaluation | None,
    pick: Callable[[Judged], bool],
    confidence: float,
) -> GateState:
    """Return the state of a criterion on the mean score, or on its difference from a reference.

    Unscored rows are at the worst end of the scale, on both sides of a difference.
    """
    own = {row.row: (row, verdict) for row, verdict in graded(evaluation.judged) if pick(row)}
    ends = scale_of(verdict for _, verdict in own.values())
    before = dict(_scores(reference)) if reference else None
    if not own or ends is None:
        return GateState(gate, "undecided", None, -1.0, 1.0, 0, reason="no rows")
    low, high = (ends[0] - ends[1], ends[1] - ends[0]) if before is not None else ends
    scores = [
        None if verdict.score is None
        else verdict.score if before is None
        else _less(verdict.score, before.get(name))
        for name, (_, verdict) in own.items()
    ]  # fmt: skip
    shares = [None if s is None else (s - low) / (high - low) for s in scores]
    bounds = mean_bounds(shares, [row.cluster for row, _ in own.values()], confidence)

    def back(share: float) -> float:
        return low + share * (high - low)

    known = [score for score in scores if score is not None]
    value = sum(known) / len(known) if known else None
    least, most = back(bounds.low), back(bounds.high)
    state = GateState(
        gate, decide(gate, least, most), value, least, most, len(own), len(own) - len(known)
    )
    if state.state != "undecided":
        return state
    if value is None:
        return undecided(state, "no row was scored")
    seen = [share for share in shares if share is not None]
    needed = scores_to_decide(seen, lambda a, b: meets(gate, back(a), back(b)), confidence)
    return undecided(state, why(gate, value, needed), needed)


def _scores(evaluation: Evaluation) -> Mapping[str, float | None]:
    return {row.row: verdict.score for row, verdict in graded(evaluation.judged)}


def _less(score: float, before: float | None) -> float | None:
    return None if before is None else score - before
