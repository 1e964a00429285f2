"""What RL will take on this machine: measured on parts of its own steps, not modelled.

A few positions are sampled for a step's rollouts, by the policy with its adapter, and one query's
responses, as long as they may be, are scored and learned from; the run's counts do the rest.
Responses that end by themselves are shorter, so this is an upper bound. `selaras.tune.rl_memory`
counts the bytes by part; here is what those steps held at most, the libraries included.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any

from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.system import Sampling
from selaras.evaluate import renderer
from selaras.models.local_speed import fastest
from selaras.models.names import open_rewarder, place_of
from selaras.models.protocol import Rewarder
from selaras.template import PLAIN
from selaras.tune.forecast import peak_mb_so_far
from selaras.tune.policy import Exchange, Policy, open_policy
from selaras.tune.policy_step import backward
from selaras.tune.rl import Plan, open_rewarders
from selaras.tune.rollouts import Rollout, rewards_of, score

# Positions that are sampled to see what one takes.
NEW = 6


@dataclass(frozen=True, slots=True)
class RLForecast:
    """Seconds at most: of opening the models, of a step, of a look, of the whole run; megabytes."""

    opening: float
    step: float
    look: float
    looks: int
    seconds: float
    peak_mb: float

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as JSON values."""
        return {name: round(value, 1) for name, value in asdict(self).items()}

    @property
    def text(self) -> str:
        """The forecast in a line."""
        return (
            f"about {self.seconds:.0f} s at most: {self.step:.1f} s a step, and {self.looks} looks "
            f"of {self.look:.1f} s; about {self.peak_mb:,.0f} MB of memory, libraries included"
        )


def forecast_rl(
    project: Project, plan: Plan, progress: Progress = SILENT,
    rewarders: Callable[[str], Rewarder] | None = None,
) -> RLForecast:  # fmt: skip
    """Return what the plan takes at most; `rewarders` is that of `tune_rl`.

    Raises InputError where a reward model is not there.
    """
    rl, place = plan.settings, place_of(project, progress)
    begun = time.perf_counter()
    first, second = open_rewarders(rl, rewarders or (lambda name: open_rewarder(name, place)))
    policy = open_policy(
        plan.base, project.file.tune, plan.seed,
        adapter=plan.start.adapter, chat_template=plan.start.chat_template,
    )  # fmt: skip
    opening = time.perf_counter() - begun
    sampled = _sampled(project, plan, policy)
    group = _group(project, plan, policy)
    scored = score(group, policy, first, rl)
    scoring = fastest(lambda: score(group, policy, first, rl))
    reading = fastest(lambda: policy.own_log_probabilities([r.exchange for r in group]))
    held_aside = fastest(lambda: rewards_of(second, group)) if second else 0.0
    shaped = [float(i) for i in range(len(group))]
    learning = fastest(lambda: backward(policy, group, scored, shaped, rl))
    progress.say("measured some sampling, scoring and learning of this very run")
    step = rl.queries * (rl.samples * sampled + scoring + learning)
    # In a look every response has a prompt of its own to be read.
    prompt = len(group[0].exchange.prompt)
    alone = (prompt + rl.max_tokens) / (prompt / rl.samples + rl.max_tokens)
    watched = len(plan.queries.watched)
    look = watched * (sampled + alone * (scoring + reading + held_aside) / rl.samples)
    looks = 2 + (rl.steps - 1) // rl.watch_every
    seconds = opening + rl.steps * step + looks * look
    return RLForecast(opening, step, look, looks, seconds, peak_mb_so_far())


def _sampled(project: Project, plan: Plan, policy: Policy) -> float:
    """Return the seconds that sampling a response takes, as one of a step's."""
    rl, render = plan.settings, renderer(project, PLAIN)
    rows = plan.queries.batch(0, rl.queries, plan.seed)
    prompts = [policy.local.chat.prompt_ids(render(row)) for row in rows for _ in range(rl.samples)]
    prompts = prompts[: policy.local.batch_size]

    def seconds(tokens: int) -> float:
        sampling = Sampling(max_tokens=tokens, temperature=rl.temperature, seed=plan.seed)
        return fastest(lambda: policy.local.sample(prompts, sampling))

    begins, goes_on = seconds(1), seconds(1 + NEW)
    position = max(0.0, goes_on - begins) / NEW
    return (begins + (rl.max_tokens - 1) * position) / len(prompts)


def _group(project: Project, plan: Plan, policy: Policy) -> list[Rollout]:
    """Return responses to one query of middling length, as long as they may be."""
    rl, render, chat = plan.settings, renderer(project, PLAIN), policy.local.chat
    asked = sorted(
        ((chat.prompt_ids(render(row)), row) for row in plan.queries.train),
        key=lambda each: len(each[0]),
    )
    prompt, row = asked[len(asked) // 2]
    sampling = Sampling(max_tokens=NEW, temperature=rl.temperature, seed=plan.seed)
    replies = policy.local.sample([prompt] * rl.samples, sampling)
    found = []
    for reply in replies:
        told = tuple(islice(cycle(reply), rl.max_tokens))
        text = chat.tokenizer.decode(told, skip_special_tokens=True)
        found.append(Rollout(row, render(row), Exchange(tuple(prompt), told, True), text))
    return found
