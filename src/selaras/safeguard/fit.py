"""`selaras guard fit`: a classifier from the project's approved development rows, frozen by hash.

Which rows speak for which side is said in `sides`; a side without enough of both labels is not
fitted, and the run says so. What comes out of the cross-validation are development figures; the
sealed rows decide, through a System with this guard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.files import write_jsonl, write_text
from selaras.core.fingerprint import fingerprint
from selaras.core.manifest import (
    Manifest,
    hashes,
    new_manifest,
    with_key,
    write_manifest,
)
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project, load_yaml
from selaras.data import DEVELOPMENT_FIGURES, open_development
from selaras.evaluate.systems import Opened, open_system
from selaras.policy import load_policies
from selaras.safeguard.classifier import About, Head, fitted_policies, known_tiers, save_classifier
from selaras.safeguard.curves import RowScore, curve_figures
from selaras.safeguard.features import ENCODERS, Embedded, Features, Probed, Read
from selaras.safeguard.learn import Learnt, learn
from selaras.safeguard.outcome import Side
from selaras.safeguard.sides import FitSide, require_one, sides_of, told
from selaras.safeguard.spec import FOLDER, GuardSpec, StageSpec, as_yaml

PROBE = "probe"
DEPTHS = (0.4, 0.6, 0.8)  # of a model's layers: where a probe is tried
SCORES = "scores.jsonl"


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What is fitted. `layers` are tried for a probe, by default at .4, .6 and .8 of the depth;
    `system` is the one whose model a probe looks into and whose prompt the rows are put in; `sides`
    are those that are fitted, where there are rows enough.
    """

    name: str = "main"
    tier: str = PROBE
    budget: float = 0.05
    layers: tuple[int, ...] = ()
    system: str | None = None
    sides: tuple[Side, ...] = ("query", "response")


@dataclass(frozen=True, slots=True)
class FittedGuard:
    """A finished fit: its run, the guard's file, and the out-of-fold scores."""

    manifest: Manifest
    file: str
    scores: tuple[RowScore, ...] = field(repr=False)


def fit_guard(
    project: Project, settings: FitSettings | None = None, progress: Progress = SILENT,
    opened: Opened | None = None,
) -> FittedGuard:  # fmt: skip
    """Fit a classifier and write `guards/NAME.npz`, `guards/NAME.yaml` and a run.

    A finished fit of the same rows, policies and settings is read instead of repeated. `opened` is
    the System, where it is open already. Raises InputError where there are too few rows.
    """
    settings = settings or FitSettings()
    opened = opened or _system(project, settings)
    development = open_development(project, progress)
    known_sides = sides_of(development, opened.render)
    every = {side: known_sides[side] for side in settings.sides}
    require_one(every)
    policies = load_policies(project)
    config = {
        **asdict(settings),
        "rows": fingerprint([[row.id, row.fingerprint, row.kind, row.policies]
                             for row in development.rows]),
        "policies": fitted_policies(policies),
        "template": opened.system.template,
        "model": opened.system.model if settings.tier == PROBE else None,
    }  # fmt: skip
    key = fingerprint(config)
    file = f"{FOLDER}/{settings.name}.yaml"
    known = with_key(project.runs, "guard", key, "finished")
    if known and _stands(project, known):
        progress.say(f"the guard {settings.name} is fitted already, read from {known.id}")
        return FittedGuard(known, file, read_scores(project, known.id))
    manifest = new_manifest(
        "guard", settings.name, config={**config, "key": key}, seed=project.file.seed,
        policies={name: policy.revision for name, policy in policies.items()},
        inputs=hashes(project.root, [project.root / FILE, project.decisions, *project.data_files]),
        seal=development.seal, stamp=DEVELOPMENT_FIGURES,
    )  # fmt: skip
    folder = write_manifest(project.runs, manifest)
    enough = {side: own for side, own in every.items() if own.enough}
    features, found, sides = _learnt(project, settings, opened, enough, progress)
    about = _about(settings, features, {side: each.head for side, each in found.items()}, policies)
    heads = {side: each.head for side, each in found.items()}
    path = project.root / FOLDER / f"{settings.name}.npz"
    sha256 = save_classifier(path, about, heads)
    _write_guard(project, settings.name, sha256)
    scores = [score for side, each in found.items() for score in _scores(sides[side], side, each)]
    write_jsonl(folder / SCORES, (asdict(score) for score in scores))
    done = manifest.model_copy(
        update={
            "status": "finished",
            "finished": now(),
            "figures": {
                "features": {k: v for k, v in features.identity.items() if k != "encoder"},
                "sides": {side: _figures(scores, side, each) for side, each in found.items()},
                "unfitted": told(every) | {s: "left out" for s in known_sides if s not in every},
                "unread": {side: len(enough[side].rows) - len(sides[side].rows) for side in found},
            },
            "outputs": hashes(project.root, [path, project.root / file, folder / SCORES]),
        }
    )
    write_manifest(project.runs, done)
    return FittedGuard(done, file, tuple(scores))


def read_scores(project: Project, run_id: str) -> tuple[RowScore, ...]:
    """Return the out-of-fold scores of a fit."""
    from selaras.core.files import read_jsonl

    lines = read_jsonl(project.runs / run_id / SCORES)
    return tuple(RowScore(**{**value, "policies": tuple(value["policies"])}) for _, value in lines)


