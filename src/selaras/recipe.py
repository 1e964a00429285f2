"""The whole loop in one readable function: where the stages meet.

policy -> data -> sealed split -> levers (prompt, tuning) -> evaluation -> report, on the starter
project and the embedded model, offline. Run it with `selaras quickstart DIR`; read it to see how
the stages are called from Python.
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.manifest import Manifest
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project, open_project
from selaras.core.records import Example, Kind, Query
from selaras.core.system import SystemSpec
from selaras.data import (
    AUDITS,
    AuditOptions,
    audit_project,
    load_rows,
    looks_at,
    open_development,
    read_seal,
    split_project,
)
from selaras.data.split import PAIRS
from selaras.evaluate import (
    Comparison,
    Evaluation,
    Opened,
    development_suite,
    evaluate,
    held_out_suite,
    load_checks,
    open_system,
    summary,
)
from selaras.evaluate.suite import asked
from selaras.report import (
    changed_since,
    comparisons,
    newest_audit,
    sentences,
    write_audit,
    write_report,
)
from selaras.starter import create_project
from selaras.tune.choose_point import SELECTION_TOKENS
from selaras.tune.choose_rows import Recipe, keeps

RECIPES: tuple[Recipe, ...] = ("naive", "guarded")
# Systems behind the guard: name to the System without it, None for the project's first.
GUARDED: dict[str, Recipe | None] = {"guard": None, "guarded+guard": "guarded"}
SHOWN_TWINS = 4
# Rough sizes for the forecast: a chat template around a row, opening a model's weights.
TEMPLATE_TOKENS = 45
OPENING_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the loop found."""

    project: Project
    evaluations: tuple[Evaluation, ...]
    showcase: tuple[Evaluation, ...]
    comparisons: tuple[Comparison, ...]
    twins: tuple[Query, ...]
    sentences: tuple[str, ...]
    report: Path
    looks: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as the JSON that `quickstart --json` prints."""
        first = self.evaluations[0].manifest
        return {
            "model": (first.system.model if first.system else {})["name"],
            "systems": [summary(evaluation) for evaluation in self.evaluations],
            "paired": [comparison.to_dict() for comparison in self.comparisons],
            "judge": first.config["judge"],
            "report": str(self.report),
            "looks": self.looks,
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Work:
    """What the loop will take on this machine."""

    training_tokens: int
    generated_tokens: int
    scored_tokens: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as JSON values."""
        return dataclasses.asdict(self)

    @property
    def text(self) -> str:
        """The forecast in a line."""
        return (
            f"forecast: {self.training_tokens / 1000:.0f}k tokens to train on, "
            f"{self.generated_tokens / 1000:.0f}k to generate, {self.scored_tokens / 1000:.0f}k to "
            f"score: about {self.seconds / 60:.0f} minutes here"
        )


