"""Weights from a folder in Hugging Face layout, and their hash."""

import os
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError, ModelError, one_line
from selaras.core.files import read_json, write_json
from selaras.core.fingerprint import fingerprint, sha256_file
from selaras.models.local_torch import torch, transformers


def load_weights(folder: Path, dtype: Any, tokenizer: bool = True) -> tuple[Any, Any]:
    """Return (model, tokenizer) from a folder in HF layout; nothing is fetched from a hub.

    Without `tokenizer`, None stands for it (a checkpoint of a training holds none of its own).
    Raises InputError where the folder is no whole model, ModelError where it cannot be loaded.
    """
    refuse_no_model(folder)
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
    if reader is not None:
        _refuse_other_vocabulary(folder, model, reader)
    return model, reader


def context_of(config: Any) -> int:
    """Return how many tokens a model of that configuration reads; very many where none is said."""
    return int(getattr(config, "max_position_embeddings", 0) or 1 << 20)


def model_config(folder: Path) -> Any:
    """Return the text model's configuration of a folder in HF layout, without its weights."""
    refuse_no_model(folder)
    try:
        found = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        raise ModelError(
            f"{folder}: its configuration cannot be read ({one_line(str(error), 200)})"
        ) from error
    return found.get_text_config()


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a folder in HF layout; raises what `load_weights` raises."""
    refuse_no_model(folder)
    try:
        return transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # tokenizers raises classes of its own
        raise ModelError(
            f"{folder}: its tokenizer cannot be loaded ({one_line(str(error), 200)})"
        ) from error


def _refuse_other_vocabulary(folder: Path, model: Any, tokenizer: Any) -> None:
    """Raise InputError where the tokenizer makes ids that the model has no embedding for.

    Its added tokens do not count: Gemma's has one for images that text models lack.
    """
    known, made = model.get_input_embeddings().num_embeddings, tokenizer.vocab_size
    if made > known:
        raise InputError(
            f"the tokenizer has {made} tokens and the model {known}: they do not belong together",
            path=folder, fix="put the tokenizer beside it that the model was trained with",
        )  # fmt: skip


def refuse_no_model(folder: Path) -> None:
    """Raise InputError where a folder is no model in HF layout, or lacks some of its weights."""
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


def broken_tensor(folder: Path) -> str | None:
    """Return the name and file of a tensor that holds NaN or an infinity, None where none does.

    Reads all weights, one tensor at a time.
    """
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no mapping
                tensor = opened.get_tensor(name)
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    return f"{name} in {file.name}"
    return None


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
