"""The beginning that all prompts of a batch share, read once instead of once a row.

Chat templates put the same words before every first turn (a hidden system prompt, the project's
own, few-shot examples): half of the tokens of a short question, nearly all under a long prompt.
"""

from collections.abc import Sequence
from typing import Any

from selaras.models.local_torch import torch, transformers

# Below this many tokens a second forward pass costs more than it saves.
WORTH_SHARING = 8


def shared_prefix(prompts: Sequence[list[int]]) -> list[int]:
    """Return the ids that all prompts begin with, short of the last one of each.

    >>> shared_prefix([[1, 2, 3, 4], [1, 2, 3, 5, 6], [1, 2, 3]])
    [1, 2]
    >>> shared_prefix([])
    []
    """
    if not prompts:
        return []
    first, last = min(prompts), max(prompts)  # in lexical order these two differ the earliest
    most = min(len(prompt) for prompt in prompts) - 1
    same = 0
    while same < most and first[same] == last[same]:
        same += 1
    return list(first[:same])


def read_prefix(
    model: Any, prompts: Sequence[list[int]], most: int | None = None
) -> tuple[int, Any]:
    """Return (length, cache): what the shared prefix left in every layer, one copy a prompt.

    At most the first `most` tokens are shared.

    (0, None) where sharing saves nothing, or where a layer keeps more than keys and values of all
    positions (a sliding window, a recurrent state) and cannot be continued by padded rows, or where
    the model recomputes its activations (gradient checkpointing), which a cache would not survive.
    Gradients pass through the cache where they are enabled.
    """
    prefix = shared_prefix(prompts)[:most]
    recomputes = model.training and getattr(model, "is_gradient_checkpointing", False)
    if len(prefix) < WORTH_SHARING or len(prompts) < 2 or recomputes:
        return 0, None
    if not keeps_positions(model):
        return 0, None
    cache = transformers.DynamicCache(config=model.config)
    ids = torch.tensor([prefix], device=model.device)
    model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(len(prompts))
    return len(prefix), cache


def keeps_positions(model: Any) -> bool:
    """Return whether every layer keeps keys and values of all positions, and nothing else.

    Others (a sliding window, a recurrent state) cannot be continued by padded rows.
    """
    layers = transformers.DynamicCache(config=model.config).layers
    return all(type(layer) is transformers.cache_utils.DynamicLayer for layer in layers)


def with_prefix(prefix: int, prompts: Sequence[Sequence[int]], ids: Any, mask: Any) -> Any:
    """Return (ids, mask) with the shared ids put before rows that were padded on the left."""
    if not prefix:
        return ids, mask
    head = torch.tensor(prompts[0][:prefix], device=ids.device).expand(len(prompts), prefix)
    return torch.cat([head, ids], dim=1), torch.cat([torch.ones_like(head), mask], dim=1)
