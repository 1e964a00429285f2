"""What a launch criterion came to, and how bounds decide it."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from selaras.core.project import Gate

State = Literal["met", "not met", "undecided"]


@dataclass(frozen=True, slots=True)
class GateState:
    """A criterion judged on one evaluation.

    `value` is the share, mean score or difference over scored rows, None where none was scored;
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


def decide(gate: Gate, low: float, high: float) -> State:
    """Return what bounds of a figure say of a criterion."""
    least, most = _limits(gate)
    if high < least or low > most:
        return "not met"
    return "met" if meets(gate, low, high) else "undecided"


def meets(gate: Gate, low: float, high: float) -> bool:
    """Return whether both bounds keep the criterion."""
    least, most = _limits(gate)
    return low >= least and high <= most


def undecided(state: GateState, reason: str, needed: int | None = None) -> GateState:
    """Return the state as undecided, with the reason."""
    return dataclasses.replace(state, state="undecided", reason=reason, needed=needed)


def why(gate: Gate, value: float | None, needed: int | None) -> str:
    """Return why these rows do not decide, and what more rows could do."""
    if needed is not None:
        return "too few rows to decide"
    if value is not None and meets(gate, value, value):
        return "too few rows to decide: so close to the limit, even 50,000 would not do"
    return "too few rows to decide: what was observed breaks it"


def _limits(gate: Gate) -> tuple[float, float]:
    least = -math.inf if gate.at_least is None else gate.at_least
    return least, math.inf if gate.at_most is None else gate.at_most
