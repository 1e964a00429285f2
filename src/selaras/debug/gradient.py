"""Gradients of the objective by the prompt's input embeddings: one forward, one backward.

grad-L2 and grad-dot-input per token, summed over the tokens of a segment: what LIT's sequence
salience computes (Tenney et al. 2024, arXiv:2404.07498; Simonyan et al. 2014; Denil et al. 2015),
except that LIT takes the gradient of the loss, so that its grad-dot-input has the other sign. L2
norms are not additive over target tokens and have no sign; grad-dot-input's sign has been found to
say little (see docs/debug.md): neither is called support or opposition.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from selaras.core.errors import InputError
from selaras.debug.probe import LocalProbe, Probe
from selaras.debug.segments import Segment
from selaras.debug.settings import Settings
from selaras.debug.target import Array, Target
from selaras.models.local_torch import torch


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
    with torch.enable_grad():
        logp = [_token_logp(probe.model.model, leaf, r.ids) for r in probe.target.responses]
        objective = torch_value(probe.target, logp)
        (gradient,) = torch.autograd.grad(objective, leaf)
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


def _token_logp(model: Any, prompt: Any, response: Sequence[int]) -> Any:
    ids = torch.tensor(list(response), device=prompt.device)
    after = model.get_input_embeddings()(ids[:-1]).detach()
    out = model(
        inputs_embeds=torch.cat([prompt, after])[None],
        logits_to_keep=len(response),
        use_cache=False,
    )
    return out.logits[0].float().log_softmax(-1).gather(-1, ids[:, None])[:, 0]


def with_gradients(probe: Probe) -> LocalProbe:
    """Return the probe where its model is here; raises InputError: an endpoint has no gradients."""
    if not isinstance(probe, LocalProbe):
        raise InputError(
            "an endpoint gives no gradients",
            field="method",
            fix="use leave-one-out or surrogate, or name a local --proxy",
        )
    return probe
