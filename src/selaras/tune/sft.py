"""`selaras tune sft`: rows of a recipe to a LoRA adapter, its checkpoint and scale chosen."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.files import write_json
from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.manifest import Manifest, hashes, new_manifest, with_key, write_manifest
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project
from selaras.core.system import Sampling
from selaras.data import DEVELOPMENT_FIGURES, Development, open_development
from selaras.data.mix import draw_mix
from selaras.data.review import WAITS
from selaras.evaluate import development_suite, renderer
from selaras.evaluate.figures import figures_of, judged_row
from selaras.evaluate.judging import judgement_of
from selaras.evaluate.runner import Job, answer_rows
from selaras.judge.refusal import refusal_rules
from selaras.models.local import Adapter, open_local, weights_hash
from selaras.models.local_chat import ChatTokenizer
from selaras.models.local_open import base_folder
from selaras.models.names import place_of
from selaras.policy import load_policies
from selaras.template import PLAIN
from selaras.tune.choose_point import SELECTION_TOKENS, Point, best_point
from selaras.tune.choose_rows import Recipe, TuningRows, choose_rows
from selaras.tune.encode import Encoded, encode
from selaras.tune.launched import Launch, train_launched
from selaras.tune.own_words import in_own_words
from selaras.tune.trainer import Training, epoch_checkpoints, loss_curve, train

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tuning would do: shown by --dry-run, checked before anything is trained."""

    recipe: Recipe
    seed: int
    base: Path
    rows: TuningRows
    encoded: Encoded
    development: Development

    @property
    def training_tokens(self) -> int:
        """Tokens in one epoch."""
        return self.encoded.tokens

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "recipe": self.recipe,
            "seed": self.seed,
            "rows": self.rows.counts,
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
        return (
            f"{self.recipe}, seed {self.seed}: {kinds}; {self.training_tokens} tokens an epoch; "
            f"{len(self.rows.selection)} rows kept aside to choose by"
            + (f"; {waiting} drafts wait for review and are left out" if waiting else "")
        )


def plan_sft(
    project: Project, recipe: Recipe = "guarded", seed: int | None = None,
    progress: Progress = SILENT,
) -> Plan:  # fmt: skip
    """Return the plan of a tuning; raises InputError where rows are missing or wrong."""
    settings = project.file.tune
    seed = project.file.seed if seed is None else seed
    development = open_development(project, progress)
    rows = mixed(project, choose_rows(development, recipe, settings, project.file.seed))
    place = place_of(project, progress)
    base = base_folder(settings.model, place)
    chat = ChatTokenizer(_tokenizer(base))
    encoded = encode(rows.train, renderer(project, PLAIN), chat, settings.max_tokens)
    if not encoded.input_ids:
        raise InputError(
            f"all {len(rows.train)} training rows are longer than {settings.max_tokens} tokens",
            fix="raise --set tune.max_tokens",
        )
    return Plan(recipe, seed, base, rows, encoded, development)


def mixed(project: Project, rows: TuningRows) -> TuningRows:
    """Return the rows with those to train on drawn to `tune.mix`, where one is named."""
    name, mixes = project.file.tune.mix, project.file.mixes
    if name is None:
        return rows
    if name not in mixes:
        raise InputError(f"no mix named {name!r}", field="tune.mix",
                         fix=f"use one of: {', '.join(mixes) or '(none yet)'}")  # fmt: skip
    return TuningRows(draw_mix(rows.train, mixes[name], project.file.seed).rows, rows.selection)