def forecast(project: Project, progress: Progress = SILENT) -> Work:
    """Return what the loop takes: row counts, and a few seconds' measurement of this machine."""
    from selaras.models.local_speed import measure_speed

    model: Any = open_system(project, "base", first_system(project), progress).model
    speed = measure_speed(model)
    rows = asked(load_rows(project).kept)
    seal = read_seal(project)
    sealed = [row for row in seal.rows if not row.stratum.endswith(PAIRS)] if seal else []
    held_out = len(sealed) if seal else round(len(rows) * project.file.held_out_share)
    settings, sampling = project.file.tune, first_system(project).sampling
    targets = [row for row in rows if isinstance(row, Example)]
    share = (1 - settings.selection_share) * (1.0 if seal else 1 - project.file.held_out_share)
    tokens = {row.id: len(model.chat.text_ids(row.query_key + row.response)) for row in targets}
    training = sum(
        (tokens[row.id] + TEMPLATE_TOKENS) * share * settings.epochs
        for recipe in RECIPES
        for row in targets
        if keeps(recipe, row)
    )
    points = 1 + settings.epochs * len(settings.scales)
    selection = len(rows) * settings.selection_share
    systems = len(project.file.systems) + len(RECIPES)
    generated = systems * held_out * sampling.max_tokens + points * selection * SELECTION_TOKENS
    scored = systems * sum(len(check.query) // 2 for check in load_checks(project, "reported"))
    seconds = (
        training / speed.trained
        + generated / speed.generated
        + scored / speed.read
        + OPENING_SECONDS * (2 * systems + points)
    )
    return Work(round(training), round(generated), scored, round(seconds))


def first_system(project: Project) -> SystemSpec:
    """Return the project's reference System, the first one."""
    return next(iter(project.file.systems.values()))


def quickstart(
    folder: Path, *, resume: bool = False, overrides: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Outcome:  # fmt: skip
    """Run the loop in a folder (a new one, or a project made before) and return what it found.

    Every finished part is read instead of repeated; `resume` goes on inside the part that was cut
    off. Raises InputError where the folder holds something else.
    """
    begun = time.monotonic()
    project = open_or_create(folder, overrides)
    progress.say(forecast(project, progress).text)
    if read_seal(project) is None:
        made = split_project(project, progress=progress)
        progress.say(f"sealed {made.held_out} rows of {made.held_out + made.development}")
    audit(project, progress)
    tuned = {recipe: tune(project, recipe, resume, progress) for recipe in RECIPES}
    specs = {**project.file.systems, **tuned_specs(project, tuned)}
    twins = shown_twins(project, progress)
    suite = held_out_suite(project)
    shown = development_suite(open_development(project), twins)
    evaluations, showcase = [], []

    def measure(opened: Opened) -> None:
        evaluations.append(evaluate(project, opened, suite, resume=resume, progress=progress))
        showcase.append(
            evaluate(project, opened, shown, checks=(), resume=resume, progress=progress)
        )

    for name, spec in specs.items():
        measure(open_system(project, name, spec, progress))
    for opened in behind_guard(project, specs, progress):
        measure(opened)
    seal = read_seal(project)
    return Outcome(
        project=project,
        evaluations=tuple(evaluations),
        showcase=tuple(showcase),
        comparisons=tuple(comparisons(evaluations)),
        twins=tuple(twins),
        sentences=tuple(sentences(evaluations, project)),
        report=write_report(project, evaluations, showcase),
        looks=len(looks_at(project, seal)) if seal else 0,
        seconds=time.monotonic() - begun,
    )


def open_or_create(folder: Path, overrides: Sequence[str] = ()) -> Project:
    """Return the project in the folder, made from the starter where the folder is new or empty."""
    if not (folder / FILE).exists():
        create_project(folder, "household-helper")
    return open_project(folder, tuple(overrides))


def audit(project: Project, progress: Progress) -> None:
    """Audit the development rows, unless that was done since they changed; nothing is taken out.

    By the static encoder, which takes seconds: `selaras data audit` reads more closely.
    """
    known = newest_audit(project)
    if known and not changed_since(project, known):
        return
    found = audit_project(project, AUDITS, progress, AuditOptions(embedder="static"))
    page = write_audit(found, project)
    faults = sum(finding.level == "fault" for finding in found.findings)
    progress.say(f"audited {len(found.rows)} development rows: {faults} faults ({page})")


def tune(project: Project, recipe: Recipe, resume: bool, progress: Progress) -> Manifest:
    """Tune by a recipe and return the run."""
    from selaras.tune.sft import plan_sft, tune_sft

    return tune_sft(project, plan_sft(project, recipe, progress=progress),
                    resume=resume, progress=progress)  # fmt: skip


def tuned_specs(project: Project, tuned: dict[Recipe, Manifest]) -> dict[str, SystemSpec]:
    """Return a System a tuned run, sampled as the project's first System."""
    sampling = first_system(project).sampling
    return {
        recipe: SystemSpec(model=f"run:{manifest.id}", sampling=sampling)
        for recipe, manifest in tuned.items()
    }


def behind_guard(
    project: Project, specs: dict[str, SystemSpec], progress: Progress
) -> Iterator[Opened]:
    """Yield the reference System and the guarded tuning behind a guard fitted here.

    The guard is a probe into the reference's own model, its threshold chosen on development rows.
    Their models' answers are those already given; only the guard is asked.
    """
    from selaras.safeguard.fit import FitSettings, fit_guard
    from selaras.safeguard.sides import TooFewRowsError

    first = next(iter(project.file.systems))
    try:
        # Queries only: the responses of the starter's pairs take as long to read again as all else.
        fitted = fit_guard(project, FitSettings(system=first, sides=("query",)), progress)
    except TooFewRowsError as error:
        progress.say(f"no guard is measured: {error}")
        return
    shared = None
    for name, bare in GUARDED.items():
        spec = specs[bare or first].model_copy(update={"guard": fitted.file})
        opened = open_system(project, name, spec, progress)
        # One guard in memory: what it read of a question holds for both Systems.
        shared = shared or opened.guard
        yield dataclasses.replace(opened, guard=shared)


def shown_twins(project: Project, progress: Progress) -> list[Query]:
    """Return a few development twins that no recipe trains on, to show answers side by side."""
    from selaras.tune.choose_rows import choose_rows

    development = open_development(project, progress)
    rows = choose_rows(development, "guarded", project.file.tune, project.file.seed).selection
    by_cluster: dict[str, list[Query]] = {}
    for row in rows:
        if row.cluster:
            by_cluster.setdefault(row.cluster, []).append(row)
    pairs = [
        pair
        for _, pair in sorted(by_cluster.items())
        if {row.kind for row in pair} == {Kind.MALICIOUS, Kind.LOOK_ALIKE}
    ]
    step = max(1, len(pairs) // SHOWN_TWINS)
    return [row for pair in pairs[::step][:SHOWN_TWINS] for row in pair]
