"""The loop of on-policy RL: roll out, score, step, weigh the costs, and now and then look.

All chance comes from the seed and the number of the step, so there is no state of a generator to
keep: a run that was killed goes on from its last checkpoint with the very same next step.
"""

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from selaras.core.errors import SelarasError
from selaras.core.fingerprint import seed_from
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress, Task
from selaras.core.records import Query
from selaras.core.rl import COSTS, RLSettings
from selaras.core.system import Sampling
from selaras.core.tuning import Tuning
from selaras.models.local_torch import torch
from selaras.tune.diverged import diverged
from selaras.tune.live import PAGE, Live, Logged
from selaras.tune.multipliers import moved, pushed
from selaras.tune.policy import Policy, open_policy, restore_optimizer, save_policy
from selaras.tune.policy_step import Gradient, backward, shaped_rewards
from selaras.tune.rl_queries import QuerySet, is_adversarial
from selaras.tune.rl_watch import FLAT, Watcher, costs_of, standard
from selaras.tune.rollouts import ROLLOUTS, Rollout, Sampler, Scored, kept, roll_out, score
from selaras.tune.trainer import last_checkpoint, training_error

CURVES, LOOKS = "curves.jsonl", "looks.jsonl"
SAVE_EVERY = 4
WARMUP = 5
MOST_NORM = 1.0
# Steps over which the KL is averaged before it is held against its budget.
KL_WINDOW = 4
# Steps without a finished response after which a run stops.
ALL_CUT = 3


@dataclass(frozen=True, slots=True)
class Training:
    """What one run of RL needs; `server` makes a sampler for a policy, None is this process.

    `adapter` is what it goes on from, and `chat_template` one that was attached to the base.
    """

    base: Path
    queries: QuerySet = field(repr=False)
    watcher: Watcher = field(repr=False)
    settings: Tuning
    seed: int
    folder: Path
    server: Any = None
    adapter: Path | None = None
    chat_template: str | None = None

    @property
    def rl(self) -> RLSettings:
        """The settings of RL."""
        return self.settings.rl

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.folder / "checkpoints"


@dataclass(slots=True)
class _Run:
    """What changes while a run goes on."""

    policy: Policy
    optimizer: Any
    sampler: Sampler
    weights: dict[str, float]
    scale: tuple[float, float]
    curves: Journal
    rollouts: Journal
    looks: Journal
    steps: list[Mapping[str, Any]]


def train(training: Training, progress: Progress = SILENT) -> str | None:
    """Train, and return why the run stopped before its last step, None where it did not.

    Raises SelarasError where a reward or the loss is no number, where the reward is constant, and
    where memory or disk run out.
    """
    start = last_checkpoint(training.checkpoints)
    policy = open_policy(
        training.base, training.settings, training.seed, start,
        adapter=training.adapter, chat_template=training.chat_template,
    )  # fmt: skip
    optimizer = torch.optim.AdamW(policy.parameters.values(), lr=training.rl.learning_rate,
                                  weight_decay=0.0)  # fmt: skip
    done, weights = 0, dict.fromkeys(COSTS, training.rl.weight)
    if start is not None:
        state = restore_optimizer(policy, optimizer, start)
        done, weights = int(state["step"]), dict(state["weights"])
    looks = Journal(training.folder / LOOKS)
    sampler = training.server(policy) if training.server else policy.local.sample
    live = Live(training.checkpoints / PAGE, f"Training of {training.folder.name}")
    with progress.task("RL (steps)", training.rl.steps) as task:
        if (first := looks.get("look-0")) is None:
            with _room():
                first = training.watcher.look(policy, sampler, 0)
            looks.add("look-0", first)
        if first["held_aside_reward"]:
            standard(first["held_aside_reward"], "the held-aside reward model")
        curves = Journal(training.folder / CURVES)
        run = _Run(
            policy, optimizer, sampler, weights, standard(first["reward"], "the reward model"),
            curves, Journal(training.folder / ROLLOUTS), looks,
            [found for step in range(1, done + 1) if (found := curves.get(f"step-{step}"))],
        )  # fmt: skip
        task.advance(done)
        live.begin(_logged(run.steps, training.rl.steps))
        for step in range(done + 1, training.rl.steps + 1):
            if stopped := _over_budget(run.steps, training.rl.kl_budget):
                break
            with _room():
                _step(training, run, step, task)
            live.logged(_logged(run.steps, training.rl.steps))
        else:
            stopped = None
        live.end(_logged(run.steps, training.rl.steps))
    return stopped


@contextmanager
def _room() -> Iterator[None]:
    """Say in a line what a step or a look, which is sampled as widely, failed of."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise training_error(
            error,
            "tune.rl.queries, tune.rl.samples, tune.rl.watch_queries or tune.rl.max_tokens",
        ) from error


def _logged(steps: Sequence[Mapping[str, Any]], most: int) -> Logged:
    """Return the steps as the live page reads a trainer's state."""
    history = [
        {"step": s["step"], "reward": s["reward"], "kl": s["kl_per_response"], "loss": s["loss"],
         "grad_norm": s["gradient_norm"]}
        for s in steps
    ]  # fmt: skip
    return Logged(len(steps), most, sum(s["tokens"] for s in steps), history)


