"""What a model can do, as protocols; a model offers the ones that it has.

A batch goes in and results come out as they finish, each with the index of its request. A failing
request is a result with status `error`; only a failure that makes the rest pointless (a bad key, a
model that cannot be loaded) raises ModelError or InputError.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from selaras.core.records import Conversation
from selaras.core.system import Sampling

Finish = Literal["stop", "length", "unknown"]


@dataclass(frozen=True, slots=True)
class Generation:
    """One response. `error` holds the reason where `status` is error; text is then empty.

    `finish` is `stop` (the model ended its turn) or `length` (cut at max_tokens); tokens are
    counts as the model reports them, 0 where it does not. `served` is the model that answered
    where an endpoint named another than was asked for; `cached` says that no call was made.
    `first` holds the likeliest first tokens with their log-probabilities (nats), where
    `first_tokens` was called and they can be had. `guard` says what a guard in front of the model
    did (`action`, `side`, `policy`, `stage`, `score`, `threshold`): a text that it blocked is its
    message, whatever the words.
    """

    index: int
    text: str
    status: Literal["ok", "error"] = "ok"
    finish: Finish = "unknown"
    prompt_tokens: int = 0
    tokens: int = 0
    error: str | None = None
    served: str | None = None
    cached: bool = False
    first: tuple[tuple[str, float], ...] = ()
    guard: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A conversation and candidate replies, to be scored by their log-probability."""

    conversation: Conversation
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CandidateScores:
    """Summed log-probability (nats) and token count of each candidate, in their order.

    Where the choice could not be scored, `error` holds the reason and the others are empty.
    """

    index: int
    log_probabilities: tuple[float, ...]
    tokens: tuple[int, ...]
    error: str | None = None


@runtime_checkable
class Model(Protocol):
    """A thing that answers conversations."""

    @property
    def identity(self) -> dict[str, Any]:
        """What the model really is (name, weights' hash or endpoint, precision): JSON values."""
        ...

    @property
    def batch_size(self) -> int:
        """Rows in one planned batch; 1 for endpoints, where each call stands alone."""
        ...

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        """Yield one Generation for each conversation, in the order in which they finish."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """A model whose log-probabilities can be had."""

    def score(self, choices: Sequence[Choice]) -> Iterator[CandidateScores]:
        """Yield the scores of each choice's candidates."""
        ...


@runtime_checkable
class FirstTokens(Protocol):
    """A model that can say how likely each first word of its reply is."""

    def first_tokens(self, conversations: Sequence[Conversation]) -> Iterator[Generation]:
        """Yield a greedy reply of one token each, with `first` filled where it can be had."""
        ...


@runtime_checkable
class Structured(Protocol):
    """A model that can be held to a JSON Schema while it writes."""

    def generate_json(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling,
        schema: Mapping[str, Any],
    ) -> Iterator[Generation]:
        """Yield replies that follow the schema as far as the model or its endpoint keeps to it."""
        ...


@runtime_checkable
class Rewarder(Protocol):
    """A model that says how good a response is."""

    @property
    def identity(self) -> dict[str, Any]:
        """What the model really is (base, weights' hash, adapter): JSON values."""
        ...

    def reward(
        self, conversations: Sequence[Conversation], responses: Sequence[str]
    ) -> list[float]:
        """Return one finite number an exchange, in their order; higher is better.

        A difference of two rewards is in logits: sigmoid(a - b) is the probability that the first
        response is preferred. Raises ModelError where an exchange does not fit the model.
        """
        ...


class Embedder(Protocol):
    """A model that turns texts into unit vectors."""

    @property
    def identity(self) -> dict[str, Any]:
        """What the encoder really is."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector a text, shape (texts, dimensions)."""
        ...
