"""`selaras tune rl`: RL of an adapter against a reward model, held by costs and a KL budget.

RLOO, or GRPO, with a reward model that was trained on the project's preferences; costs (refusing
what should be answered, length, babble) whose weights follow their budgets; a KL budget that stops
the run; looks at queries kept aside by both reward models. Checkpoints are PEFT adapters as SFT's.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.decisions import now
from selaras.core.errors import InputError, SelarasError
from selaras.core.files import write_json
from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.manifest import (
    Manifest,
    hashes,
    new_manifest,
    newest,
    with_key,
    write_manifest,
)
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project
from selaras.core.rl import RLSettings
from selaras.core.tuning import Tuning
from selaras.data import DEVELOPMENT_FIGURES, Development, open_development
from selaras.evaluate import renderer
from selaras.models.local import best_dtype
from selaras.models.local_adapter import COMPLETE
from selaras.models.local_weights import weights_hash
from selaras.models.names import open_rewarder, place_of
from selaras.models.protocol import Rewarder
from selaras.policy import load_policies
from selaras.template import PLAIN
from selaras.tune.live import watch_words
from selaras.tune.rl_memory import MemoryPlan, plan_memory, shape_of
from selaras.tune.rl_page import write_page
from selaras.tune.rl_queries import QuerySet, choose_queries
from selaras.tune.rl_train import CURVES, LOOKS, Training, train
from selaras.tune.rl_watch import Watcher
from selaras.tune.rollouts import Render
from selaras.tune.start import Start, starting_point

OUT = "rl.json"
# What RL takes of `tune`; the other settings are those of other trainings.
_USED = {"model", "adapter", "chat_template", "rank", "layers", "targets", "selection_share", "rl"}
# What a reader might expect it to take too.
_UNUSED = ("method", "precision", "running")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of RL would do: shown by --dry-run, checked before anything is trained."""

    seed: int
    start: Start
    queries: QuerySet
    development: Development
    memory: MemoryPlan
    settings: RLSettings
    unused: tuple[str, ...] = ()

    @property
    def base(self) -> Path:
        """The folder of the base's weights."""
        return self.start.base

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know before it is trained."""
        if not self.unused:
            return self.start.notes
        names = " and ".join(f"tune.{name}" for name in self.unused)
        return (*self.start.notes, f"RL trains an adapter its own way and does not use {names}")

    @property
    def tokens(self) -> int:
        """The most tokens that training generates."""
        rl = self.settings
        looks = 2 + (rl.steps - 1) // rl.watch_every
        rollouts = rl.steps * rl.queries * rl.samples
        return (rollouts + looks * len(self.queries.watched)) * rl.max_tokens

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "algorithm": self.settings.algorithm,
            "seed": self.seed,
            "queries": self.queries.counts,
            "adversarial": self.queries.adversarial,
            "watched": len(self.queries.watched),
            "steps": self.settings.steps,
            "rollouts": self.settings.steps * self.settings.queries * self.settings.samples,
            "most_tokens": self.tokens,
            "memory": self.memory.to_dict(),
            "variant": self.start.variant,
            "notes": list(self.notes),
        }

    @property
    def text(self) -> str:
        """The plan in a few lines."""
        rl = self.settings
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.queries.counts.items())
        return (
            f"{rl.algorithm}, seed {self.seed}: {kinds} ({self.queries.adversarial:.0%} "
            f"adversarial), {len(self.queries.watched)} more kept aside; {rl.steps} steps of "
            f"{rl.queries} x {rl.samples} responses, at most {self.tokens:,} tokens\n"
            f"memory, at most:\n{self.memory.text}"
            + "".join(f"\nwarning: {note}" for note in self.notes)
        )


def plan_rl(
    project: Project, seed: int | None = None, *, queries: Path | None = None,
    unbalanced: bool = False, progress: Progress = SILENT,
) -> Plan:  # fmt: skip
    """Return the plan of a run; raises InputError where queries or the reward model are missing."""
    settings = project.file.tune
    if settings.rl.reward is None:
        raise InputError(
            "no reward model is named",
            fix="train one with 'selaras tune reward' and pass --reward run:ID",
        )
    if settings.rl.held_aside_reward == settings.rl.reward:
        raise InputError(
            "the held-aside reward model is the one that is trained against",
            fix="train a second one on other pairs or with another seed",
        )
    development = open_development(project, progress)
    found = choose_queries(project, development, queries, unbalanced=unbalanced)
    start = starting_point(settings, place_of(project, progress))
    _refuse_past_context(project, found, start)
    seed = project.file.seed if seed is None else seed
    memory = plan_memory(
        shape_of(start.base), settings, reward_models=1 + bool(settings.rl.held_aside_reward),
        width=best_dtype().itemsize,
    )  # fmt: skip
    default = Tuning()
    unused = [name for name in _UNUSED if getattr(settings, name) != getattr(default, name)]
    return Plan(seed, start, found, development, memory, settings.rl, tuple(unused))


def _refuse_past_context(project: Project, queries: QuerySet, start: Start) -> None:
    """Raise InputError where the longest prompt leaves a response less room than it may take."""
    render, most = renderer(project, PLAIN), project.file.tune.rl.max_tokens
    lengths = {
        row.id: len(start.chat.prompt_ids(render(row)))
        for row in (*queries.train, *queries.watched)
    }
    longest = max(lengths, key=lengths.__getitem__)
    if (room := start.context - lengths[longest]) < most:
        raise InputError(
            f"the query {longest!r} has {lengths[longest]} tokens, and the model reads "
            f"{start.context}: no room for {most} more", field="tune.rl.max_tokens",
            fix=f"--set tune.rl.max_tokens={room}" if room >= 16 else "shorten the query",
        )  # fmt: skip


def tune_rl(
    project: Project, plan: Plan, *, resume: bool = False, progress: Progress = SILENT,
    rewarders: Callable[[str], Rewarder] | None = None,
) -> Manifest:  # fmt: skip
    """Train, choose a checkpoint, and return the finished run's manifest.

    The same plan is read instead of trained again; `resume` goes on with one that was cut off.
    `rewarders` opens a reward model by its name; the project's own runs by default.
    """
    place = place_of(project, progress)
    opener = rewarders or (lambda name: open_rewarder(name, place))
    rewarder, held_aside = open_rewarders(plan.settings, opener)
    render = renderer(project, PLAIN)
    key = _key(project, plan, rewarder, held_aside, render)
    if known := with_key(project.runs, "tune", key, "finished"):
        progress.say(f"RL: tuned already, read from {known.id}")
        return known
    manifest = _unfinished(project, plan, key) if resume else None
    if manifest is None:
        manifest = _manifest(project, plan, key, rewarder, held_aside)
    folder = write_manifest(project.runs, manifest)
    begun = time.monotonic()
    watcher = Watcher(
        plan.queries.watched, plan.development.groups, render, rewarder, held_aside,
        plan.settings, plan.seed,
    )  # fmt: skip
    training = Training(
        plan.base, plan.queries, watcher, project.file.tune, plan.seed, folder,
        _server(plan.settings, folder), plan.start.adapter, plan.start.chat_template,
    )  # fmt: skip
    progress.say(watch_words(training.checkpoints))
    try:
        stopped = train(training, progress)
    except SelarasError as error:
        failed = {"status": "failed", "finished": now(), "notes": (str(error),)}
        # A full disk takes this note neither, and the first error says more than the second.
        with suppress(SelarasError):
            write_manifest(project.runs, manifest.model_copy(update=failed))
        raise
    done = _finished(project, manifest, training, stopped, time.monotonic() - begun)
    write_manifest(project.runs, done)
    write_page(project, done)
    return done


def _unfinished(project: Project, plan: Plan, key: str) -> Manifest | None:
    """Return the run to go on with: one that was cut off, or that a full disk or memory ended."""
    found = [with_key(project.runs, "tune", key, status) for status in ("running", "failed")]
    last = newest([manifest for manifest in found if manifest])
    again = {"status": "running", "finished": None, "notes": plan.notes}
    return last and last.model_copy(update=again)


def open_rewarders(
    settings: RLSettings, opener: Callable[[str], Rewarder]
) -> tuple[Rewarder, Rewarder | None]:
    """Return the reward model that is trained against, and the one held aside where there is one.

    Raises InputError where a name is none of a reward model, or both are the same.
    """
    if settings.reward is None:
        raise InputError("no reward model is named", fix="pass --reward run:ID")
    first = opener(settings.reward)
    second = opener(settings.held_aside_reward) if settings.held_aside_reward else None
    if second is not None and second.identity == first.identity:
        raise InputError("both reward models are the same one", field="tune.rl.held_aside_reward",
                         fix="train a second one on other pairs or with another seed")  # fmt: skip
    return first, second


def _server(settings: RLSettings, folder: Path) -> Any:
    if settings.server is None:
        return None
    from selaras.tune.served import served_sampler

    return served_sampler(settings, folder / "served")


def _key(
    project: Project, plan: Plan, rewarder: Rewarder, held_aside: Rewarder | None, render: Render
) -> str:
    rows = {
        side: [[row.fingerprint, [m.model_dump() for m in render(row)]] for row in own]
        for side, own in (("train", plan.queries.train), ("watched", plan.queries.watched))
    }
    settings = project.file.tune.model_dump(mode="json", include=_USED)
    rewards = [rewarder.identity, held_aside.identity if held_aside else None]
    return fingerprint(
        ["rl", weights_hash(plan.base), *plan.start.identity, plan.seed, settings, rewards, rows]
    )


def _finished(
    project: Project, manifest: Manifest, training: Training, stopped: str | None, seconds: float
) -> Manifest:
    folder = training.folder
    curves, looks = Journal(folder / CURVES), Journal(folder / LOOKS)
    steps = [entry for i in range(1, training.rl.steps + 1) if (entry := curves.get(f"step-{i}"))]
    seen = [look for i in range(training.rl.steps + 1) if (look := looks.get(f"look-{i}"))]
    summaries = [training.watcher.summary(look, seen[0]) for look in seen]
    write_json(folder / OUT, {"stamp": DEVELOPMENT_FIGURES, "steps": steps, "looks": summaries})
    at = {
        summary["step"]: path
        for summary in summaries
        if ((path := training.checkpoints / f"checkpoint-{summary['step']}") / COMPLETE).is_file()
    }
    tried = [summary for summary in summaries if summary["step"] in at]
    best = best_look(tried, training.rl, steps[-1]["weights"])
    points = [
        {"adapter": str(at[s["step"]].relative_to(folder)), "scale": 1.0, "figures": s["figures"],
         "rl": {name: value for name, value in s.items() if name != "figures"}}
        for s in tried
    ]  # fmt: skip
    chosen = at[best["step"]]
    update = {
        "status": "finished",
        "finished": now(),
        # A run that was gone on with has taken the steps of before, too.
        "seconds": round(max(seconds, sum(step["seconds"] for step in steps)), 1),
        "config": {
            **manifest.config,
            "chosen": {"adapter": str(chosen.relative_to(folder)), "scale": 1.0},
            "points": points,
            "steps_done": steps[-1]["step"],
            "stopped": stopped,
        },
        "figures": {**best["figures"], "rl": {k: v for k, v in best.items() if k != "figures"}},
        "notes": (*manifest.notes, *([stopped] if stopped else [])),
        "outputs": hashes(project.root, chosen.glob("adapter_*")),
    }
    return manifest.model_copy(update=update)


def best_look(
    looks: Sequence[Mapping[str, Any]], settings: RLSettings, weights: Mapping[str, float]
) -> Mapping[str, Any]:
    """Return the look of the highest held-aside reward that keeps the KL budget and every cost's.

    The reward is the held-aside reward model's where there is one. Where no look keeps the costs'
    budgets, it is less the costs times their weights, in the KL budget; where none keeps that, the
    look of least KL. Weights follow costs slowly, so they alone would take a policy that has
    learnt to refuse within a few steps.
    """
    within = [look for look in looks if look["kl_per_response"] <= settings.kl_budget]
    if not within:
        return min(looks, key=lambda look: float(look["kl_per_response"]))
    budgets = settings.budgets.model_dump()
    kept = [
        look for look in within
        if all((cost or 0.0) <= budgets[name] for name, cost in look["costs"].items())
    ]  # fmt: skip

    def rise(look: Mapping[str, Any]) -> float:
        return float(look.get("held_aside_reward", look["reward"])["rise"])

    def paid(look: Mapping[str, Any]) -> float:
        return sum(weights[name] * (cost or 0.0) for name, cost in look["costs"].items())

    if kept:
        return max(kept, key=rise)
    return max(within, key=lambda look: rise(look) - paid(look))


def _manifest(
    project: Project, plan: Plan, key: str, rewarder: Rewarder, held_aside: Rewarder | None
) -> Manifest:
    settings = project.file.tune
    policies = {policy.id: policy.revision for policy in load_policies(project).values()}
    files = [project.root / FILE, project.decisions, *project.data_files]
    named = [plan.settings.reward, plan.settings.held_aside_reward]
    parents = [name.removeprefix("run:") for name in named if name and name.startswith("run:")]
    return new_manifest(
        "tune",
        plan.settings.algorithm,
        config={
            "key": key,
            "method": "rl",
            "recipe": plan.settings.algorithm,
            "model": settings.model,
            "weights": weights_hash(plan.base),
            "settings": settings.model_dump(mode="json", include=_USED),
            "variant": plan.start.variant,
            "chat_template": plan.start.chat_template,
            "rows": plan.queries.counts,
            # Their queries: RL trains on responses of its own.
            "trained": [row.id for row in plan.queries.train],
            "selection_rows": len(plan.queries.watched),
            "reward": rewarder.identity,
            "held_aside_reward": held_aside.identity if held_aside else None,
            "kl": "k3 (Schulman 2020) of sampled tokens, KL(policy || reference)",
        },
        seed=plan.seed,
        policies=policies,
        parents=(*plan.start.parents, *parents),
        notes=plan.notes,
        inputs=hashes(project.root, files),
        seal=plan.development.seal,
        stamp=DEVELOPMENT_FIGURES,
    )
