"""What is to be explained: tokens of a response, alone or against other responses.

The objective is f = log p(target tokens | prompt), in nats; with contrast responses
f = log p(target) - log sum_j exp(log p(other_j)): why "I can't" and not "Sure" (Yin & Neubig 2022,
arXiv:2202.10419, over whole spans), and for a class label its log-odds among the labels.
Every function below takes the stored per-token log-probabilities, so a new target over the same
responses costs no forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError
from selaras.models.local_chat import ChatTokenizer, Span, Tokens

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Target:
    """Responses and what of them counts: `chosen` tokens of the first, against all of the others.

    `spans` are the characters [start, end) of the first response that were asked for, widened to
    whole tokens (a token that the span touches is in it).
    """

    responses: tuple[Tokens, ...]
    chosen: tuple[int, ...]
    spans: tuple[Span, ...]

    @property
    def text(self) -> str:
        """The chosen text; disjoint spans are joined by ' … '."""
        return " … ".join(self.responses[0].text[a:b] for a, b in self.spans)


def whole_response(chat: ChatTokenizer, response: str, against: Sequence[str] = ()) -> Target:
    """Return the target of all of a response; raises InputError for an empty one."""
    tokens = _response(chat, response, "the response")
    others = tuple(_response(chat, text, "a contrast response") for text in against)
    return select(Target((tokens, *others), (), ()), [(0, len(tokens.text))])


def select(target: Target, spans: Sequence[Span]) -> Target:
    """Return the target over other spans of its first response: no forward pass is needed.

    Raises InputError where no span holds a character of the response.

    >>> tokens = Tokens("a b", (1, 2), ((0, 1), (1, 3)))
    >>> select(Target((tokens,), (), ()), [(2, 3)]).text
    ' b'
    """
    tokens = target.responses[0]
    chosen = tuple(
        i for i, (start, end) in enumerate(tokens.offsets)
        if any(a < end and start < b for a, b in spans)
    )  # fmt: skip
    if not chosen:
        raise InputError(
            "the target is empty", field="target",
            fix=f"choose characters from 0 to {len(tokens.text)} of the response",
        )  # fmt: skip
    return Target(target.responses, chosen, _runs(tokens, chosen))


def select_text(target: Target, texts: Sequence[str]) -> Target:
    """Return the target over the first occurrence of each text in the response."""
    whole = target.responses[0].text
    spans = []
    for text in texts:
        if not text.strip():
            raise InputError("the target is empty", field="target", fix="quote a part of it")
        at = whole.find(text)
        if at < 0:
            raise InputError(
                f"the response does not hold {text[:60]!r}", field="target",
                fix=f"quote it as it stands in: {whole[:200]!r}",
            )  # fmt: skip
        spans.append((at, at + len(text)))
    return select(target, spans)


def select_first(target: Target, count: int) -> Target:
    """Return the target over the first tokens of the response (a refusal's opening, say)."""
    if count < 1:
        raise InputError("the first 0 tokens are no target", field="first")
    ends = [end for _, end in target.responses[0].offsets[:count]]
    return select(target, [(0, max(ends))])


def value(target: Target, logp: Sequence[Array]) -> Array:
    """Return the objective f (nats) of each row; `logp` holds (rows, tokens) a response."""
    chosen = logp[0][:, list(target.chosen)].sum(axis=1)
    if len(logp) == 1:
        return np.asarray(chosen)
    others = np.stack([each.sum(axis=1) for each in logp[1:]])
    return np.asarray(chosen - np.logaddexp.reduce(others, axis=0))


def logit(target: Target, values: Array) -> Array:
    """Return the scale on which effects add up best: log p/(1 - p); log-odds are on it already.

    For f = log p near 0 the difference 1 - p is taken without cancellation.
    """
    if len(target.responses) > 1:
        return values
    held = np.minimum(values, -1e-9)
    return np.asarray(held - np.log(-np.expm1(held)))


def _response(chat: ChatTokenizer, text: str, name: str) -> Tokens:
    if not text.strip():
        raise InputError(f"{name} is empty", field="response", fix="give the text to explain")
    return chat.text_tokens(text)


def _runs(tokens: Tokens, chosen: Sequence[int]) -> tuple[Span, ...]:
    """Return the spans of consecutive chosen tokens."""
    runs: list[Span] = []
    before = -2
    for place in chosen:
        start, end = tokens.offsets[place]
        if place == before + 1 and runs:
            runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
        else:
            runs.append((start, end))
        before = place
    return tuple(runs)
