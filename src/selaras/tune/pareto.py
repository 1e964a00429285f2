"""`selaras tune pareto`: checkpoints x adapter scales of finished runs, measured side by side.

On the development rows that none of the runs trained on, and on capability checks; never on sealed
rows. Of every run that leaves checkpoints of adapters (or of whole weights): SFT, preference, RL.
"""

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.manifest import (
    FILE,
    Manifest,
    new_manifest,
    read_manifest,
    with_key,
    write_manifest,
)
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data import DEVELOPMENT_FIGURES, Development, open_development
from selaras.evaluate import development_suite, load_checks, renderer
from selaras.evaluate.capability import run_checks
from selaras.evaluate.checks import Check
from selaras.evaluate.figures import figures_of, interval_value, judged_row
from selaras.evaluate.judging import judgement_of
from selaras.evaluate.runner import Answer, answer_rows
from selaras.evaluate.suite import asked
from selaras.judge.refusal import refusal_rules
from selaras.models.local import LocalModel, open_local, pad_id
from selaras.models.local_adapter import COMPLETE, Adapter
from selaras.models.local_open import (
    REWARD,
    base_folder,
    finished_tuning,
    refuse_changed_candidate,
)
from selaras.models.local_weights import weights_hash
from selaras.models.names import place_of
from selaras.stats import bca, clustered_wilson
from selaras.template import PLAIN
from selaras.tune.choose_rows import blind_side, set_aside
from selaras.tune.choosing import asking
from selaras.tune.divergence import mean_divergences
from selaras.tune.encode import Encoded
from selaras.tune.frontier import Advice, Spot, advice, front, letters
from selaras.tune.kept_answers import answered_by

SCALES = (0.25, 0.5, 0.75, 1.0)
CHECKS = 100
FEW = 20  # rows below which hardly any point can be told from another
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Sweep:
    """What would be measured: rows kept aside by all runs, checks, and (run, checkpoint, scale)."""

    manifests: tuple[Manifest, ...]
    base: Path
    rows: tuple[Query, ...]
    development: Development
    checks: tuple[Check, ...]
    points: tuple[tuple[int, Path, int, float], ...]

    @property
    def text(self) -> str:
        """The sweep in a line."""
        return (
            f"{len(self.points)} points of {len(self.manifests)} runs and the base, each on "
            f"{len(self.rows)} development rows that no run trained on "
            f"and {len(self.checks)} checks"
        )

    @property
    def warning(self) -> str | None:
        """What is to be known before these figures are read; None where rows are enough."""
        told = [blind] if (blind := blind_side(self.rows)) else []
        if len(self.rows) < FEW:
            told.append(
                f"{len(self.rows)} rows tell hardly any point from another; runs that were made "
                "under another seed, split or selection_share keep other rows aside: give them "
                "here, too (--set seed=…)"
            )
        return "; ".join(told) or None


@dataclass(frozen=True)
class Frontier:
    """The points measured, those on the front, and the advice. The base is the first point."""

    manifest: Manifest
    sweep: Sweep
    spots: tuple[Spot, ...]

    @cached_property
    def front(self) -> list[Spot]:
        """The points that no other dominates."""
        return front(self.spots)

    @cached_property
    def advice(self) -> Advice:
        """Which point to take, and why."""
        return advice(self.spots)


def plan_sweep(
    project: Project, runs: Sequence[str], scales: Sequence[float] = SCALES, checks: int = CHECKS,
    progress: Progress = SILENT,
) -> Sweep:  # fmt: skip
    """Return what a sweep over the runs would measure.

    Raises InputError for runs that are no finished tuning, of different models, without checkpoints
    or with no row that all of them kept aside.
    """
    place = place_of(project, progress)
    names = dict.fromkeys(run.removeprefix("run:") for run in runs)
    manifests = [finished_tuning(name, place) for name in names]
    _refuse_mixed(manifests)
    development = open_development(project, progress)
    shares = {float(_settings(m).get("selection_share", project.file.tune.selection_share))
              for m in manifests}  # fmt: skip
    aside = [set_aside(development, share, project.file.seed) for share in shares]
    trained = {name for m in _with_ancestors(project, manifests)
               for name in m.config.get("trained", ())}  # fmt: skip
    # A run of another seed, or of RL, divided the rows otherwise; a copy of a trained row is old.
    spent = {development.groups[name] for name in trained if name in development.groups}
    unseen = [
        row
        for row in development.rows
        if development.groups[row.id] not in spent and all(row.id in own for own in aside)
    ]
    if not unseen:
        several = len(manifests) > 1
        raise InputError(
            f"no row was kept aside by {'all of these runs' if several else 'this run'}",
            fix="name runs of one selection_share" if several else "add rows, or tune again with "
            "a larger selection_share",
        )  # fmt: skip
    rows = asked(unseen)
    if not rows:
        raise InputError("all rows kept aside are pairs, which are not asked",
                         fix="add rows that say what is expected")  # fmt: skip
    base = base_folder(str(manifests[0].config["model"]), place)
    if weights_hash(base) != manifests[0].config.get("weights"):
        raise InputError(f"{manifests[0].config['model']} has other weights than when the runs ran")
    points = _points_of(project, manifests, base, sorted(set(scales)))
    return Sweep(tuple(manifests), base, rows, development, _probe_checks(project, checks),
                 tuple(points))  # fmt: skip


