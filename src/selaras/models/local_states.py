"""What a model holds inside at a prompt: the features of probes.

The forward pass ends after the last layer that is wanted, so that a look at the middle of the model
costs half of reading the prompt, and nothing beside writing an answer.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError
from selaras.models.local_torch import torch


class _EnoughError(Exception):
    """Raised inside a forward pass to end it."""


def states_after(
    model: Any, read: Any, starts: Sequence[int], layers: Sequence[int]
) -> NDArray[np.float32]:
    """Return the states after some layers, shape (rows, layers, 2 x width).

    `read` is (ids, mask, length of the shared prefix, its cache), rows padded on the left; the
    first half is the last position's state, the second the mean from each row's start on.
    Raises InputError where the model has no such layer, or no list of layers at all.
    """
    ids, mask, prefix, cache = read
    blocks = getattr(model.base_model, "layers", None)
    if blocks is None or not all(1 <= layer <= len(blocks) for layer in layers):
        count = "no list of layers" if blocks is None else f"layers 1 to {len(blocks)}"
        raise InputError(f"this model has {count}; asked for {list(layers)}")
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    begins = torch.tensor(starts, device=mask.device)[:, None]
    own = (mask.bool() & (positions >= begins))[:, prefix:, None].float()
    found: dict[int, NDArray[np.float32]] = {}

    def keep(layer: int, output: Any) -> None:
        states = (output[0] if isinstance(output, tuple) else output).float()
        mean = (states * own).sum(1) / own.sum(1).clamp(min=1)
        found[layer] = torch.cat([states[:, -1], mean], dim=-1).cpu().numpy()
        if layer == max(layers):
            raise _EnoughError

    hooks = [
        blocks[layer - 1].register_forward_hook(lambda _m, _i, out, layer=layer: keep(layer, out))
        for layer in set(layers)
    ]
    try:
        model.base_model(
            input_ids=ids[:, prefix:], attention_mask=mask, position_ids=positions[:, prefix:],
            past_key_values=cache, use_cache=cache is not None,
        )  # fmt: skip
    except _EnoughError:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return np.stack([found[layer] for layer in layers], axis=1)


def by_length(lengths: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    """Yield batches of row numbers of alike length.

    >>> list(by_length([5, 50, 7], 2))
    [(0, 2), (1,)]
    """
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    for start in range(0, len(order), size):
        yield tuple(order[start : start + size])