def tune_sft(
    project: Project, plan: Plan, *, resume: bool = False, progress: Progress = SILENT,
    launch: Launch | None = None,
) -> Manifest:  # fmt: skip
    """Train and choose, and return the finished run's manifest.

    The same plan is read instead of trained again; `resume` goes on with one that was cut off, from
    its last whole checkpoint. `launch` trains in several processes.
    """
    settings = project.file.tune.model_dump(mode="json")
    # What is trained on, and all that choosing depends on: a row that was relabelled, or a use case
    # that renders it otherwise, makes another run.
    key = fingerprint(
        [weights_hash(plan.base), plan.recipe, plan.seed, settings,
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
    training = Training(
        plan.base, encoded, project.file.tune, plan.seed, folder / CHECKPOINTS,
        # The naive recipe is the plain one that people would try first.
        1.0 if plan.recipe == "naive" else project.file.tune.first_token_weight,
    )  # fmt: skip
    checkpoints = epoch_checkpoints(training.folder, training.steps_per_epoch)
    if len(checkpoints) < project.file.tune.epochs:
        checkpoints = (
            train_launched(training, launch, progress) if launch else train(training, progress)
        )
    points = _points(project, plan, folder, checkpoints, progress)
    chosen = best_point(points)
    write_json(folder / "loss.json", loss_curve(training.folder))
    done = manifest.model_copy(
        update={
            "status": "finished",
            "finished": now(),
            "seconds": round(time.monotonic() - begun, 1),
            "config": {
                **manifest.config,
                "replaced_by_own_words": replaced,
                "chosen": {"adapter": chosen.checkpoint, "scale": chosen.scale},
                "points": [
                    {"adapter": p.checkpoint, "scale": p.scale, "figures": p.figures}
                    for p in points
                ],
            },
            "figures": chosen.figures,
            "outputs": hashes(project.root, (folder / chosen.checkpoint).glob("adapter_*")),
        }
    )
    write_manifest(project.runs, done)
    return done


def _targets(project: Project, plan: Plan, folder: Path, progress: Progress) -> tuple[Encoded, int]:
    """Return what is trained on: for `guarded`, answered rows in the base model's own words."""
    if plan.recipe == "naive" or not project.file.tune.own_words:
        return plan.encoded, 0
    model = open_local(plan.base)
    asked = renderer(project, PLAIN)
    journal = Journal(folder / "own_words.jsonl")
    replay = in_own_words(plan.rows.train, model, asked, refusal_rules, journal, progress)
    settings = project.file.tune
    encoded = encode(replay.rows, asked, model.chat, settings.max_tokens, replay.cut)
    return encoded, replay.replaced


def _points(
    project: Project, plan: Plan, folder: Path, checkpoints: Sequence[Path], progress: Progress
) -> list[Point]:
    """Return the candidates with their figures; the naive recipe takes the end as it is."""
    if plan.recipe == "naive":
        pairs = [(checkpoints[-1], 1.0)]
    else:
        pairs = [(path, scale) for path in checkpoints for scale in project.file.tune.scales]
    journal = Journal(folder / "selection.jsonl")
    return [_point(project, plan, folder, Adapter(p, s), journal, progress) for p, s in pairs]


def _point(
    project: Project, plan: Plan, folder: Path, adapter: Adapter, journal: Journal,
    progress: Progress,
) -> Point:  # fmt: skip
    model = open_local(plan.base, adapter=adapter)
    rows = plan.rows.selection
    job = Job(
        fingerprint(model.identity), model, Sampling(max_tokens=SELECTION_TOKENS), rows,
        renderer(project, PLAIN),
    )  # fmt: skip
    name = adapter.folder.relative_to(folder)
    answers = answer_rows(job, journal, progress, f"choosing: {name.name} x {adapter.scale:g}")
    judged = [
        judged_row(row, plan.development.groups[row.id], judgement_of(refusal_rules, row, answer))
        for row, answer in zip(rows, answers, strict=True)
    ]
    figures: dict[str, Any] = figures_of(judged, [])
    return Point(str(name), adapter.scale, figures)


def _manifest(project: Project, plan: Plan, key: str, settings: dict[str, Any]) -> Manifest:
    policies = {policy.id: policy.revision for policy in load_policies(project).values()}
    files = [project.root / FILE, project.decisions, *project.data_files]
    return new_manifest(
        "tune",
        plan.recipe,
        config={
            "key": key,
            "method": "sft",
            "recipe": plan.recipe,
            "model": project.file.tune.model,
            "weights": weights_hash(plan.base),
            "settings": settings,
            "rows": plan.rows.counts,
            "selection_rows": len(plan.rows.selection),
            "tokens_per_epoch": plan.training_tokens,
            "too_long": list(plan.encoded.too_long),
            "removed": len(plan.development.removed),
        },
        seed=plan.seed,
        policies=policies,
        inputs=hashes(project.root, files),
        seal=plan.development.seal,
        stamp=DEVELOPMENT_FIGURES,
    )


def _tokenizer(base: Path) -> Any:
    from selaras.models.local_torch import transformers

    return transformers.AutoTokenizer.from_pretrained(base, local_files_only=True)
