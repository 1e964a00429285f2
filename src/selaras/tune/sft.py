"""`selaras tune sft`: rows of a recipe to a LoRA adapter, its checkpoint and scale chosen."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.files import write_json
from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.manifest import Manifest, with_key, write_manifest
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.tuning import Tuning
from selaras.data import Development, open_development
from selaras.data.mix import draw_mix
from selaras.data.review import WAITS
from selaras.evaluate import development_suite, renderer
from selaras.judge.refusal import refusal_rules
from selaras.models.local import open_local
from selaras.models.local_weights import weights_hash
from selaras.models.names import place_of
from selaras.template import PLAIN
from selaras.tune.choose_point import Point, best_point
from selaras.tune.choose_rows import Draw, Recipe, TuningRows, choose_rows, refuse_one_sided
from selaras.tune.choosing import Selection, tried
from selaras.tune.encode import Encoded, encode, some
from selaras.tune.kept_answers import answered_by
from selaras.tune.launched import Launch, train_launched
from selaras.tune.live import watch_words
from selaras.tune.own_words import OWN_WORDS, in_own_words
from selaras.tune.record import finish, new_tuning
from selaras.tune.recovery import Recovery, recovery_rows
from selaras.tune.response_loss import Weights
from selaras.tune.start import Start, starting_point
from selaras.tune.trainer import Training, epoch_checkpoints, loss_curve, stopped_by, train

CHECKPOINTS = "checkpoints"
# Settings of other trainings, and those that the naive recipe does not use.
_OTHERS = {"reward", "preference", "rl"}
_GUARDS = {
    "own_words", "recovery", "first_token_weight", "kl_coefficient", "kl_first_token_weight",
    "scales", "minimum_look_alikes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tuning would do: shown by --dry-run, checked before anything is trained."""

    recipe: Recipe
    seed: int
    start: Start
    rows: TuningRows
    recovery: Recovery
    encoded: Encoded
    development: Development

    @property
    def base(self) -> Path:
        """The folder of the base's weights."""
        return self.start.base

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know before it is trained."""
        return (*self.start.notes, *self.rows.notes)

    @property
    def training_tokens(self) -> int:
        """Tokens in one epoch."""
        return self.encoded.tokens

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "recipe": self.recipe,
            "seed": self.seed,
            "variant": self.start.variant,
            "rows": self.rows.counts,
            "recovery_rows": len(self.recovery.rows),
            "went": self.rows.went,
            "notes": list(self.notes),
            "selection_rows": len(self.rows.selection),
            "tokens_per_epoch": self.training_tokens,
            "too_long": list(self.encoded.too_long),
            "removed": [removal.record for removal in self.development.removed],
        }

    @property
    def text(self) -> str:
        """The plan in a line."""
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.rows.counts.items())
        waiting = sum(removal.reason.startswith(WAITS) for removal in self.development.removed)
        long = self.encoded.too_long
        return (
            f"{self.recipe}, seed {self.seed}, from {self.start.variant}: {kinds}; "
            + (f"{n} of them after a harmful beginning; " if (n := len(self.recovery.rows)) else "")
            + f"{self.training_tokens} tokens an epoch; "
            + f"{len(self.rows.selection)} rows kept aside to choose by"
            + (f"; {waiting} drafts wait for review and are left out" if waiting else "")
            + "".join(f"\n  {n} {place}" for place, n in sorted(self.rows.went.items()))
            + (f"\n  {len(long)} of them too long and left out: {some(long)}" if long else "")
            + "".join(f"\nwarning: {note}" for note in self.notes)
        )


def plan_sft(
    project: Project, recipe: Recipe = "guarded", seed: int | None = None,
    progress: Progress = SILENT,
) -> Plan:  # fmt: skip
    """Return the plan of a tuning; raises InputError where rows are missing or wrong."""
    settings = project.file.tune
    seed = project.file.seed if seed is None else seed
    for name in settings.use_cases:
        project.use_case(name)
    development = open_development(project, progress)
    rows = choose_rows(development, recipe, settings, project.file.seed, mix_of(project))
    start = starting_point(settings, place_of(project, progress))
    share = settings.recovery if recipe == "guarded" else 0.0
    recovery = recovery_rows(rows.train, rows.unsafe, share, seed)
    encoded = encode(
        [*rows.train, *recovery.rows], renderer(project, PLAIN), start.chat,
        start.room(settings.max_tokens), begun=recovery.begun,
    )  # fmt: skip
    if not encoded.input_ids:
        raise start.none_fits(
            f"{len(rows.train)} training rows", settings.max_tokens, "tune.max_tokens"
        )
    # A row that does not fit teaches nothing.
    long = {*encoded.too_long}
    refuse_one_sided([row for row in rows.train if row.id not in long], recipe, settings)
    return Plan(recipe, seed, start, rows, recovery, encoded, development)


def mix_of(project: Project) -> Draw | None:
    """Return what draws the rows to train on to `tune.mix`, None where no mix is named."""
    name, mixes = project.file.tune.mix, project.file.mixes
    if name is None:
        return None
    if name not in mixes:
        raise InputError(f"no mix named {name!r}", field="tune.mix",
                         fix=f"use one of: {', '.join(mixes) or '(none yet)'}")  # fmt: skip
    return lambda rows: draw_mix(rows, mixes[name], project.file.seed).rows


def tune_sft(
    project: Project, plan: Plan, *, resume: bool = False, progress: Progress = SILENT,
    launch: Launch | None = None,
) -> Manifest:  # fmt: skip
    """Train and choose, and return the finished run's manifest.

    The same plan is read instead of trained again; `resume` goes on with one that was cut off, from
    its last whole checkpoint. `launch` trains in several processes.
    """
    if launch and project.file.tune.kl_budget:
        raise InputError("a KL budget is held by one process only", field="tune.kl_budget",
                         fix="leave --accelerate or the budget out")  # fmt: skip
    unused = _OTHERS | (_GUARDS if plan.recipe == "naive" else set())
    settings = project.file.tune.model_dump(mode="json", exclude=unused)
    # What is trained on, and all that choosing depends on: a row that was relabelled, or a use case
    # that renders it otherwise, makes another run.
    key = fingerprint(
        [weights_hash(plan.base), plan.recipe, plan.seed, settings, *plan.start.identity,
         plan.encoded.input_ids, plan.encoded.labels,
         development_suite(plan.development, plan.rows.selection).fingerprint,
         {case.id: case.input for case in project.file.use_cases}]
    )  # fmt: skip
    if known := with_key(project.runs, "tune", key, "finished"):
        progress.say(f"{plan.recipe}: tuned already, read from {known.id}")
        return known
    manifest = with_key(project.runs, "tune", key, "running") if resume else None
    if manifest is None:
        manifest = _manifest(project, plan, key, settings)
    folder = write_manifest(project.runs, manifest)
    begun = time.monotonic()
    encoded, replaced = _targets(project, plan, folder, progress)
    probe = _probe(project, plan, folder, progress) if project.file.tune.kl_budget else None
    training = replace(
        training_of(project, plan, encoded, folder / CHECKPOINTS),
        probe=probe, kl_budget=project.file.tune.kl_budget,
    )  # fmt: skip
    checkpoints = epoch_checkpoints(training.folder, training.steps_per_epoch)
    if len(checkpoints) < project.file.tune.epochs:
        progress.say(watch_words(training.folder))
        checkpoints = (
            train_launched(training, launch, progress) if launch else train(training, progress)
        )
    points = _points(project, plan, folder, checkpoints, progress)
    stopped = stopped_by(checkpoints[-1])
    chosen = best_point(points)
    write_json(folder / "loss.json", loss_curve(training.folder))
    notes = (*manifest.notes, *filter(None, [stopped]))
    return finish(
        project, manifest.model_copy(update={"notes": notes}), begun, chosen.figures,
        {
            "stopped": stopped,
            "replaced_by_own_words": replaced,
            "chosen": {"adapter": chosen.checkpoint, "scale": chosen.scale},
            "points": [
                {"adapter": p.checkpoint, "scale": p.scale, "figures": p.figures} for p in points
            ],
        },
        _weight_files(folder, checkpoints),
    )  # fmt: skip


def training_of(project: Project, plan: Plan, rows: Encoded, folder: Path) -> Training[Encoded]:
    """Return the training of a plan on rows, without what a budget on KL needs."""
    settings = project.file.tune
    return Training(
        plan.base, rows, settings, plan.seed, folder, _weights(settings, plan.recipe),
        plan.start.adapter, settings.method == "full",
    )  # fmt: skip


def _targets(project: Project, plan: Plan, folder: Path, progress: Progress) -> tuple[Encoded, int]:
    """Return what is trained on: for `guarded`, answered rows in the base model's own words."""
    if plan.recipe == "naive" or not project.file.tune.own_words:
        return plan.encoded, 0
    model = open_local(plan.base, chat_template=plan.start.chat_template)
    asked = renderer(project, PLAIN)
    journal = Journal(folder / OWN_WORDS)
    replay = in_own_words(plan.rows.train, model, asked, refusal_rules, journal, progress)
    settings = project.file.tune
    encoded = encode(
        [*replay.rows, *plan.recovery.rows], asked, model.chat,
        plan.start.room(settings.max_tokens), replay.cut, plan.recovery.begun,
    )  # fmt: skip
    return encoded, replay.replaced


