"""`selaras guard fit`: a classifier from the project's approved development rows, frozen by hash.

Queries: malicious rows against all that are to be answered in some way. Responses: rows that are
labelled unsafe against those labelled safe, where there are enough of both. What comes out of the
cross-validation are development figures; the sealed rows decide, through a System with this guard.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

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
from selaras.core.records import Conversation, Example, Kind, Query
from selaras.data import DEVELOPMENT_FIGURES, Development, open_development
from selaras.evaluate.systems import Opened, open_system
from selaras.policy import load_policies
from selaras.safeguard.classifier import About, Head, fitted_policies, known_tiers, save_classifier
from selaras.safeguard.curves import RowScore, curve_figures
from selaras.safeguard.features import ENCODERS, Embedded, Features, Probed
from selaras.safeguard.guard import given
from selaras.safeguard.learn import Labelled, Learnt, learn
from selaras.safeguard.outcome import Material, Side
from selaras.safeguard.spec import FOLDER, GuardSpec, StageSpec, as_yaml

PROBE = "probe"
FEWEST = 20  # rows of each label that a head needs
DEPTHS = (0.4, 0.6, 0.8)  # of a model's layers: where a probe is tried
SCORES = "scores.jsonl"


class TooFewRowsError(InputError):
    """Raised where no side has enough rows of both labels to fit on."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What is fitted. `layers` are tried for a probe, by default at .4, .6 and .8 of the depth;
    `system` is the one whose model a probe looks into and whose prompt the rows are put in.
    """

    name: str = "main"
    tier: str = PROBE
    budget: float = 0.05
    layers: tuple[int, ...] = ()
    system: str | None = None


@dataclass(frozen=True, slots=True)
class FittedGuard:
    """A finished fit: its run, the guard's file, and the out-of-fold scores."""

    manifest: Manifest
    file: str
    scores: tuple[RowScore, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Side:
    """The rows of one side with the texts that are read of them."""

    rows: tuple[Query, ...]
    materials: tuple[Material, ...]
    labelled: Labelled


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
    sides = _sides(development, opened.render)
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
    features, found = _learnt(project, settings, opened, sides, progress)
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
            "figures": _figures(scores, found, features),
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


def _sides(development: Development, render: Callable[[Query], Conversation]) -> dict[Side, _Side]:
    """Return the rows of each side that has enough of both labels."""
    found: dict[Side, _Side] = {}
    rows = development.rows
    talks = [render(row) for row in rows]
    asked = [Material("query", given(talk), talk) for talk in talks]
    bad = [row.kind is Kind.MALICIOUS for row in rows]
    found["query"] = _side(development, rows, asked, bad)
    answered = [
        (row, Material("response", row.response, talk), row.response_label == "unsafe")
        for row, talk in zip(rows, talks, strict=True)
        if isinstance(row, Example) and row.response_label and row.response.strip()
    ]
    if answered:
        own, said, labels = zip(*answered, strict=True)
        found["response"] = _side(development, own, said, labels)
    enough = {
        side: each
        for side, each in found.items()
        if FEWEST <= each.labelled.positive.sum() <= len(each.rows) - FEWEST
    }
    if not enough:
        raise TooFewRowsError(
            f"too few rows to fit on: a side needs {FEWEST} that break a policy and {FEWEST} that "
            f"do not, there are {int(sum(bad))} malicious queries of {len(rows)}",
            fix="add malicious queries and their look-alikes (selaras data audit shows what lacks)",
        )
    return enough


def _side(
    development: Development, rows: Sequence[Query], materials: Sequence[Material],
    bad: Sequence[bool],
) -> _Side:  # fmt: skip
    labelled = Labelled(
        np.array(bad, dtype=bool),
        tuple(row.policies for row in rows),
        tuple(development.groups[row.id] for row in rows),
    )
    return _Side(tuple(rows), tuple(materials), labelled)


def _learnt(
    project: Project, settings: FitSettings, opened: Opened, sides: Mapping[Side, _Side],
    progress: Progress,
) -> tuple[Features, dict[Side, Learnt]]:  # fmt: skip
    """Return the features that were taken and what was learnt over them, side by side."""
    choices: list[Features] = [Embedded(settings.tier)]
    spec_model = _model_name(project, settings, opened)
    if settings.tier == PROBE:
        layers = settings.layers or default_layers(opened)
        choices = [Probed(spec_model, layer, lambda: opened.model) for layer in layers]
    found: list[dict[Side, Learnt]] = []
    title = f"guard: fitting on {sum(len(each.rows) for each in sides.values())} rows"
    with progress.task(title, len(sides) * (1 + len(choices))) as task:
        read = {}
        for side, own in sides.items():
            read[side] = _vectors(choices, own, side)
            task.advance()
        for place in range(len(choices)):
            found.append({})
            for side, own in sides.items():
                found[-1][side] = learn(
                    read[side][place], own.labelled, settings.budget, project.file.seed
                )
                task.advance()
    best = min(range(len(choices)), key=lambda i: sum(each.loss for each in found[i].values()))
    return choices[best], found[best]


def _vectors(
    choices: Sequence[Features], own: _Side, side: Side
) -> list["np.typing.NDArray[np.float32]"]:
    """Return the vectors of the rows by each choice; a probe reads all its layers at once."""
    first = choices[0]
    if isinstance(first, Probed):
        layers = [each.layer for each in choices if isinstance(each, Probed)]
        states = first.states(own.materials, side, layers)
        return [states[:, place] for place in range(len(layers))]
    vectors, owners = first.read(own.materials, side)
    starts = [owners.index(i) for i in range(len(own.materials))]
    return [vectors[starts]]


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


def _scores(own: _Side, side: Side, learnt: Learnt) -> list[RowScore]:
    rows = zip(own.rows, own.labelled.groups, own.labelled.positive, learnt.out_of_fold,
               strict=True)  # fmt: skip
    return [
        RowScore(row.id, side, row.kind.value, row.policies, group, bool(bad), float(p))
        for row, group, bad, p in rows
    ]


def _figures(
    scores: Sequence[RowScore], found: Mapping[Side, Learnt], features: Features
) -> dict[str, Any]:
    return {
        "features": {k: v for k, v in features.identity.items() if k != "encoder"},
        "sides": {
            side: {
                "ridge": each.ridge,
                **each.head.about.model_dump(mode="json"),
                **curve_figures([s for s in scores if s.side == side], each.head.about.threshold),
            }
            for side, each in found.items()
        },
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