def _system(project: Project, settings: FitSettings) -> Opened:
    if settings.tier not in {*ENCODERS, PROBE}:
        raise InputError(f"no features {settings.tier!r}", fix=f"use one of: {known_tiers()}")
    if not 0 < settings.budget < 1:
        raise InputError("the budget of false positives is a share between 0 and 1")
    if not project.file.systems:
        raise InputError("no Systems", path=project.root / FILE, fix="name one under `systems`")
    name = settings.system or next(iter(project.file.systems))
    return open_system(project, name, project.system_spec(name))


def _learnt(
    project: Project, settings: FitSettings, opened: Opened, sides: Mapping[Side, FitSide],
    progress: Progress,
) -> tuple[Features, dict[Side, Learnt], dict[Side, FitSide]]:  # fmt: skip
    """Return the features that were taken, what was learnt over them, and the rows they read."""
    choices: list[Features] = [Embedded(settings.tier)]
    spec_model = _model_name(project, settings, opened)
    if settings.tier == PROBE:
        layers = settings.layers or default_layers(opened)
        choices = [Probed(spec_model, layer, lambda: opened.model) for layer in layers]
    found: list[dict[Side, Learnt]] = []
    title = f"guard: fitting on {sum(len(each.rows) for each in sides.values())} rows"
    with progress.task(title, len(sides) * (1 + len(choices))) as task:
        read: dict[Side, list[Read]] = {}
        known: dict[Side, FitSide] = {}
        for side, own in sides.items():
            read[side], known[side] = _read(choices, own, side)
            task.advance()
        for place in range(len(choices)):
            found.append({})
            for side, own in known.items():
                found[-1][side] = learn(
                    read[side][place], own.labelled, settings.budget, project.file.seed
                )
                task.advance()
    best = min(range(len(choices)), key=lambda i: sum(each.loss for each in found[i].values()))
    return choices[best], found[best], known


def _read(choices: Sequence[Features], own: FitSide, side: Side) -> tuple[list[Read], FitSide]:
    """Return what each choice reads of the rows that it can read, and these rows.

    A probe reads all its layers at once.
    """
    first = choices[0]
    if isinstance(first, Probed):
        layers = [each.layer for each in choices if isinstance(each, Probed)]
        return first.read_at(own.materials, side, layers), own
    read = first.read(own.materials, side)
    if not read.unread:
        return [read], own
    known = own.without(read.unread)
    require_one({side: known})
    return [first.read(known.materials, side)], known


def default_layers(opened: Opened) -> tuple[int, ...]:
    """Return the layers of a System's model that a probe is tried after."""
    model: Any = opened.model
    if not hasattr(model, "hidden_states"):
        raise InputError(
            f"{opened.system.model.get('name')} shows nothing of its inside: a probe needs a local "
            "model", fix="use --features static or minilm",
        )  # fmt: skip
    return tuple(sorted({max(1, round(share * model.depth)) for share in DEPTHS}))


def _model_name(project: Project, settings: FitSettings, opened: Opened) -> str:
    name = settings.system or opened.system.name
    return project.file.systems[name].model if name in project.file.systems else name


def _about(
    settings: FitSettings, features: Features, heads: Mapping[Side, Head], policies: Any
) -> About:
    identity = features.identity
    return About(
        tier=settings.tier, model=identity.get("model"), layer=identity.get("layer"),
        encoder=identity["encoder"], policies=fitted_policies(policies),
        heads={side: head.about for side, head in heads.items()},
    )  # fmt: skip


def _scores(own: FitSide, side: Side, learnt: Learnt) -> list[RowScore]:
    rows = zip(own.rows, own.labelled.groups, own.labelled.positive, learnt.out_of_fold,
               strict=True)  # fmt: skip
    return [
        RowScore(row.id, side, row.kind.value, row.policies, group, bool(bad), float(p))
        for row, group, bad, p in rows
    ]


def _figures(scores: Sequence[RowScore], side: Side, learnt: Learnt) -> dict[str, Any]:
    about = learnt.head.about
    own = [score for score in scores if score.side == side]
    return {
        "ridge": learnt.ridge,
        **about.model_dump(mode="json"),
        **curve_figures(own, about.threshold),
    }


def _write_guard(project: Project, name: str, sha256: str) -> None:
    """Write the guard's file, or put the new classifier into the one that there is."""
    import yaml

    path = project.root / FOLDER / f"{name}.yaml"
    stage = StageSpec(type="classifier", file=f"{FOLDER}/{name}.npz", sha256=sha256)
    if path.is_file():
        value = load_yaml(path)
        own = value.get("stages", []) if isinstance(value, dict) else []
        place = next((i for i, s in enumerate(own) if s.get("file") == stage.file), None)
        if place is not None:
            own[place]["sha256"] = sha256
            write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
            return
    rules = project.root / FOLDER / "rules.yaml"
    first = (StageSpec(type="rules", file=f"{FOLDER}/rules.yaml"),) if rules.is_file() else ()
    spec = as_yaml(GuardSpec(stages=(*first, stage)))
    write_text(path, yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))


def _stands(project: Project, manifest: Manifest) -> bool:
    """Return whether the files that a fit wrote are still the ones that it wrote."""
    return all(
        Path(name).suffix == ".yaml" or hashes(project.root, [project.root / name]).get(name) == own
        for name, own in manifest.outputs.items()
    ) and all((project.root / name).is_file() for name in manifest.outputs)
