"""Watching a policy on queries kept aside: both rewards, KL, costs and refusals, with intervals.

The reward that is trained on rises whatever happens; only a reward model that was trained on other
pairs, asked about queries that were not trained on, can show that it rises for no good reason
(over-optimisation, Gao et al., arXiv:2210.10760). Every query is answered once, sampled as in
training. Differences are paired by query with the policy that training started from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from selaras.core.errors import SelarasError
from selaras.core.fingerprint import seed_from
from selaras.core.records import Query
from selaras.core.rl import COSTS, RLSettings
from selaras.core.system import Sampling
from selaras.evaluate.figures import figures_of, judged_row
from selaras.judge import Judgement
from selaras.judge.refusal import refusal_rules
from selaras.models.protocol import Rewarder
from selaras.stats import paired_means, wilson
from selaras.tune.policy import Policy
from selaras.tune.rl_queries import is_adversarial
from selaras.tune.rollouts import Render, Rollout, Sampler, Scored, rewards_of, roll_out, score

# Standard deviations of the starting policy's reward: the scale for intervals without variance.
SPAN = 10.0
FLAT = 1e-6


@dataclass(frozen=True, slots=True)
class Watcher:
    """Queries kept aside, what they are scored by, and how they are asked."""

    rows: tuple[Query, ...] = field(repr=False)
    groups: Mapping[str, str] = field(repr=False)
    render: Render = field(repr=False)
    rewarder: Rewarder
    held_aside: Rewarder | None
    settings: RLSettings
    seed: int

    def look(self, policy: Policy, sampler: Sampler, step: int) -> dict[str, Any]:
        """Return what the policy does now: values by query, and figures of refusal."""
        local = policy.local
        settings = self.settings
        sampling = Sampling(
            max_tokens=settings.max_tokens, temperature=settings.temperature,
            # The same stream at every look: what differs between two is the policy.
            seed=seed_from("rl-watch", self.seed),
        )  # fmt: skip
        asked = [(row, self.render(row)) for row in self.rows]
        rollouts = roll_out(sampler, local.chat, local.stop_ids, asked, sampling)
        scored = score(rollouts, policy, self.rewarder, settings)
        told = policy.own_log_probabilities([r.exchange for r in rollouts], settings.temperature)
        return {
            "step": step,
            "rows": [row.id for row in self.rows],
            "reward": [each.reward for each in scored],
            "held_aside_reward": rewards_of(self.held_aside, rollouts) if self.held_aside else [],
            "kl": [
                float((own - each.reference).sum()) for own, each in zip(told, scored, strict=True)
            ],
            "tokens": [rollout.tokens for rollout in rollouts],
            "finished": [rollout.exchange.finished for rollout in rollouts],
            "costs": {name: [each.costs[name] for each in scored] for name in COSTS},
            "refused": [each.refused for each in scored],
            "figures": self._figures(rollouts),
        }

    def _figures(self, rollouts: Sequence[Rollout]) -> dict[str, Any]:
        judged = [judged_row(r.row, self.groups[r.row.id], self._judgement(r)) for r in rollouts]
        return figures_of(judged, [])

    def _judgement(self, rollout: Rollout) -> Judgement:
        return refusal_rules.judge(rollout.row.query, rollout.text)

    def summary(self, look: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, Any]:
        """Return the figures of a look: means, paired differences from the first, refusal rates."""
        clusters = [self.groups[name] for name in look["rows"]]
        found: dict[str, Any] = {"step": look["step"], "n": len(look["rows"])}
        for name in ("reward", "held_aside_reward"):
            if look[name]:
                found[name] = risen(first[name], look[name], clusters)
                if look["step"] == first["step"]:
                    found[name] |= {"low": 0.0, "high": 0.0}  # it is what the others rise from
        found["kl_per_response"] = fmean(look["kl"])
        found["kl_per_token"] = sum(look["kl"]) / max(1, sum(look["tokens"]))
        found["costs"] = mean_costs(look["costs"])
        sides = [is_adversarial(row) for row in self.rows]
        for side, name in ((True, "adversarial"), (False, "other")):
            own = [r for r, on in zip(look["refused"], sides, strict=True) if on is side]
            rate = wilson(sum(own), len(own))
            found[f"refusal_{name}"] = {"value": rate.value, "low": rate.low, "high": rate.high,
                                        "n": rate.n}  # fmt: skip
        found["figures"] = look["figures"]
        return found


def standard(rewards: Sequence[float], what: str) -> tuple[float, float]:
    """Return mean and standard deviation; raises SelarasError where all rewards are the same."""
    centre, spread = fmean(rewards), stdev(rewards)
    if spread <= FLAT * max(1.0, abs(centre)):
        raise SelarasError(
            f"the reward is constant: {what} gives {centre:.4g} to all {len(rewards)} responses, "
            "so there is nothing to learn from; train the reward model on more pairs"
        )
    return centre, spread


def risen(
    first: Sequence[float], now: Sequence[float], clusters: Sequence[str]
) -> dict[str, float | int]:
    """Return the mean, and how far it rose from the first look, in standard deviations of it."""
    spread = standard(first, "the reward model")[1]
    change = paired_means(
        [value / spread for value in first], [value / spread for value in now], clusters, span=SPAN
    )
    return {
        "mean": fmean(now),
        "rise": change.difference,
        "low": change.low,
        "high": change.high,
        "n": len(now),
    }


def mean_costs(costs: Mapping[str, Sequence[float | None]]) -> dict[str, float | None]:
    """Return the mean of each cost over the responses that it applies to, None without any."""
    found: dict[str, float | None] = {}
    for name, values in costs.items():
        known = [value for value in values if value is not None]
        found[name] = fmean(known) if known else None
    return found


def costs_of(scored: Sequence[Scored]) -> dict[str, float | None]:
    """Return the mean of each cost over a step's rollouts."""
    return mean_costs({name: [each.costs[name] for each in scored] for name in COSTS})
