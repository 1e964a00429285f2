"""The local models that a model string can name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.fingerprint import sha256_file
from selaras.core.manifest import Manifest, read_manifest
from selaras.models.catalogue import bundled, get_bundled, get_gguf
from selaras.models.hub import hf_folder
from selaras.models.local import LocalModel, open_local
from selaras.models.local_adapter import COMPLETE, Adapter, weights_file
from selaras.models.local_weights import refuse_no_model, weights_hash
from selaras.models.names import Place

# What a manifest's `method` says of a run that made a reward model.
REWARD = "reward"


def base_folder(name: str, place: Place) -> Path:
    """Return the HF folder of an untuned local model; raises InputError for other schemes."""
    scheme, _, argument = name.partition(":")
    if scheme == "bundled":
        return get_bundled(argument, progress=place.progress)
    if scheme == "gguf":
        return get_gguf(place.root / argument, place.progress)
    if scheme == "hf":
        folder = hf_folder(argument, place)
        refuse_no_model(folder)
        return folder
    raise InputError(
        f"{name!r} has no weights here",
        fix="name a local model: bundled:NAME, hf:FOLDER_OR_NAME or gguf:FILE",
    )


def open_bundled(argument: str, place: Place) -> LocalModel:
    """Return a model that a registry package carries."""
    folder = get_bundled(argument, progress=place.progress)
    return open_local(folder, name=bundled(argument).identity)


def open_gguf(argument: str, place: Place) -> LocalModel:
    """Return the model of a GGUF file, de-quantised once."""
    folder = get_gguf(place.root / argument, place.progress)
    return open_local(folder, name=f"{Path(argument).stem}-dequantised")


def open_hf(argument: str, place: Place) -> LocalModel:
    """Return the model of a folder in Hugging Face layout, or of the hub by its name."""
    folder = hf_folder(argument, place)
    # A path names its last part only: where it lies says something of the machine, not the model.
    return open_local(folder, name=None if folder == place.root / argument else f"hf:{argument}")


def open_run(argument: str, place: Place) -> LocalModel:
    """Return the model that a tuning run made: `RUN` as chosen, `RUN@SCALE` at another scale.

    `RUN/CHECKPOINT` and `RUN/CHECKPOINT@SCALE` are another checkpoint of it (at scale 1).
    """
    run_id, checkpoint, scale = run_parts(argument)
    manifest = finished_tuning(run_id, place)
    if manifest.config.get("method") == REWARD:
        raise InputError(
            f"run {run_id!r} made a reward model: it scores answers and gives none",
            fix=f"use it as a judge: --judge reward:run:{run_id}",
        )
    adapter = candidate(manifest, checkpoint, scale, place)
    base = str(manifest.config["model"])
    weights = base_folder(base, place)
    refuse_changed_candidate(manifest, checkpoint, adapter, weights)
    scheme, _, name = base.partition(":")
    return open_local(
        weights,
        name=bundled(name).identity if scheme == "bundled" else base,
        adapter=adapter,
        chat_template=manifest.config.get("chat_template"),
    )


def run_parts(argument: str) -> tuple[str, str, str]:
    """Return (run, checkpoint, scale) of what follows `run:`; the last two may be empty.

    >>> run_parts("tune-a/checkpoint-20@0.7"), run_parts("tune-a")
    (('tune-a', 'checkpoint-20', '0.7'), ('tune-a', '', ''))
    """
    name, _, scale = argument.partition("@")
    run, _, checkpoint = name.partition("/")
    return run, checkpoint, scale


def candidate(manifest: Manifest, checkpoint: str, scale: str, place: Place) -> Adapter:
    """Return a checkpoint of a run at a scale, both as texts; empty ones are what the run chose.

    Another checkpoint than the chosen one is at scale 1 where none is said. Raises InputError.
    """
    run = place.runs / manifest.id
    chosen = manifest.config["chosen"]
    if not checkpoint:
        # A reward model has no scale.
        return Adapter(run / chosen["adapter"], scale_of(scale, chosen.get("scale", 1.0)))
    known = {path.parent.name: path.parent for path in run.glob(f"checkpoints/*/{COMPLETE}")}
    if checkpoint not in known:
        raise InputError(
            f"run {manifest.id!r} has no checkpoint {checkpoint!r}",
            fix=f"use one of: {', '.join(sorted(known)) or '(none is left)'}",
        )
    return Adapter(known[checkpoint], scale_of(scale, 1.0))


def finished_tuning(run_id: str, place: Place) -> Manifest:
    """Return the manifest of a finished tuning; raises InputError for any other run."""
    manifest = read_manifest(place.runs, run_id)
    if manifest.kind != "tune" or manifest.status != "finished":
        method = manifest.config.get("method", "sft")
        raise InputError(
            f"run {run_id!r} is a {manifest.status} {manifest.kind} run, not a finished tuning",
            fix=f"finish it with: selaras tune {method} --resume",
        )
    return manifest


def refuse_changed(manifest: Manifest, identity: Mapping[str, Any], adapter: Path) -> None:
    """Raise InputError where base or adapter are not those of the run any more."""
    if identity["weights"] != manifest.config.get("weights"):
        base = manifest.config["model"]
        raise InputError(
            f"the base of run {manifest.id!r}, {base}, has other weights than when it ran"
        )
    if identity["adapter"] not in {None, *manifest.outputs.values()}:
        raise InputError("the adapter was changed after its run", path=adapter)


def refuse_changed_candidate(
    manifest: Manifest, checkpoint: str, adapter: Adapter, base: Path
) -> None:
    """Raise InputError where a candidate or its base is not that of the run any more."""
    recorded = any(f"/{adapter.folder.name}/" in path for path in manifest.outputs)
    # A checkpoint that was not chosen may be known by its base alone.
    known = sha256_file(weights_file(adapter.folder)) if recorded or not checkpoint else None
    identity = {"weights": weights_hash(base), "adapter": known}
    refuse_changed(manifest, identity, adapter.folder)


def scale_of(text: str, default: float) -> float:
    """Return the adapter scale that a text says, or the default for none; raises InputError."""
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f"the adapter scale {text!r} is not a number from 0 to 1")
    return value
