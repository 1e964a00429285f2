"""`selaras tune reward`: pairs to a reward model, its checkpoint chosen on pairs kept aside."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.files import write_json, write_text
from selaras.core.fingerprint import fingerprint
from selaras.core.manifest import Manifest, with_key, write_manifest
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.data import Development, open_development
from selaras.data.pairs import Pairs
from selaras.evaluate import renderer
from selaras.evaluate.pairs import PairScore, measure_sealed_pairs, pair_figures, score_pairs
from selaras.models.local_open import REWARD
from selaras.models.local_reward import open_reward, open_run_reward
from selaras.models.local_weights import weights_hash
from selaras.models.names import place_of
from selaras.template import PLAIN
from selaras.tune.choose_pairs import (
    EncodedPairs,
    PairRows,
    choose_pairs,
    encode_pairs,
    left_out_lines,
    one_sided,
)
from selaras.tune.live import watch_words
from selaras.tune.record import finish, new_tuning
from selaras.tune.reward_page import render_reward
from selaras.tune.reward_trainer import train_reward
from selaras.tune.start import Start, starting_point
from selaras.tune.trainer import Training, epoch_checkpoints, loss_curve

CHECKPOINTS, PAGE = "checkpoints", "reward.html"


@dataclass(frozen=True, slots=True)
class RewardPlan:
    """What a training would do: shown by --dry-run, checked before anything is trained."""

    seed: int
    start: Start
    rows: PairRows
    encoded: EncodedPairs
    too_long: tuple[str, ...]
    development: Development
    policy: str | None = None

    @property
    def base(self) -> Path:
        """The folder of the base's weights."""
        return self.start.base

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know before it is trained."""
        lacks = one_sided(self.rows.directions)
        return (*self.start.notes, *([lacks] if lacks else []))

    @property
    def labels(self) -> dict[str, int]:
        """How many training pairs of each combination of labels, better side first."""
        return Pairs(self.rows.train).labels

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "seed": self.seed,
            "policy": self.policy,
            "pairs": len(self.encoded),
            "labels": self.labels,
            "directions": self.rows.directions,
            "selection_pairs": len(self.rows.aside),
            "tokens_per_epoch": self.encoded.tokens,
            "too_long": list(self.too_long),
            "left_out": [asdict(removal) for removal in self.rows.left_out],
            "removed": [removal.record for removal in self.development.removed],
            "variant": self.start.variant,
            "notes": list(self.notes),
        }

    @property
    def text(self) -> str:
        """The plan in a few lines."""
        labels = ", ".join(f"{n} {name}" for name, n in self.labels.items())
        lines = [
            f"reward model{f' of {self.policy}' if self.policy else ''}, seed {self.seed}: "
            f"{len(self.encoded)} pairs ({labels}); {self.encoded.tokens} tokens an epoch; "
            f"{len(self.rows.aside)} pairs kept aside to choose by"
        ]
        lines += left_out_lines(self.rows.left_out, self.too_long)
        return "\n".join([*lines, *(f"warning: {note}" for note in self.notes)])


def plan_reward(
    project: Project, policy: str | None = None, seed: int | None = None,
    progress: Progress = SILENT,
) -> RewardPlan:  # fmt: skip
    """Return the plan of a reward model; raises InputError where pairs are missing or wrong."""
    if policy is not None and policy not in project.file.policies:
        raise InputError(
            f"unknown policy {policy!r}", fix=f"use one of: {', '.join(project.file.policies)}"
        )
    settings = project.file.tune.reward
    development = open_development(project, progress)
    rows = choose_pairs(development, settings.selection_share, project.file.seed, policy)
    start = starting_point(project.file.tune, place_of(project, progress), answers=False)
    render = renderer(project, PLAIN)
    encoded = encode_pairs(rows.train, render, start.chat, start.room(settings.max_tokens))
    aside = encode_pairs(rows.aside, render, start.chat, start.room(settings.max_tokens))
    fitting = tuple(row for row in rows.aside if row.id not in aside.too_long)
    if not len(encoded) or not fitting:
        which, use = (rows.aside, "choose by") if len(encoded) else (rows.train, "train on")
        raise start.none_fits(
            f"{len(which)} pairs to {use}", settings.max_tokens, "tune.reward.max_tokens"
        )
    return RewardPlan(
        project.file.seed if seed is None else seed, start,
        replace(rows.fitting(encoded.too_long), aside=fitting), encoded,
        (*encoded.too_long, *aside.too_long),
        development, policy,
    )  # fmt: skip


def tune_reward(
    project: Project, plan: RewardPlan, *, resume: bool = False, progress: Progress = SILENT
) -> Manifest:
    """Train, choose the epoch by the pairs aside, and return the finished run's manifest.

    The same plan is read instead of trained again; `resume` goes on with one that was cut off.
    """
    settings = project.file.tune.reward
    key = fingerprint(
        [REWARD, weights_hash(plan.base), *plan.start.identity, plan.policy, plan.seed,
         settings.model_dump(mode="json"),
         plan.encoded.prompts, plan.encoded.chosen, plan.encoded.rejected,
         [[row.id, row.fingerprint, row.best] for row in plan.rows.aside]]
    )  # fmt: skip
    if known := with_key(project.runs, "tune", key, "finished"):
        progress.say(f"reward model: trained already, read from {known.id}")
        return known
    manifest = with_key(project.runs, "tune", key, "running") if resume else None
    if manifest is None:
        name = f"reward-{plan.policy}" if plan.policy else "reward"
        told = plan.to_dict()
        manifest = new_tuning(
            project, name, plan.base, plan.seed, plan.development,
            {"key": key, "method": REWARD, "settings": settings.model_dump(mode="json"),
             "chat_template": plan.start.chat_template,
             "trained": [row.id for row in plan.rows.train],
             **{field: told[field] for field in told if field not in {"seed", "removed"}}},
        ).model_copy(update={"parents": plan.start.parents, "notes": plan.notes})  # fmt: skip
    folder = write_manifest(project.runs, manifest)
    begun = time.monotonic()
    training = Training(
        plan.base, plan.encoded, settings, plan.seed, folder / CHECKPOINTS,
        start=plan.start.adapter, section=f"tune.{REWARD}",
    )  # fmt: skip
    checkpoints = epoch_checkpoints(training.folder, training.steps_per_epoch)
    if len(checkpoints) < settings.epochs:
        progress.say(watch_words(training.folder))
        checkpoints = train_reward(training, progress)
    scored = {path: _aside(project, plan, path, progress) for path in checkpoints}
    best = max(checkpoints, key=lambda path: _worth(scored[path]))
    figures = {"aside": pair_figures(scored[best])}
    write_json(folder / "loss.json", loss_curve(training.folder))
    done = finish(
        project, manifest, begun, figures,
        {"chosen": {"adapter": str(best.relative_to(folder)), "scale": 1.0},
         "points": [{"adapter": str(path.relative_to(folder)), **_point(scored[path])}
                    for path in checkpoints]},
        best.glob("adapter_*"),
    )  # fmt: skip
    write_text(folder / PAGE, render_reward(done))
    return done


def measure_sealed(project: Project, manifest: Manifest, progress: Progress = SILENT) -> Manifest:
    """Measure a finished reward model on the sealed pairs and return its manifest with the figures.

    A look: recorded before anything is scored, free for a model that looked at this seal before.
    """
    rewarder = open_run_reward(manifest.id, place_of(project, progress))
    with progress.task("scoring the sealed pairs", 1) as task:
        found = measure_sealed_pairs(
            project,
            rewarder,
            renderer(project, PLAIN),
            manifest.id,
            manifest.config["policy"],
            rewarder.fits,
        )
        task.advance()
    done = manifest.model_copy(update={"figures": {**manifest.figures, "sealed": found}})
    folder = write_manifest(project.runs, done)
    write_text(folder / PAGE, render_reward(done))
    return done


def _aside(
    project: Project, plan: RewardPlan, checkpoint: Path, progress: Progress
) -> list[PairScore]:
    rows = plan.rows.aside
    clusters = [plan.development.groups[row.id] for row in rows]
    with progress.task(f"choosing: {checkpoint.name}", 1) as task:
        rewarder = open_reward(
            plan.base, checkpoint, project.file.tune.model, plan.start.chat_template
        )
        scores = score_pairs(rows, clusters, rewarder, renderer(project, PLAIN))
        task.advance()
    return scores


def _worth(scores: list[PairScore]) -> tuple[float, float]:
    point = _point(scores)
    return point["accuracy"], -point["log_loss"]


def _point(scores: list[PairScore]) -> dict[str, float]:
    found = pair_figures(scores)
    return {"accuracy": found["accuracy"]["value"], "log_loss": found["calibration"]["log_loss"]}
