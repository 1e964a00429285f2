"""What a local model is, remembered by its files, so that telling it needs no weights in memory.

Opening a model takes seconds and gigabytes; whether it was measured already should take neither.
The note is kept by the model's name, this machine (its processor decides the precision) and size
and time of every file that the identity is made of; where anything differs the model is opened.
"""

import functools
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError, SelarasError
from selaras.core.files import lock, read_json, write_json
from selaras.core.fingerprint import fingerprint
from selaras.core.manifest import read_manifest
from selaras.models.names import Place, open_model
from selaras.models.protocol import Model


def known_identity(name: str, place: Place) -> dict[str, Any] | None:
    """Return the identity that a local model had when its files were last opened, or None."""
    key = _key(name, place)
    found = _notes(place).get(key) if key else None
    return found if isinstance(found, dict) else None


def lazily(name: str, place: Place) -> tuple[dict[str, Any], Callable[[], Model]]:
    """Return what the model is, and what opens it once; a model not known yet is opened here.

    Opening raises SelarasError where it is not what it was remembered as.
    """
    known = known_identity(name, place)

    @functools.cache
    def opening() -> Model:
        model = open_model(name, place)
        if known != model.identity:
            remember_identity(name, place, model.identity)
        if known is not None and known != model.identity:
            raise SelarasError(f"{name} is not what it was when it was last opened: run it again")
        return model

    return known if known is not None else opening().identity, opening


def remember_identity(name: str, place: Place, identity: dict[str, Any]) -> None:
    """Note the identity of a local model that was opened; others are cheap to open."""
    if key := _key(name, place):
        with lock(_file(place).with_suffix(".lock")):
            write_json(_file(place), {**_notes(place), key: identity})


def _key(name: str, place: Place) -> str | None:
    files = _sources(name, place)
    if not files:
        return None
    stamps = [[str(f), f.stat().st_size, f.stat().st_mtime_ns] for f in files if f.is_file()]
    return fingerprint([1, name, platform.node(), platform.processor(), stamps])


def _sources(name: str, place: Place) -> list[Path]:
    """Return the files that decide a local model's identity; none where there is nothing yet."""
    scheme, _, argument = name.partition(":")
    try:
        if scheme == "run":
            run, _, checkpoint = argument.partition("@")[0].partition("/")
            manifest = read_manifest(place.runs, run)
            chosen = str(manifest.config.get("chosen", {}).get("adapter", "-"))
            adapter = place.runs / run / (f"checkpoints/{checkpoint}" if checkpoint else chosen)
            base = _sources(str(manifest.config.get("model", "")), place)
            own = [place.runs / run / "manifest.json", *sorted(adapter.glob("*"))]
            return [*base, *own] if base else []
        if scheme == "gguf":
            path = place.root / argument
            return [path] if path.is_file() else []
        folder = _folder(scheme, argument, place)
    except InputError:
        return []
    return sorted(folder.glob("*")) if folder and (folder / "config.json").is_file() else []


def _folder(scheme: str, argument: str, place: Place) -> Path | None:
    if scheme == "hf":
        return place.root / argument
    if scheme == "bundled":
        from selaras.models.catalogue import bundled, is_ready, model_folder

        model = bundled(argument)
        return model_folder(model) if is_ready(model) else None
    return None


def _file(place: Place) -> Path:
    return place.cache / "identities.json"


def _notes(place: Place) -> dict[str, Any]:
    try:
        found = read_json(_file(place))
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}