def _points_of(
    project: Project, manifests: Sequence[Manifest], base: Path, scales: Sequence[float]
) -> Iterator[tuple[int, Path, int, float]]:
    """Yield (run, checkpoint, epoch, scale); raises InputError where they are not the runs' own."""
    for number, manifest in enumerate(manifests):
        found = checkpoints_of(project.runs / manifest.id)
        if not found:
            raise InputError(f"run {manifest.id!r} has no checkpoints left", path=project.runs)
        for epoch, path in enumerate(found, 1):
            refuse_changed_candidate(manifest, path.name, Adapter(path), base)
            yield from ((number, path, epoch, scale) for scale in scales)


def _with_ancestors(project: Project, manifests: Sequence[Manifest]) -> list[Manifest]:
    """Return the runs and those whose adapters they went on from, whose rows are in the weights.

    A reward model is a parent, too, and in nobody's weights.
    """
    found = {manifest.id: manifest for manifest in manifests}
    waiting = list(manifests)
    while waiting:
        for name in {*waiting.pop().parents} - found.keys():
            if (project.runs / name / FILE).is_file():
                parent = read_manifest(project.runs, name)
                if parent.config.get("method") != REWARD:
                    found[name] = parent
                    waiting.append(parent)
    return list(found.values())


def checkpoints_of(run: Path) -> list[Path]:
    """Return the whole checkpoints of a run, oldest first."""
    found = [path.parent for path in run.glob(f"checkpoints/*/{COMPLETE}")]
    return sorted(found, key=lambda path: int(re.sub(r"\D", "", path.name) or 0))


def measure_frontier(
    project: Project, sweep: Sweep, *, resume: bool = False, progress: Progress = SILENT
) -> Frontier:
    """Measure all points and return the frontier; a point that the journal holds is not repeated.

    A finished sweep of the same is read from its journal.
    """
    key = fingerprint(
        [[m.id for m in sweep.manifests], [[n, p.name, s] for n, p, _, s in sweep.points],
         development_suite(sweep.development, sweep.rows).fingerprint,
         [check.model_dump(mode="json") for check in sweep.checks], weights_hash(sweep.base),
         {case.id: case.input for case in project.file.use_cases}]
    )  # fmt: skip
    known = with_key(project.runs, "pareto", key, "finished")
    manifest = known or (with_key(project.runs, "pareto", key, "running") if resume else None)
    if manifest is None:
        manifest = _manifest(project, sweep, key)
    folder = write_manifest(project.runs, manifest) if known is None else project.runs / known.id
    begun = time.monotonic()
    spots = tuple(_measured(project, sweep, folder, progress))
    found = Frontier(manifest, sweep, spots)
    if known is None:
        found = Frontier(_finished(found, time.monotonic() - begun), sweep, spots)
        write_manifest(project.runs, found.manifest)
    return found


def spot_values(spot: Spot) -> dict[str, Any]:
    """Return a point as JSON values."""
    return {
        "label": spot.label, "run": spot.run, "checkpoint": spot.checkpoint, "epoch": spot.epoch,
        "scale": spot.scale, "model": spot.model, "benefit": spot.benefit,
        "refuses": dict(spot.rate("refuses")), "over_refusal": dict(spot.rate("over_refusal")),
        "capability": dict(spot.rate("capability")), "coherent": dict(spot.coherent),
        "kl": dict(spot.kl), "figures": dict(spot.figures),
    }  # fmt: skip


def coherent(text: str) -> bool:
    """Return whether an answer is text that does not run in circles.

    >>> coherent("Boil it for ten minutes."), coherent("the the the the the the the"), coherent("")
    (True, False, False)
    """
    words = _WORD.findall(text.casefold())
    threes = Counter(zip(words, words[1:], words[2:], strict=False))
    return bool(words) and max(threes.values(), default=0) < 3


def _measured(project: Project, sweep: Sweep, folder: Path, progress: Progress) -> Iterator[Spot]:
    template = sweep.manifests[0].config.get("chat_template")
    base = open_local(sweep.base, chat_template=template)
    journal = Journal(folder / "base.jsonl")
    kept = answered_by(base, sweep.rows, renderer(project, PLAIN), journal, progress)
    zeros = [0.0] * len(kept.rows)
    clusters = [sweep.development.groups[name] for name in kept.rows]
    yield _spot(
        project, sweep, base, (None, "", 0, 0.0, "base"), journal, progress, _mean(zeros, clusters)
    )
    with progress.task("frontier (points)", len(sweep.points)) as task:
        for number, path, epoch, scale in sweep.points:
            run = sweep.manifests[number]
            own = folder / f"{run.id}.jsonl"
            earlier = project.runs / run.id / "selection.jsonl"
            if not own.is_file() and earlier.is_file():
                # What was answered to choose by need not be answered again.
                shutil.copyfile(earlier, own)
            journal = Journal(own)
            model = open_local(sweep.base, adapter=Adapter(path, scale), chat_template=template)
            letter = f"{letters(number)} " if len(sweep.manifests) > 1 else ""
            about = (run.id, path.name, epoch, scale, f"{letter}e{epoch} x {scale:g}")
            moved = _mean(_moved(base, model, kept.encoded, journal), clusters)
            yield _spot(project, sweep, model, about, journal, progress, moved)
            task.advance()