def _weights(settings: Tuning, recipe: Recipe) -> Weights:
    """Return what the loss weighs; the naive recipe is the plain one that people would try."""
    if recipe == "naive":
        return Weights()
    return Weights(
        settings.first_token_weight, settings.kl_coefficient, settings.kl_first_token_weight
    )


def _probe(project: Project, plan: Plan, folder: Path, progress: Progress) -> Encoded:
    """Return rows kept aside that are to be answered, with the base's own answers."""
    model = open_local(plan.base, chat_template=plan.start.chat_template)
    journal = Journal(folder / "probe.jsonl")
    kept = answered_by(model, plan.rows.selection, renderer(project, PLAIN), journal, progress)
    if not kept.rows:
        raise InputError("no row kept aside is to be answered: KL has nothing to be measured on",
                         field="tune.kl_budget", fix="add rows with expected: answer")  # fmt: skip
    return kept.encoded


def _points(
    project: Project, plan: Plan, folder: Path, checkpoints: Sequence[Path], progress: Progress
) -> list[Point]:
    """Return the candidates with their figures; the naive recipe takes the end as it is."""
    if plan.recipe == "naive":
        pairs = [(checkpoints[-1], 1.0)]
    else:
        pairs = [(path, scale) for path in checkpoints for scale in project.file.tune.scales]
    selection = Selection(
        plan.base, plan.rows.selection, plan.development.groups, folder, plan.start.chat_template
    )
    return tried(project, selection, pairs, progress)


def _manifest(project: Project, plan: Plan, key: str, settings: dict[str, Any]) -> Manifest:
    return new_tuning(
        project, plan.recipe, plan.base, plan.seed, plan.development,
        {
            "key": key,
            "method": "sft",
            "recipe": plan.recipe,
            "settings": settings,
            "variant": plan.start.variant,
            "chat_template": plan.start.chat_template,
            "rows": plan.rows.counts,
            "recovery_rows": len(plan.recovery.rows),
            "went": plan.rows.went,
            "trained": [row.id for row in plan.rows.train],
            "selection_rows": len(plan.rows.selection),
            "tokens_per_epoch": plan.training_tokens,
            "too_long": list(plan.encoded.too_long),
        },
    ).model_copy(update={"parents": plan.start.parents, "notes": plan.notes})  # fmt: skip


def _weight_files(folder: Path, checkpoints: Sequence[Path]) -> list[Path]:
    """Return the files that make each candidate what it is: any of them may be opened later."""
    return [
        path
        for checkpoint in checkpoints
        for pattern in ("adapter_*", "model*.safetensors")
        for path in (folder / CHECKPOINTS / checkpoint.name).glob(pattern)
    ]