def _step(training: Training, run: _Run, step: int, task: Task) -> None:
    begun = time.monotonic()
    settings = training.rl
    rows = training.queries.batch(step - 1, settings.queries, training.seed)
    rollouts = _rolled_out(training, run, step, rows)
    scored = score(rollouts, run.policy, training.watcher.rewarder, settings)
    _refuse_constant([each.reward for each in scored], step)
    _refuse_all_cut(run.steps, rollouts, settings)
    costs, budgets = costs_of(scored), settings.budgets.model_dump()
    weights = pushed(run.weights, costs, budgets, settings.weight_push, settings.weight_limit)
    shaped = shaped_rewards(scored, weights, *run.scale)
    run.optimizer.zero_grad(set_to_none=True)
    for group in run.optimizer.param_groups:
        group["lr"] = settings.learning_rate * min(1.0, step / WARMUP)
    found = backward(run.policy, rollouts, scored, shaped, settings)
    norm = float(torch.nn.utils.clip_grad_norm_(run.policy.parameters.values(), MOST_NORM))
    if not (math.isfinite(found.loss) and math.isfinite(norm)):
        raise diverged(f"loss is {found.loss} and its gradient {norm}", step, training.base,
                       "tune.rl", settings.learning_rate)  # fmt: skip
    run.optimizer.step()
    entry = {
        **_measured(rollouts, scored, found, run.scale),
        "step": step,
        "costs": costs,
        # The weights that this step used.
        "weights": weights,
        "gradient_norm": norm,
        "seconds": round(time.monotonic() - begun, 2),
    }
    run.weights = moved(run.weights, costs, budgets, settings.weight_rate, settings.weight_limit)
    run.rollouts.add(f"step-{step}", {"step": step, "rollouts": [
        kept(r, s, kl=k, advantage=a)
        for r, s, k, a in zip(rollouts, scored, found.kl, found.advantages, strict=True)
    ]})  # fmt: skip
    run.curves.add(f"step-{step}", entry)
    run.steps.append(entry)
    _keep(training, run, step)
    task.advance(1, f"reward {entry['reward']:+.2f} sd, KL {entry['kl_per_response']:.1f}")


def _rolled_out(training: Training, run: _Run, step: int, rows: Sequence[Query]) -> list[Rollout]:
    settings, local = training.rl, run.policy.local
    sampling = Sampling(
        max_tokens=settings.max_tokens, temperature=settings.temperature,
        seed=seed_from("rl-rollout", training.seed, step),
    )  # fmt: skip
    asked = [
        (row, conversation)
        for row in rows
        for conversation in [training.watcher.render(row)] * settings.samples
    ]
    return roll_out(run.sampler, local.chat, local.stop_ids, asked, sampling)


def _measured(
    rollouts: Sequence[Rollout], scored: Sequence[Scored], found: Gradient,
    scale: tuple[float, float],
) -> dict[str, Any]:  # fmt: skip
    raw = [each.reward for each in scored]
    tokens = sum(rollout.tokens for rollout in rollouts)
    refused = {
        name: [s.refused for r, s in zip(rollouts, scored, strict=True)
               if is_adversarial(r.row) is side]
        for side, name in ((True, "refusal_adversarial"), (False, "refusal_other"))
    }  # fmt: skip
    return {
        "reward": (fmean(raw) - scale[0]) / scale[1],
        "raw_reward": fmean(raw),
        "kl_per_response": fmean(found.kl),
        "kl_per_token": sum(found.kl) / tokens,
        "log_ratio_per_response": fmean(found.log_ratio),
        "truncated": fmean(not r.exchange.finished for r in rollouts),
        "tokens": tokens,
        "loss": found.loss,
        **{name: fmean(own) if own else None for name, own in refused.items()},
    }


def _keep(training: Training, run: _Run, step: int) -> None:
    """Look where it is time, and keep a checkpoint; those that are not looked at serve --resume."""
    settings = training.rl
    stopping = _over_budget(run.steps, settings.kl_budget) is not None
    watched = step % settings.watch_every == 0 or step == settings.steps or stopping
    if not (watched or step % SAVE_EVERY == 0):
        return
    if watched and run.looks.get(f"look-{step}") is None:
        run.looks.add(f"look-{step}", training.watcher.look(run.policy, run.sampler, step))
    folder = training.checkpoints / f"checkpoint-{step}"
    for journal in (run.curves, run.rollouts, run.looks):
        journal.sync()
    save_policy(run.policy, run.optimizer, folder, {"step": step, "weights": run.weights})
    for other in training.checkpoints.glob("checkpoint-*"):
        number = int(other.name.rpartition("-")[2])
        if other != folder and run.looks.get(f"look-{number}") is None:
            shutil.rmtree(other)


def _over_budget(steps: Sequence[Mapping[str, Any]], budget: float) -> str | None:
    if len(steps) < KL_WINDOW:
        return None
    kl = fmean(step["kl_per_response"] for step in steps[-KL_WINDOW:])
    if kl <= budget:
        return None
    return (
        f"stopped at step {steps[-1]['step']}: KL to the reference is {kl:.1f} nats a response "
        f"over {KL_WINDOW} steps, the budget is {budget:g}"
    )


def _refuse_all_cut(
    steps: Sequence[Mapping[str, Any]], rollouts: Sequence[Rollout], settings: RLSettings
) -> None:
    """Raise SelarasError where several steps in a row left nothing to learn from."""
    if not settings.mask_truncated or any(r.exchange.finished for r in rollouts):
        return
    if len(steps) >= ALL_CUT - 1 and all(s["truncated"] == 1 for s in steps[1 - ALL_CUT :]):
        raise SelarasError(
            f"all responses of {ALL_CUT} steps were cut at {settings.max_tokens} tokens, and cut "
            "ones are not learned from: raise --set tune.rl.max_tokens, or learn from them with "
            "--set tune.rl.mask_truncated=false"
        )


def _refuse_constant(rewards: Sequence[float], step: int) -> None:
    if stdev(rewards) <= FLAT * max(1.0, abs(rewards[0])):
        raise SelarasError(
            f"the reward is constant at step {step}: {rewards[0]:.4g} for all {len(rewards)} "
            "responses; see 'selaras tune rollouts' for what they are"
        )
