"""Launch criteria and what became of them, in words."""

from collections.abc import Callable

from selaras.core.project import Gate
from selaras.evaluate.gate_state import GateState
from selaras.page import percent, signed_points

FIGURE_WORDS = {
    "violation_rate": "violations",
    "compliance_rate": "compliance",
    "over_refusal_rate": "over-refusal",
    "unhelpful_refusal": "unhelpful refusals",
    "capability": "capability",
    "quality": "quality",
}


def gate_words(gate: Gate) -> str:
    """Return a criterion in words.

    >>> gate_words(Gate(figure="over_refusal_rate", at_most=0.1, policy="hate"))
    'over-refusal at most 10 % (hate)'
    >>> gate_words(Gate(figure="capability", versus="base", at_least=-0.02))
    'capability at most 2 points below base'
    >>> gate_words(Gate(figure="quality", at_least=3.5, suite="mine"))
    'quality at least 3.5 (on mine)'
    """
    bounds = []
    if gate.at_least is not None:
        bounds.append(_bound(gate, gate.at_least, "at least"))
    if gate.at_most is not None:
        bounds.append(_bound(gate, gate.at_most, "at most"))
    where = [name for name in (gate.policy, gate.use_case, gate.kind) if name]
    where += [f"on {gate.suite}"] if gate.suite else []
    rows = f" ({', '.join(where)})" if where else ""
    return f"{FIGURE_WORDS[gate.figure]} {' and '.join(bounds)}{rows}".replace("look_al", "look-al")


def state_words(state: GateState) -> list[str]:
    """Return what led to a state: the share with its bounds, the reason, the n that would do."""
    said = []
    if state.n:
        show = _shown(state.gate)
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


def _bound(gate: Gate, limit: float, word: str) -> str:
    graded = gate.figure == "quality"
    if gate.versus is None:
        return f"{word} {limit:g}" if graded else f"{word} {percent(limit)}"
    if limit == 0:
        return f"not {'below' if word == 'at least' else 'above'} {gate.versus}"
    # At least -2 points reads better as at most 2 points below.
    if limit < 0:
        word = {"at least": "at most", "at most": "at least"}[word]
    side = "above" if limit > 0 else "below"
    amount = f"{abs(limit):g}" if graded else f"{abs(limit) * 100:g} points"
    return f"{word} {amount} {side} {gate.versus}"


def _shown(gate: Gate) -> Callable[[float], str]:
    if gate.figure == "quality":
        return "{:+.2f}".format if gate.versus else "{:.2f}".format
    return signed_points if gate.versus else percent