def _spot(
    project: Project, sweep: Sweep, model: LocalModel, about: tuple[Any, ...], journal: Journal,
    progress: Progress, moved: Mapping[str, Any],
) -> Spot:  # fmt: skip
    job = asking(project, model, sweep.rows)
    answers = answer_rows(job, journal, progress, f"{about[-1]}: answering")
    groups = sweep.development.groups
    judged = tuple(
        judged_row(row, groups[row.id], judgement_of(refusal_rules, row, answer))
        for row, answer in zip(sweep.rows, answers, strict=True)
    )
    results = run_checks(job, sweep.checks, journal, progress)
    run, checkpoint, epoch, scale, label = about
    return Spot(
        run, checkpoint, epoch, scale, label, judged, tuple(results),
        figures_of(judged, results), moved,
        _coherent(answers, [groups[row.id] for row in sweep.rows]),
    )  # fmt: skip


def _moved(base: LocalModel, model: LocalModel, kept: Encoded, journal: Journal) -> list[float]:
    """Return KL(base || tuned) of each row, from the journal where it is there."""
    key = fingerprint(["kl", base.identity, model.identity, kept.input_ids])
    entry = journal.get(key)
    if entry is None:
        found = mean_divergences(
            lambda: nullcontext(base.model), lambda: nullcontext(model.model), kept,
            pad_id(base.chat.tokenizer),
        )  # fmt: skip
        entry = {"kl": found}
        journal.add(key, entry)
    return [float(value) for value in entry["kl"]]


def _mean(values: Sequence[float], clusters: Sequence[str]) -> dict[str, Any]:
    """Return a mean with its bootstrap interval by clusters, as JSON values."""
    if not values or not any(values):
        return {"value": 0.0 if values else None, "low": 0.0, "high": 0.0, "n": len(values)}
    numbers = np.array(values)
    return interval_value(bca(len(numbers), lambda drawn: float(numbers[drawn].mean()), clusters))


def _coherent(answers: Sequence[Answer], clusters: Sequence[str]) -> dict[str, Any]:
    good = [answer.status == "ok" and coherent(answer.text) for answer in answers]
    return interval_value(clustered_wilson(good, clusters))


def _refuse_mixed(manifests: Sequence[Manifest]) -> None:
    if not manifests:
        raise InputError("no run is named", fix="selaras tune pareto RUN…")
    for manifest in manifests:
        if manifest.config.get("method") == REWARD:
            raise InputError(f"run {manifest.id!r} made a reward model, which answers nothing")
    for key, word in (("weights", "models"), ("chat_template", "chat templates")):
        if len({str(manifest.config.get(key)) for manifest in manifests}) > 1:
            raise InputError(f"these runs tuned different {word}: their points do not compare",
                             fix="name runs of one base")  # fmt: skip
    if len({manifest.seal for manifest in manifests}) > 1:
        raise InputError("these runs were tuned under different seals", fix="tune them again")


def _settings(manifest: Manifest) -> dict[str, Any]:
    found = manifest.config.get("settings")
    return found if isinstance(found, dict) else {}


def _probe_checks(project: Project, most: int) -> tuple[Check, ...]:
    """Return some of the checks that are for choosing, chosen by their content."""
    checks = sorted(
        load_checks(project, "choosing"),
        key=lambda c: fingerprint([project.file.seed, c.query]),
    )
    return tuple(checks[:most])


def _manifest(project: Project, sweep: Sweep, key: str) -> Manifest:
    return new_manifest(
        "pareto", "",
        config={"key": key, "runs": [m.id for m in sweep.manifests],
                "rows": len(sweep.rows), "checks": len(sweep.checks)},
        seed=project.file.seed,
        policies=dict(sweep.manifests[0].policies),
        parents=[manifest.id for manifest in sweep.manifests],
        seal=sweep.development.seal,
        stamp=DEVELOPMENT_FIGURES,
    )  # fmt: skip


def _finished(found: Frontier, seconds: float) -> Manifest:
    told = found.advice
    return found.manifest.model_copy(
        update={
            "status": "finished",
            "finished": now(),
            "seconds": round(seconds, 1),
            "config": {
                **found.manifest.config,
                "points": [spot_values(spot) for spot in found.spots],
                "front": [spot.label for spot in found.front],
                "verdict": told.verdict,
                "take": told.take.model,
                "tied": [spot.label for spot in told.tied],
            },
            "figures": dict(told.take.figures),
        }
    )
