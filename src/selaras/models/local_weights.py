"""Weights from a folder in Hugging Face layout, and their hash."""

import os
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError, ModelError, one_line
from selaras.core.files import read_json, write_json
from selaras.core.fingerprint import fingerprint, sha256_file
from selaras.models.local_torch import transformers


def load_weights(folder: Path, dtype: Any, tokenizer: bool = True) -> tuple[Any, Any]:
    """Return (model, tokenizer) from a folder in HF layout; nothing is fetched from a hub.

    Without `tokenizer`, None stands for it (a checkpoint of a training holds none of its own).
    Raises InputError where the folder is no whole model, ModelError where it cannot be loaded.
    """
    _refuse_no_model(folder)
    reader = load_tokenizer(folder) if tokenizer else None
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except Exception as error:  # safetensors raises classes of its own
        raise ModelError(f"{folder}: cannot be loaded ({one_line(str(error), 200)})") from error
    return model, reader


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a folder in HF layout; raises what `load_weights` raises."""
    _refuse_no_model(folder)
    try:
        return transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # tokenizers raises classes of its own
        raise ModelError(
            f"{folder}: its tokenizer cannot be loaded ({one_line(str(error), 200)})"
        ) from error


def _refuse_no_model(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise InputError(
            "not a model folder (no config.json)", path=folder,
            fix="name a folder in Hugging Face layout, or use 'selaras models get'",
        )  # fmt: skip
    _refuse_missing_shards(folder)


def weights_hash(folder: Path) -> str:
    """Return the sha256 over the folder's weight files, remembered beside them by size and time."""
    files = sorted(folder.glob("*.safetensors"))
    stamp = [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in files]
    note = folder / ".selaras-sha256.json"
    if note.is_file():
        known = read_json(note)
        if isinstance(known, dict) and known.get("stamp") == stamp:
            return str(known["sha256"])
    digest = fingerprint([sha256_file(f) for f in files], 64)
    if os.access(folder, os.W_OK):
        write_json(note, {"stamp": stamp, "sha256": digest})
    return digest


def _refuse_missing_shards(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return
    found = read_json(index)
    named = set(found.get("weight_map", {}).values()) if isinstance(found, dict) else set()
    if missing := sorted(name for name in named if not (folder / str(name)).is_file()):
        raise InputError(
            f"{len(missing)} of {len(named)} weight files are missing ({missing[0]})", path=folder,
            fix="fetch or copy the folder again, whole",
        )  # fmt: skip
