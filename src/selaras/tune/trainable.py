"""What is trained: an adapter over a frozen base (new, or gone on with), or all weights."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError, MissingExtraError, one_line
from selaras.core.tuning import LoraSettings
from selaras.models.local import best_dtype
from selaras.models.local_adapter import refuse_other_adapter
from selaras.models.local_torch import torch
from selaras.models.local_weights import load_weights
from selaras.tune.running import base_weights

try:
    import peft
except ImportError as error:
    raise MissingExtraError(error.name or "peft", "tune") from error

LORA_ALPHA = 2
_LAYER = re.compile(r"\.(\d+)\.")


def precision_of(settings: LoraSettings) -> Any:
    """Return the dtype that a training multiplies in."""
    named = {"bf16": torch.bfloat16, "fp32": torch.float32}
    return named.get(settings.precision) or best_dtype()


def adapted(base: Path, settings: LoraSettings, start: Path | None = None) -> tuple[Any, Any, Any]:
    """Return (model, tokenizer, configuration of a new adapter for it).

    With `start` the model has that adapter, to go on with, and the configuration is None.

    Raises InputError where no module has a name of `targets`, or `start` is another model's.
    """
    model, tokenizer = base_weights(base, settings.running, precision_of(settings))
    if start is not None:
        return with_adapter(model, start, base), tokenizer, None
    return model, tokenizer, lora(model, settings, "CAUSAL_LM")


def with_adapter(model: Any, folder: Path, base: Path) -> Any:
    """Return the model with an adapter to go on with; raises InputError for another model's."""
    refuse_other_adapter(folder, base, model)
    try:
        return peft.PeftModel.from_pretrained(
            model, str(folder), is_trainable=True, local_files_only=True
        )
    except Exception as error:
        raise InputError(
            f"the adapter does not fit this model ({one_line(str(error), 200)})", path=folder
        ) from error


def lora(model: Any, settings: LoraSettings, task: str) -> Any:
    """Return the configuration of a new adapter in the upper layers; `task` as PEFT calls it."""
    return peft.LoraConfig(
        r=settings.rank,
        lora_alpha=LORA_ALPHA * settings.rank,
        lora_dropout=0.0,
        target_modules=upper_linears(model, settings.layers, settings.targets),
        task_type=task,
    )


def whole(base: Path, settings: LoraSettings) -> tuple[Any, Any, None]:
    """Return (model whose own weights are trained, tokenizer, None); lower layers are frozen.

    Weights are kept in float32, whatever they are multiplied in: bf16 would lose small steps. With
    `layers` at 1 the embeddings are trained as well.
    """
    model, tokenizer = load_weights(base, torch.float32)
    for name, weight in model.named_parameters():
        weight.requires_grad_(is_trained(name, model.config, settings.layers))
    return model, tokenizer, None


def is_trained(name: str, config: Any, layers: float) -> bool:
    """Return whether the weight of that name is trained where all weights are."""
    found = _LAYER.search(name)
    return layers == 1 or (found is not None and int(found.group(1)) >= _lowest(config, layers))


@contextmanager
def as_base(model: Any, reference: Any = None) -> Iterator[Any]:
    """Yield the causal model as it was before tuning: the adapter off, or the `reference` given."""
    if reference is not None:
        yield reference
        return
    with model.disable_adapter():
        yield causal_of(model)


def causal_of(model: Any) -> Any:
    """Return the causal language model, without PEFT's wrapper where there is one."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def upper_linears(model: Any, share: float, targets: tuple[str, ...] = ()) -> list[str]:
    """Return the names of the linear modules in the upper `share` of the model's layers.

    The backward pass, and the activations kept for it, end at the lowest layer that is adapted.
    `targets` are the ends of names that are taken, all where none is given; raises InputError where
    they take no module.
    """
    lowest = _lowest(model.config, share)
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and (found := _LAYER.search(name))
        and int(found.group(1)) >= lowest
    ]
    taken = [name for name in linear if not targets or name.endswith(targets)]
    if not taken:
        known = sorted({name.rpartition(".")[2] for name in linear})
        raise InputError(
            f"no linear module is named {' or '.join(map(repr, targets))}", field="tune.targets",
            fix=f"this model has: {', '.join(known) or '(none in numbered layers)'}",
        )  # fmt: skip
    return taken


def _lowest(config: Any, share: float) -> int:
    count = int(getattr(config, "num_hidden_layers", 1))
    return count - max(1, round(share * count))
