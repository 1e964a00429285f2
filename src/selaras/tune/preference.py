"""`selaras tune preference`: pairs of both directions to an adapter, its checkpoint chosen."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.files import write_json
from selaras.core.fingerprint import fingerprint
from selaras.core.manifest import Manifest, with_key, write_manifest
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data import Development, open_development
from selaras.data.pairs import HELPFUL, SAFE, usable_pairs
from selaras.evaluate import renderer
from selaras.models.local_weights import weights_hash
from selaras.models.names import place_of
from selaras.template import PLAIN
from selaras.tune.choose_pairs import (
    EncodedPairs,
    PairRows,
    encode_pairs,
    left_out_lines,
    one_sided,
)
from selaras.tune.choose_point import best_point
from selaras.tune.choose_rows import blind_side, enough_aside, set_aside
from selaras.tune.choosing import Selection, tried
from selaras.tune.live import watch_words
from selaras.tune.preference_trainer import train_preference
from selaras.tune.record import finish, new_tuning
from selaras.tune.start import Start, starting_point
from selaras.tune.trainer import Training, epoch_checkpoints, loss_curve

METHOD, CHECKPOINTS = "preference", "checkpoints"


@dataclass(frozen=True, slots=True)
class PreferencePlan:
    """What a tuning would do: shown by --dry-run, checked before anything is trained."""

    seed: int
    start: Start
    rows: PairRows
    encoded: EncodedPairs
    selection: tuple[Query, ...]
    development: Development

    @property
    def base(self) -> Path:
        """The folder of the base's weights."""
        return self.start.base

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know before it is trained."""
        lacks = (one_sided(self.rows.directions), blind_side(self.selection))
        return (*self.start.notes, *filter(None, lacks))

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "seed": self.seed,
            "variant": self.start.variant,
            "pairs": len(self.encoded),
            "directions": self.rows.directions,
            "selection_rows": len(self.selection),
            "tokens_per_epoch": self.encoded.tokens,
            "too_long": list(self.encoded.too_long),
            "left_out": [asdict(removal) for removal in self.rows.left_out],
            "removed": [removal.record for removal in self.development.removed],
            "notes": list(self.notes),
        }

    @property
    def text(self) -> str:
        """The plan in a few lines."""
        ways = ", ".join(f"{n} {name}" for name, n in self.rows.directions.items())
        lines = [
            f"preference tuning, seed {self.seed}: {len(self.encoded)} pairs ({ways}); "
            f"{self.encoded.tokens} tokens an epoch; {len(self.selection)} rows kept aside to "
            "choose by"
        ]
        lines += left_out_lines(self.rows.left_out, self.encoded.too_long)
        return "\n".join([*lines, *(f"warning: {note}" for note in self.notes)])


def plan_preference(
    project: Project, seed: int | None = None, progress: Progress = SILENT
) -> PreferencePlan:
    """Return the plan of a preference tuning.

    Raises InputError where pairs are missing, or where fewer than `minimum_pairs` teach either
    direction: with one alone the model learns to refuse, or to comply, whatever is asked.
    """
    settings = project.file.tune.preference
    development = open_development(project, progress)
    aside = set_aside(development, settings.selection_share, project.file.seed)
    found = usable_pairs(row for row in development.rows if row.id not in aside)
    rows = PairRows(found.kept, (), found.left_out)
    if not rows.train:
        raise InputError(
            "no usable preference pairs to train on",
            fix="add rows with response_a, response_b and best",
        )
    _both_directions(rows, settings.minimum_pairs)
    start = starting_point(project.file.tune, place_of(project, progress))
    encoded = encode_pairs(
        rows.train, renderer(project, PLAIN), start.chat, start.room(settings.max_tokens)
    )
    if not len(encoded):
        raise start.none_fits(
            f"{len(rows.train)} pairs", settings.max_tokens, "tune.preference.max_tokens"
        )
    # A pair that does not fit teaches nothing.
    rows = rows.fitting(encoded.too_long)
    _both_directions(rows, settings.minimum_pairs)
    selection = tuple(row for row in development.rows if row.id in aside)
    enough_aside(selection, f"tune.{METHOD}")
    return PreferencePlan(
        project.file.seed if seed is None else seed, start, rows, encoded, selection, development,
    )  # fmt: skip


def tune_preference(
    project: Project, plan: PreferencePlan, *, resume: bool = False, progress: Progress = SILENT
) -> Manifest:
    """Train, choose checkpoint and scale as SFT does, and return the finished run's manifest.

    The same plan is read instead of trained again; `resume` goes on with one that was cut off.
    """
    settings = project.file.tune.preference
    key = fingerprint(
        [METHOD, weights_hash(plan.base), *plan.start.identity, plan.seed,
         settings.model_dump(mode="json"),
         plan.encoded.prompts, plan.encoded.chosen, plan.encoded.rejected,
         [[row.id, row.fingerprint, row.expected, row.kind] for row in plan.selection],
         {case.id: case.input for case in project.file.use_cases}]
    )  # fmt: skip
    if known := with_key(project.runs, "tune", key, "finished"):
        progress.say(f"preference tuning: tuned already, read from {known.id}")
        return known
    manifest = with_key(project.runs, "tune", key, "running") if resume else None
    if manifest is None:
        told = plan.to_dict()
        manifest = new_tuning(
            project, METHOD, plan.base, plan.seed, plan.development,
            {"key": key, "method": METHOD, "settings": settings.model_dump(mode="json"),
             "chat_template": plan.start.chat_template,
             "trained": [row.id for row in plan.rows.train],
             **{name: told[name] for name in told if name not in {"seed", "removed"}}},
        ).model_copy(update={"parents": plan.start.parents, "notes": plan.notes})  # fmt: skip
    folder = write_manifest(project.runs, manifest)
    begun = time.monotonic()
    training = Training(
        plan.base, plan.encoded, settings, plan.seed, folder / CHECKPOINTS,
        start=plan.start.adapter, section=f"tune.{METHOD}",
    )  # fmt: skip
    checkpoints = epoch_checkpoints(training.folder, training.steps_per_epoch)
    if len(checkpoints) < settings.epochs:
        progress.say(watch_words(training.folder))
        checkpoints = train_preference(training, progress)
    selection = Selection(
        plan.base, plan.selection, plan.development.groups, folder, plan.start.chat_template
    )
    candidates = [(path, scale) for path in checkpoints for scale in settings.scales]
    points = tried(project, selection, candidates, progress)
    chosen = best_point(points)
    write_json(folder / "loss.json", loss_curve(training.folder))
    return finish(
        project, manifest, begun, chosen.figures,
        {
            "chosen": {"adapter": chosen.checkpoint, "scale": chosen.scale},
            "points": [
                {"adapter": p.checkpoint, "scale": p.scale, "figures": p.figures} for p in points
            ],
        },
        (folder / chosen.checkpoint).glob("adapter_*"),
    )  # fmt: skip


def _both_directions(rows: PairRows, minimum: int) -> None:
    lacks = {SAFE: "comply with whatever", HELPFUL: "refuse whatever"}
    for name, count in rows.directions.items():
        if count < minimum:
            raise InputError(
                f"{count} pairs teach {name!r}, {minimum} are needed: without them the model "
                f"learns to {lacks[name]} is asked",
                fix="add pairs that say what is expected (refuse, answer or safe_completion), or "
                "--set tune.preference.minimum_pairs=0 to go on all the same",
            )
