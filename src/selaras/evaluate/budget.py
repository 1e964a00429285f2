"""What a run may still spend: calls and money, counted before a call is made, never after."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from selaras.core.errors import BudgetSpentError, InputError


@dataclass(slots=True)
class Budget:
    """Limits on one command's calls and cost (in the currency of the project's prices).

    >>> budget = Budget(max_calls=3, max_cost=1.0)
    >>> budget.room([0.4, 0.4, 0.4])
    2
    >>> budget.spend(0.1); budget.spend(0.1); budget.room([0.4, 0.4])
    1
    """

    max_calls: int | None = None
    max_cost: float | None = None
    calls: int = field(default=0, init=False)
    cost: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        if (self.max_calls or 0) < 0 or (self.max_cost or 0) < 0:
            raise InputError("a budget is 0 or more")

    def room(self, worst: Sequence[float]) -> int:
        """Return how many of the next calls may be made, given the most that each can cost."""
        calls = len(worst) if self.max_calls is None else self.max_calls - self.calls
        allowed, cost = 0, self.cost
        for price in worst[: max(0, calls)]:
            cost += price
            if self.max_cost is not None and cost > self.max_cost:
                break
            allowed += 1
        return allowed

    def spend(self, cost: float) -> None:
        """Count a finished call."""
        self.calls += 1
        self.cost += cost

    def spent(self, left: int) -> BudgetSpentError:
        """Return the error that says what was spent and how to go on."""
        limits = [f"{self.calls} calls"] if self.max_calls is not None else []
        limits += [f"{self.cost:.4g} of {self.max_cost:g}"] if self.max_cost is not None else []
        return BudgetSpentError(
            f"the budget is spent ({', '.join(limits)}) and {left} calls are left to make: go on "
            "with --resume and a new --max-calls or --max-cost"
        )
