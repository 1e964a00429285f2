"""How likely replies are, a prompt that several of them answer being read once.

The two sides of a preference pair, and the responses of a group of RL, share all of their prompt:
its keys and values are computed once and each reply goes on from them. Gradients pass through.
"""

from collections.abc import Sequence
from typing import Any

from selaras.models.local import pad_right
from selaras.models.local_prefix import keeps_positions, read_prefix
from selaras.models.local_torch import torch, transformers
from selaras.tune.divergence import OTHER_HEADS, padded, response_logits
from selaras.tune.encode import IGNORED

Ids = Sequence[int]


def reply_log_probabilities(
    causal: Any, prompts: Sequence[Ids], replies: Sequence[Ids], temperature: float = 1.0
) -> list[Any]:
    """Return the log-probability of every token of each reply to its prompt, one tensor a reply.

    Equal prompts are read once, unless the model keeps more than keys and values of all positions
    or recomputes its activations; the numbers are the same up to rounding. Gradients pass where
    they are enabled.
    """
    distinct = list(dict.fromkeys(map(tuple, prompts)))
    if len(distinct) < len(prompts) and _can_share(causal):
        logits = _shared(causal, distinct, prompts, replies)
    else:
        labels = [(*[IGNORED] * len(p), *r) for p, r in zip(prompts, replies, strict=True)]
        rows = [(*p, *r) for p, r in zip(prompts, replies, strict=True)]
        logits = response_logits(causal, padded(rows, labels, 0, causal.device))
    targets = torch.tensor([token for own in replies for token in own], device=logits.device)
    found = -torch.nn.functional.cross_entropy(logits / temperature, targets, reduction="none")
    return list(found.split([len(own) for own in replies]))


def _can_share(causal: Any) -> bool:
    recomputes = causal.training and getattr(causal, "is_gradient_checkpointing", False)
    own_head = any(getattr(causal.config, name, None) for name in OTHER_HEADS)
    return not (recomputes or own_head) and keeps_positions(causal)


def _shared(
    causal: Any, distinct: Sequence[Ids], prompts: Sequence[Ids], replies: Sequence[Ids]
) -> Any:
    """Return the logits that predict the replies' tokens: (tokens of all replies, words)."""
    device = causal.device
    place = {prompt: i for i, prompt in enumerate(distinct)}
    owner = torch.tensor([place[tuple(prompt)] for prompt in prompts], device=device)
    prefix, cache = read_prefix(causal, [list(own) for own in distinct])
    cache = cache or transformers.DynamicCache(config=causal.config)
    ids, rest = pad_right([own[prefix:] for own in distinct], 0, device)
    asked = torch.cat([rest.new_ones(len(distinct), prefix), rest], dim=1)
    states = causal.model(
        input_ids=ids, attention_mask=asked, past_key_values=cache, use_cache=True
    ).last_hidden_state
    last = states[torch.arange(len(distinct), device=device), rest.sum(-1) - 1]
    cache.batch_select_indices(owner)
    told, mask = pad_right(replies, 0, device)
    # Padding of shorter prompts stands between a prompt and its reply, where nothing attends to it.
    positions = asked.sum(-1)[owner, None] + torch.arange(told.shape[1], device=device)
    states = causal.model(
        input_ids=told, attention_mask=torch.cat([asked[owner], mask], dim=1),
        position_ids=positions, past_key_values=cache, use_cache=True,
    ).last_hidden_state  # fmt: skip
    before = torch.cat([last[owner, None], states[:, :-1]], dim=1)
    return causal.lm_head(before[mask.bool()]).float()
