"""Gradients of the objective by the prompt's input embeddings: one forward, one backward.

grad-L2 and grad-dot-input per token, summed over the tokens of a segment: what LIT's sequence
salience computes (Tenney et al. 2024, arXiv:2404.07498; Simonyan et al. 2014; Denil et al. 2015),
except that LIT takes the gradient of the loss, so that its grad-dot-input has the other sign. L2
norms are not additive over target tokens and have no sign; grad-dot-input's sign has been found to
say little (see docs/debug.md): neither is called support or opposition.

The vocabulary's softmax and the way back through its projection are summed up in float64: sums over
50,000 words, nearly cancelling where a token is all but certain, are what float32 rounds most. All
else is float32, in one backward pass.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from selaras.core.errors import InputError
from selaras.debug.probe import LocalProbe, Probe
from selaras.debug.segments import Segment
from selaras.debug.settings import Settings
from selaras.debug.target import Array, Target
from selaras.models.local_torch import torch

BLOCK = 16_384  # words of the vocabulary whose weights are held in float64 at once


def gradient_l2(probe: Probe, segments: Sequence[Segment], settings: Settings) -> Array:  # noqa: ARG001
    """Return the summed gradient norms of each segment's tokens (0 or more)."""
    return summed(gradient_tokens(with_gradients(probe))[0], segments)


def gradient_input(probe: Probe, segments: Sequence[Segment], settings: Settings) -> Array:  # noqa: ARG001
    """Return the summed gradient-dot-input of each segment's tokens (nats to first order)."""
    return summed(gradient_tokens(with_gradients(probe))[1], segments)


def gradient_tokens(probe: LocalProbe) -> tuple[Array, Array]:
    """Return (L2 norm, dot input) of every prompt token, shape (tokens,) each."""
    embedded = embeddings(probe)
    gradient, _ = gradients(probe, embedded)
    return (
        np.asarray(gradient.norm(dim=-1).cpu(), dtype=np.float64),
        np.asarray((gradient * embedded).sum(-1).cpu(), dtype=np.float64),
    )


def embeddings(probe: LocalProbe) -> Any:
    """Return the prompt's input embeddings, (tokens, width)."""
    model = probe.model.model
    ids = torch.tensor(probe.view.tokens.ids, device=model.device)
    return model.get_input_embeddings()(ids).detach()


def gradients(probe: LocalProbe, embedded: Any) -> tuple[Any, float]:
    """Return (gradient of f by the prompt's embeddings, f) at some embeddings of the prompt."""
    leaf = embedded.detach().clone().requires_grad_(True)
    model = probe.model.model
    with torch.enable_grad(), _projections(model) as seen:
        logp = [_token_logp(model, leaf, r.ids) for r in probe.target.responses]
        objective = torch_value(probe.target, logp)
        gradient = _backward(objective, leaf, seen, model.get_output_embeddings())
    probe.cost.forwards += len(logp)
    probe.cost.backwards += 1
    return gradient.detach(), float(objective.detach())


def torch_value(target: Target, logp: Sequence[Any]) -> Any:
    """Return the objective of `target.value` with its gradient."""
    chosen = logp[0][list(target.chosen)].sum()
    if len(logp) == 1:
        return chosen
    return chosen - torch.stack([each.sum() for each in logp[1:]]).logsumexp(0)


def summed(tokens: Array, segments: Sequence[Segment]) -> Array:
    """Return the sum over each segment's tokens."""
    return np.array([tokens[list(segment.tokens)].sum() for segment in segments])


@contextmanager
def _projections(model: Any) -> Iterator[list[tuple[Any, Any]]]:
    """Note what goes into the vocabulary's projection and comes out, where it is a plain one."""
    head, seen = model.get_output_embeddings(), list[tuple[Any, Any]]()
    if type(head) is not torch.nn.Linear:
        yield seen
        return
    hook = head.register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
    try:
        yield seen
    finally:
        hook.remove()


def _backward(objective: Any, leaf: Any, seen: Sequence[tuple[Any, Any]], head: Any) -> Any:
    """Return the gradient by the leaf: to the projections, through them in float64, and on."""
    if not seen:
        (gradient,) = torch.autograd.grad(objective, leaf)
        return gradient
    upstream = torch.autograd.grad(objective, [out for _, out in seen])
    inner = [_through(each, head.weight) for each in upstream]
    (gradient,) = torch.autograd.grad([given for given, _ in seen], leaf, inner)
    return gradient


def _through(upstream: Any, weight: Any) -> Any:
    """Return upstream @ weight, summed up in float64."""
    total: Any = 0.0
    for start in range(0, len(weight), BLOCK):
        part = slice(start, start + BLOCK)
        total = total + upstream[..., part].double() @ weight[part].double()
    return total.to(upstream.dtype)


class _TokenLogP(torch.autograd.Function):  # type: ignore[misc]
    """Log-probabilities of tokens from logits (tokens, vocabulary), summed up in float64.

    Token by token, so that no second copy of the logits is made.
    """

    @staticmethod
    def forward(context: Any, logits: Any, ids: Any) -> Any:
        total = torch.stack([each.double().logsumexp(-1) for each in logits])
        context.save_for_backward(logits, ids, total)
        return logits.gather(-1, ids[:, None])[:, 0].double() - total

    @staticmethod
    def backward(context: Any, upstream: Any) -> tuple[Any, None]:
        logits, ids, total = context.saved_tensors
        gradient = torch.empty_like(logits)
        for place, token in enumerate(ids):
            chances = (logits[place].double() - total[place]).exp_()
            chances[token] -= 1
            gradient[place] = chances.mul_(-upstream[place])
        return gradient, None


def _token_logp(model: Any, prompt: Any, response: Sequence[int]) -> Any:
    ids = torch.tensor(list(response), device=prompt.device)
    after = model.get_input_embeddings()(ids[:-1]).detach()
    out = model(
        inputs_embeds=torch.cat([prompt, after])[None],
        logits_to_keep=len(response),
        use_cache=False,
    )
    return _TokenLogP.apply(out.logits[0], ids)


def with_gradients(probe: Probe) -> LocalProbe:
    """Return the probe where its model is here; raises InputError: an endpoint has no gradients."""
    if not isinstance(probe, LocalProbe):
        raise InputError(
            "an endpoint gives no gradients",
            field="method",
            fix="use leave-one-out or surrogate, or name a local --proxy",
        )
    return probe
