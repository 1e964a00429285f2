"""One step of on-policy RL: shaped rewards to advantages, to a gradient.

Our own small trainer, and not TRL's RLOOTrainer, for four reasons read in TRL 1.16's source. It
tokenises prompts through the chat template as they are, so that a user's `<|im_end|>` becomes the
token that ends a turn. Its reward weights are fixed tensors, where ours move with the costs. It
runs the policy once more for "old" probabilities, which here are those of the step itself. And it
resumes from pickled states. What it computes is the same: a test holds our advantages, loss and
gradients against TRL's on one batch.

Rollouts are used once, so the probability ratio of the clipped objective is 1 everywhere and
clipping never acts; the gradient is that of REINFORCE with a leave-one-out baseline. The KL penalty
is part of the reward for RLOO (log-ratio summed over the response) and a term of the loss for GRPO
(Schulman's k3 a token), as in TRL. A part of the batch holds whole groups, whose shared prompt is
read once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from selaras.core.rl import RLSettings
from selaras.models.local_torch import torch
from selaras.tune.advantages import ADVANTAGES, Rewards
from selaras.tune.policy import Policy
from selaras.tune.response_loss import PART_TOKENS
from selaras.tune.rollouts import Rollout, Scored


@dataclass(frozen=True, slots=True)
class Gradient:
    """What a step computed: the loss, and for each rollout its advantage and its KL (nats)."""

    loss: float
    advantages: tuple[float, ...]
    kl: tuple[float, ...]
    log_ratio: tuple[float, ...]


def shaped_rewards(
    scored: Sequence[Scored], weights: Mapping[str, float], centre: float, scale: float
) -> list[float]:
    """Return rewards in standard deviations, less every cost times its weight."""
    return [
        (each.reward - centre) / scale
        - sum(weights[name] * (cost or 0.0) for name, cost in each.costs.items())
        for each in scored
    ]


def backward(
    policy: Policy, rollouts: Sequence[Rollout], scored: Sequence[Scored],
    shaped: Sequence[float], settings: RLSettings,
) -> Gradient:  # fmt: skip
    """Leave the gradient of the step's loss in the policy's parameters.

    Rollouts come in groups of `settings.samples` of one query. A response that was cut has no
    gradient where `settings.mask_truncated`; its reward still counts in its siblings' baseline.
    """
    masks = [float(r.exchange.finished or not settings.mask_truncated) for r in rollouts]
    tokens = sum(mask * r.tokens for mask, r in zip(masks, rollouts, strict=True))
    advantages, kl, ratios = ([0.0] * len(rollouts) for _ in range(3))
    total = 0.0
    for part in _parts(rollouts, settings.samples, PART_TOKENS[policy.causal.device.type]):
        told = policy.log_probabilities([rollouts[i].exchange for i in part], settings.temperature)
        sums, k3 = _divergence(told, [scored[i].reference for i in part])
        mask = torch.tensor([masks[i] for i in part], device=sums.device)
        own = _advantages(np.array([shaped[i] for i in part]), sums * mask, settings)
        weight = torch.tensor(own, dtype=torch.float32, device=sums.device)
        if settings.algorithm == "rloo":
            loss = _rloo_loss(told, weight, mask) / len(rollouts)
        else:
            loss = _grpo_loss(told, k3, weight, mask, settings) / max(1.0, tokens)
        loss.backward()
        total += float(loss.detach())
        for i, advantage, ratio, own_k3 in zip(part, own, sums.tolist(), k3, strict=True):
            advantages[i], ratios[i] = float(advantage), ratio
            kl[i] = float(own_k3.detach().sum())
    return Gradient(total, tuple(advantages), tuple(kl), tuple(ratios))


def _advantages(shaped: Rewards, log_ratio: Any, settings: RLSettings) -> Rewards:
    if settings.algorithm == "rloo":
        shaped = shaped - settings.kl_coefficient * log_ratio.detach().double().cpu().numpy()
    return ADVANTAGES[settings.algorithm](shaped.reshape(-1, settings.samples)).ravel()


def _divergence(told: Sequence[Any], reference: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Return the log-ratio of policy to reference summed a response, and k3 a token.

    k3 is r - 1 - log r with r = reference / policy (Schulman 2020, "Approximating KL divergence"):
    an unbiased estimate of KL(policy || reference) that is never negative.
    """
    gaps = [own - base for own, base in zip(told, reference, strict=True)]
    return torch.stack([gap.detach().sum() for gap in gaps]), [
        torch.exp(-gap) - 1 + gap for gap in gaps
    ]


def _rloo_loss(told: Sequence[Any], advantages: Any, mask: Any) -> Any:
    sums = torch.stack([own.sum() for own in told]) * mask
    # The ratio to the probabilities of the sampling itself: 1, with their gradient.
    return -(torch.exp(sums - sums.detach()) * advantages).sum()


def _grpo_loss(
    told: Sequence[Any], k3: Sequence[Any], advantages: Any, mask: Any, settings: RLSettings
) -> Any:
    # The ratio (1, with the gradient of the sampling) makes the gradient of k3 that of the KL.
    losses = [
        (torch.exp(own - own.detach()) * (settings.kl_coefficient * each - advantage)).sum()
        for own, each, advantage in zip(told, k3, advantages, strict=True)
    ]
    return (torch.stack(losses) * mask).sum()


def _parts(rollouts: Sequence[Rollout], samples: int, most: int) -> list[list[int]]:
    """Return rollouts in parts of whole groups, at most `most` tokens with padding where it can."""
    groups = [list(range(i, i + samples)) for i in range(0, len(rollouts), samples)]
    longest = {
        g[0]: max(len(rollouts[i].exchange.prompt) + rollouts[i].tokens for i in g) for g in groups
    }
    parts: list[list[int]] = []
    for group in sorted(groups, key=lambda g: (longest[g[0]], g[0])):
        if parts and (len(parts[-1]) + samples) * longest[group[0]] <= most:
            parts[-1].extend(group)
        else:
            parts.append(list(group))
    return parts
