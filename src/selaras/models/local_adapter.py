"""What a tuning made, put into its base: a LoRA adapter, or weights that were tuned whole.

Both are weighed by a scale: 0 is the base, 1 as trained (weight interpolation, WiSE-FT,
arXiv:2109.01903).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError, MissingExtraError, one_line
from selaras.core.files import read_json
from selaras.models.local_torch import torch
from selaras.models.local_weights import load_weights, weights_hash

ADAPTER, WHOLE = "adapter_model.safetensors", "model.safetensors"
# What a training writes into a checkpoint that is whole.
COMPLETE = "complete.json"
# The module that a tensor of a PEFT adapter belongs to.
_ADAPTED = re.compile(r"base_model\.model\.(.+)\.lora_[A-Z]")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A tuned PEFT adapter, weighed by `scale` (1 is as trained, 0 the base)."""

    folder: Path
    scale: float = 1.0


def merged(model: Any, adapter: Adapter, base: Path) -> Any:
    """Return the model of the folder `base` with an adapter merged in, or tuned weights mixed in.

    Raises InputError where they are another model's.
    """
    if weights_file(adapter.folder).name == WHOLE:
        return _interpolated(model, adapter)
    try:
        from peft import PeftModel
        from peft.tuners.tuners_utils import BaseTunerLayer
    except ImportError as error:
        raise MissingExtraError("peft", "local") from error
    refuse_other_adapter(adapter.folder, base, model)
    try:
        wrapped = PeftModel.from_pretrained(model, str(adapter.folder), local_files_only=True)
    except Exception as error:
        reason = one_line(str(error), 200)
        raise InputError(
            f"the adapter does not fit this model ({reason})", path=adapter.folder
        ) from error
    for layer in wrapped.modules():
        if isinstance(layer, BaseTunerLayer):
            layer.scale_layer(adapter.scale)
    # PEFT freezes the base. torch multiplies a slice (the last position's states) by a frozen
    # matrix with one copy of the matrix a row: gigabytes at the vocabulary's projection.
    return wrapped.merge_and_unload().requires_grad_(True)


def _interpolated(model: Any, adapter: Adapter) -> Any:
    """Return the model moved by `scale` towards weights that were tuned whole (WiSE-FT)."""
    tuned, _ = load_weights(adapter.folder, torch.float32, tokenizer=False)
    theirs = dict(tuned.named_parameters())
    ours = dict(model.named_parameters())
    if {k: v.shape for k, v in ours.items()} != {k: v.shape for k, v in theirs.items()}:
        raise InputError("these weights do not fit this model", path=adapter.folder)
    with torch.no_grad():
        for name, weight in ours.items():
            weight.lerp_(theirs[name], adapter.scale)
    return model


def weights_file(folder: Path) -> Path:
    """Return the file of weights in a checkpoint: an adapter's, or the model's own.

    Raises InputError where it has neither.
    """
    for name in (WHOLE, ADAPTER):
        if (folder / name).is_file():
            return folder / name
    raise InputError("the adapter's weights are missing", path=folder / ADAPTER,
                     fix="put the file back, or tune again")  # fmt: skip


def tensors_of(path: Path) -> dict[str, Any]:
    """Return the tensors of a safetensors file; raises InputError where it cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found: dict[str, Any] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"the weights cannot be read ({one_line(str(error), 200)})", path=path,
            fix="put the file back; of a run, delete this checkpoint to go on from the one before",
        ) from error  # fmt: skip
    return found


def refuse_other_adapter(folder: Path, base: Path, model: Any) -> None:
    """Raise InputError where an adapter was made for another model, as far as its files tell.

    PEFT takes an adapter with too few or too many layers, and only warns.
    """
    path = weights_file(folder)
    refuse_other_base(folder, base)
    keys = tensors_of(path)
    modules = {name for name, _ in model.named_modules()}
    adapted = {m.group(1) for key in keys if (m := _ADAPTED.match(key))}
    if missing := sorted(adapted - modules):
        raise InputError(
            f"the adapter does not fit this model: it is for {len(missing)} modules that are not "
            f"there ({missing[0]})", path=folder,
        )  # fmt: skip


def refuse_other_base(folder: Path, base: Path) -> None:
    """Raise InputError where a checkpoint of ours says that it was tuned on another base."""
    made_for = _note(folder).get("base")
    if made_for and made_for != weights_hash(base):
        raise InputError(
            "the adapter was tuned on another model, or on other weights of it", path=folder,
            fix="name the model that it was tuned on",
        )  # fmt: skip


def _note(folder: Path) -> dict[str, Any]:
    """Return what a training wrote beside a checkpoint, empty where it is not one of ours."""
    found = read_json(folder / COMPLETE) if (folder / COMPLETE).is_file() else {}
    return found if isinstance(found, dict) else {}
