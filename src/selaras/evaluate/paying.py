"""Calls that count against a budget before they are made, and models that can make no others.

An evaluation makes its own calls by `paid`; a guard's judge asks its model out of the evaluation's
sight, so it is given a `metered` one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from selaras.core.endpoint import Prices
from selaras.core.errors import InputError
from selaras.core.records import Conversation
from selaras.core.system import Sampling
from selaras.evaluate.budget import Budget
from selaras.models.protocol import FirstTokens, Generation, Model

CHARACTERS_A_TOKEN = 3.0  # fewer than English has: a worst case for the budget
Ask = Callable[[Sequence[Conversation]], Iterator[Generation]]


def paid(
    ask: Ask, talks: Sequence[Conversation], model: Model, budget: Budget, most_tokens: int
) -> Iterator[Generation]:
    """Yield the reply to each conversation, as many asked at once as the budget has room for.

    `most_tokens` is the longest reply. What was answered before is free. Raises BudgetSpentError
    where the next call would pass the budget, InputError where a cost is bounded and nobody said
    the model's prices.
    """
    prices = _prices(model, budget) if talks else None
    worst = [_worst(talk, most_tokens, prices) for talk in talks]
    done = 0
    while done < len(talks):
        room = budget.room(worst[done:])
        if room <= 0:
            raise budget.spent(len(talks) - done)
        for generation in ask(talks[done : done + room]):
            number = done + generation.index
            if not generation.cached:
                budget.spend(_cost(generation, worst[number], prices))
            yield replace(generation, index=number) if done else generation
        done += room


@dataclass(frozen=True, slots=True)
class Metered:
    """A model whose calls are paid from a budget; make one with `metered`."""

    model: Any
    budget: Budget

    @property
    def identity(self) -> dict[str, Any]:
        return dict(self.model.identity)

    @property
    def batch_size(self) -> int:
        return int(self.model.batch_size)

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        """Yield a reply to each conversation."""
        ask = partial(self.model.generate, sampling=sampling)
        return paid(ask, conversations, self.model, self.budget, sampling.max_tokens)


@dataclass(frozen=True, slots=True)
class MeteredFirst(Metered):
    """A metered model that can say how likely each first word of its reply is."""

    def first_tokens(self, conversations: Sequence[Conversation]) -> Iterator[Generation]:
        """Yield a reply of one token to each conversation."""
        return paid(self.model.first_tokens, conversations, self.model, self.budget, 1)


def metered(model: Model, budget: Budget) -> Model:
    """Return the model with its calls paid from the budget."""
    return (MeteredFirst if isinstance(model, FirstTokens) else Metered)(model, budget)


def length_of(conversation: Conversation) -> int:
    """Return the characters of a conversation."""
    return sum(len(message.content) for message in conversation)


def prices_of(model: Model) -> Prices | None:
    """Return what the model's tokens cost: nothing where it runs here, None where nobody said."""
    if hasattr(model, "prices"):
        found: Prices | None = model.prices
        return found
    applications = ("python:", "http:")
    named = str(model.identity.get("name", ""))
    return None if named.startswith(applications) else Prices(input=0, output=0)


def _prices(model: Model, budget: Budget) -> Prices | None:
    prices = prices_of(model)
    if prices is None and budget.max_cost is not None:
        name = model.identity.get("name", "this model")
        raise InputError(
            f"--max-cost needs the prices of {name}",
            field="endpoints.URL.prices",
            fix="write them to selaras.yaml, or bound the run with --max-calls",
        )
    return prices


def _worst(talk: Conversation, most_tokens: int, prices: Prices | None) -> float:
    if prices is None:
        return 0.0
    return prices.cost(length_of(talk) / CHARACTERS_A_TOKEN, most_tokens)


def _cost(generation: Generation, worst: float, prices: Prices | None) -> float:
    if prices is None or generation.status == "error":
        return 0.0
    if not generation.prompt_tokens:
        return worst  # the endpoint counts no tokens
    return prices.cost(generation.prompt_tokens, generation.tokens)
