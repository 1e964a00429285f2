"""One string names a model: `bundled:…`, `hf:…`, `gguf:…`, `run:…`, `openai:…`, `python:…`, …"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from selaras.core.endpoint import Endpoint
from selaras.core.errors import InputError
from selaras.core.late import resolve
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.models.protocol import Embedder, Model, Rewarder

SCHEMES = {
    "bundled": "selaras.models.local_open:open_bundled",
    "gguf": "selaras.models.local_open:open_gguf",
    "hf": "selaras.models.local_open:open_hf",
    "http": "selaras.models.application:open_http",
    "https": "selaras.models.application:open_http",
    "openai": "selaras.models.remote:open_remote",
    "python": "selaras.models.application:open_python",
    "run": "selaras.models.local_open:open_run",
    "scripted": "selaras.models.scripted:open_scripted",
}

# Models of reward: scheme to what opens one, `(argument, Place) -> Rewarder`.
REWARDERS = {"run": "selaras.models.local_reward:open_run_reward"}

# Sentence encoders: name to what opens one, `() -> Embedder`.
EMBEDDERS = {
    "minilm": "selaras.models.local_embed:open_embedder",
    "static": "selaras.models.static_embed:open_static",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model's name is read: paths are relative to `root`, runs live in `runs`.

    `endpoints` says by base URL how each endpoint may be used.
    """

    root: Path
    runs: Path
    cache: Path
    progress: Progress = SILENT
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)


def place_of(project: Project, progress: Progress = SILENT) -> Place:
    """Return the place of a project's models."""
    return Place(project.root, project.runs, project.cache, progress, project.file.endpoints)


def open_model(name: str, place: Place) -> Model:
    """Return the model that the string names.

    Raises InputError for an unknown scheme, a path that does not exist, a missing extra.
    """
    scheme, colon, argument = name.partition(":")
    if not colon or scheme not in SCHEMES or not argument:
        raise InputError(
            f"{name!r} names no model",
            fix="write SCHEME:NAME with a scheme out of " + ", ".join(sorted(SCHEMES)),
        )
    if scheme in {"http", "https"}:
        argument = name
    opener: Callable[[str, Place], Model] = resolve(SCHEMES[scheme])
    return opener(argument, place)


def open_rewarder(name: str, place: Place) -> Rewarder:
    """Return the reward model that the string names: `run:ID` of a finished `tune reward`.

    Raises InputError for another scheme, a run of another kind, an adapter that does not fit.
    """
    scheme, _, argument = name.partition(":")
    if scheme not in REWARDERS or not argument:
        raise InputError(
            f"{name!r} names no reward model", fix="train one with 'selaras tune reward', and "
            "name it run:ID",
        )  # fmt: skip
    opener: Callable[[str, Place], Rewarder] = resolve(REWARDERS[scheme])
    return opener(argument, place)


def open_embedder(name: str) -> Embedder:
    """Return the encoder of that name; raises InputError for an unknown one or a missing extra."""
    if name not in EMBEDDERS:
        raise InputError(f"no encoder {name!r}", fix=f"use one of: {', '.join(EMBEDDERS)}")
    opener: Callable[[], Embedder] = resolve(EMBEDDERS[name])
    return opener()
