"""Per-token log-probabilities of responses under prompts with segments deleted.

Deleting a segment takes its tokens out; what stays is read as if it had been written so (positions
without gaps). Rows of masks are walked as a trie: level by level, a segment's tokens are run once
for every distinct beginning, all of them in one batch without padding, and dropped segments leave
masked places in the cache. So leave-one-out costs half of its tokens and the template's beginning
is read once; exact in every architecture whose layers keep keys and values of all positions (full
or sliding attention; the mask is ours). Others are run row by row. Logits are made at the
response's places only, in pieces, and kept as one number a token.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.models.local_torch import torch, transformers

Ids = Sequence[int]
Rows = NDArray[np.bool_]
CACHE_BYTES = 1 << 30  # of keys and values in one batch
LOGITS = 1 << 24  # numbers of logits held at once
FULL, SLIDING = "full_attention", "sliding_attention"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive tokens that stay or go together; `segment` is None for those that always stay."""

    ids: tuple[int, ...]
    segment: int | None


@dataclass(slots=True)
class _State:
    """The distinct beginnings so far: their keys and values, which places hold, what is next."""

    cache: Any
    held: Any  # (beginnings, places): whether the place holds a token
    position: Any  # (beginnings, places)
    count: Any  # (beginnings,): tokens so far


def chunks_of(ids: Ids, groups: Sequence[Sequence[int]]) -> list[Chunk]:
    """Return the prompt as chunks; `groups` holds the token places of each segment.

    The prompt's last token always stays: the response's first one is read from it.
    """
    owner: dict[int, int] = {place: k for k, places in enumerate(groups) for place in places}
    owner.pop(len(ids) - 1, None)
    return [
        Chunk(tuple(ids[i] for i in places), segment)
        for segment, run in groupby(range(len(ids)), owner.get)
        for places in [list(run)]
    ]


def log_probabilities(
    model: Any,
    chunks: Sequence[Chunk],
    rows: Rows,
    responses: Sequence[Ids],
    tick: Callable[[float], None] = lambda _: None,
) -> Iterator[tuple[list[int], list[NDArray[np.float32]]]]:
    """Yield (row numbers, per-token log-probabilities a response: (rows, tokens)) by batches.

    `rows` (rows, segments) says which segments stay. The order of rows is that of the trie. `tick`
    is told how much more is done, as a number of rows; what it raises ends the work.
    """
    order = sorted(range(len(rows)), key=lambda i: tuple(~rows[i]))
    size = sum(len(chunk.ids) for chunk in chunks) + max(map(len, responses))
    most = max(1, CACHE_BYTES // max(1, size * _bytes_a_token(model)))
    shared = can_share(model)
    for start in range(0, len(order), most if shared else 1):
        part = order[start : start + (most if shared else 1)]
        with torch.inference_mode():
            if shared:
                yield part, _by_trie(model, chunks, rows[part], responses, tick)
            else:
                kept = _kept(chunks, rows[part[0]])
                yield part, [_plain(model, kept, response)[None] for response in responses]
                tick(1.0)


def can_share(model: Any) -> bool:
    """Return whether every layer keeps keys and values of all positions, in a known mask."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or [FULL])
    if not kinds <= {FULL, SLIDING}:
        return False
    cache = transformers.DynamicCache(config=config)
    known = (
        transformers.cache_utils.DynamicLayer,
        transformers.cache_utils.DynamicSlidingWindowLayer,
    )
    return all(type(layer) in known for layer in cache.layers)


def _plain(model: Any, prompt: Ids, response: Ids) -> NDArray[np.float32]:
    """Return the per-token log-probabilities by one ordinary forward pass."""
    ids = torch.tensor([[*prompt, *response]], device=model.device)
    out = model(input_ids=ids, logits_to_keep=len(response) + 1, use_cache=False)
    logits = out.logits[0, -len(response) - 1 : -1].float()
    picked = logits.gather(-1, ids[0, -len(response) :, None])[:, 0] - logits.logsumexp(-1)
    return np.asarray(picked.cpu().numpy(), dtype=np.float32)


def _kept(chunks: Sequence[Chunk], row: Rows) -> list[int]:
    return [i for c in chunks if c.segment is None or row[c.segment] for i in c.ids]


def _by_trie(
    model: Any,
    chunks: Sequence[Chunk],
    rows: Rows,
    responses: Sequence[Ids],
    tick: Callable[[float], None],
) -> list[NDArray[np.float32]]:
    """Return (rows, tokens) a response for rows that are in the trie's order."""
    device = model.device
    empty = torch.zeros((1, 0), dtype=torch.long, device=device)
    state = _State(None, empty.bool(), empty, torch.zeros(1, dtype=torch.long, device=device))
    of_row = np.zeros(len(rows), dtype=int)  # the beginning that each row has so far
    # The prompt's last token is read with the response: its logits give the first token.
    *before, last = _last_apart(chunks)
    steps = len(before) + len(responses)
    for chunk in before:
        stays = np.ones(len(rows), bool) if chunk.segment is None else rows[:, chunk.segment]
        children: dict[tuple[int, bool], int] = {}
        for parent, stay in zip(of_row, stays, strict=True):
            children.setdefault((int(parent), bool(stay)), len(children))
        of_row = np.array([children[int(p), bool(s)] for p, s in zip(of_row, stays, strict=True)])
        parents = [parent for parent, _ in children]
        keep = [i for i, (_, stay) in enumerate(children) if stay]
        state = _advance(model, _selected(state, parents), keep, chunk.ids)
        tick(len(rows) / steps)
    found = []
    for response in responses:
        found.append(_read_response(model, state, of_row, last, response))
        tick(len(rows) / steps)
    return found


def _last_apart(chunks: Sequence[Chunk]) -> list[Chunk]:
    *before, end = chunks
    *most, last = end.ids
    return [*before, *([Chunk(tuple(most), None)] if most else []), Chunk((last,), None)]


def _selected(state: _State, parents: Sequence[int]) -> _State:
    """Return the state with one beginning a child."""
    if state.cache is None or list(parents) == list(range(len(state.count))):
        return state
    index = torch.tensor(parents, device=state.count.device)
    for layer in state.cache.layers:
        layer.keys, layer.values = layer.keys[index], layer.values[index]
    return _State(state.cache, state.held[index], state.position[index], state.count[index])


def _advance(model: Any, state: _State, keep: Sequence[int], ids: Ids) -> _State:
    """Return the state after a chunk that the beginnings in `keep` hold and the others lack."""
    many, new = len(state.count), len(ids)
    held = torch.zeros((many, new), dtype=torch.bool, device=state.count.device)
    held[list(keep)] = True
    position = state.count[:, None] + torch.arange(new, device=state.count.device)
    after = _State(
        state.cache,
        torch.cat([state.held, held], dim=1),
        torch.cat([state.position, position], dim=1),
        state.count + new * held[:, 0],
    )
    if not keep:
        # Nobody reads it: the chunk takes no places at all.
        return state
    every = len(keep) == many
    part = state if every else _apart(state, keep)
    rows = slice(None) if every else list(keep)
    cache, _ = _run(model, part, torch.tensor([list(ids)] * len(keep), device=position.device),
                    after.held[rows], after.position[rows], logits=0)  # fmt: skip
    after.cache = cache if every else _merged(state.cache, cache, keep, many)
    return after


def _apart(state: _State, keep: Sequence[int]) -> _State:
    """Return some of the beginnings with caches of their own."""
    index = torch.tensor(list(keep), device=state.count.device)
    cache = transformers.DynamicCache()
    if state.cache is not None:
        for number, layer in enumerate(state.cache.layers):
            cache.update(layer.keys[index], layer.values[index], number)
    return _State(cache, state.held[index], state.position[index], state.count[index])


def _merged(old: Any, new: Any, keep: Sequence[int], many: int) -> Any:
    """Return the cache of all: the new places hold zeros where the chunk was dropped."""
    merged = transformers.DynamicCache()
    index = torch.tensor(list(keep))
    for number, layer in enumerate(new.layers):
        both = []
        for name in ("keys", "values"):
            fresh = getattr(layer, name)
            whole = fresh.new_zeros((many, *fresh.shape[1:]))
            if old is not None:
                was = getattr(old.layers[number], name)
                whole[:, :, : was.shape[2]] = was
            whole[index.to(fresh.device)] = fresh
            both.append(whole)
        merged.update(both[0], both[1], number)
    return merged


def _run(
    model: Any, state: _State, ids: Any, held: Any, position: Any, *, logits: int
) -> tuple[Any, Any]:
    """Return (cache, logits) of new tokens after a state; `held`, `position` include theirs."""
    cache = state.cache if state.cache is not None else transformers.DynamicCache()
    own = position[:, -ids.shape[1] :]
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or [FULL])
    allowed = held[:, None, :] & (position[:, None, :] <= own[:, :, None])
    masks = {FULL: _additive(allowed, model.dtype)}
    if SLIDING in kinds:
        window = model.config.get_text_config().sliding_window
        near = own[:, :, None] - position[:, None, :] < window
        masks[SLIDING] = _additive(allowed & near, model.dtype)
    mask = masks if SLIDING in kinds else masks[FULL]
    body = model if logits else model.base_model
    extra = {"logits_to_keep": logits} if logits else {}
    out = body(input_ids=ids, attention_mask=mask, position_ids=own, past_key_values=cache,
               use_cache=True, **extra)  # fmt: skip
    return cache, out.logits if logits else None


def _additive(allowed: Any, dtype: Any) -> Any:
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(
        ~allowed, torch.finfo(dtype).min
    )[:, None]


def _read_response(
    model: Any, state: _State, of_row: NDArray[np.int_], last: Chunk, response: Ids
) -> NDArray[np.float32]:
    """Return (rows, tokens): the response is read once for every distinct beginning, in pieces."""
    ids = [*last.ids, *response[:-1]]
    wanted = torch.tensor(list(response), device=state.count.device)
    size = max(1, LOGITS // (len(response) * model.config.get_text_config().vocab_size))
    found = []
    for start in range(0, len(state.count), size):
        part = _apart(state, range(start, min(start + size, len(state.count))))
        many = len(part.count)
        position = part.count[:, None] + torch.arange(len(ids), device=part.count.device)
        held = torch.cat([part.held, torch.ones_like(position, dtype=torch.bool)], dim=1)
        _, logits = _run(model, part, torch.tensor([ids] * many, device=position.device), held,
                         torch.cat([part.position, position], dim=1), logits=len(ids))  # fmt: skip
        logits = logits.float()
        picked = logits.gather(-1, wanted.expand(many, -1)[..., None])[..., 0]
        found.append((picked - logits.logsumexp(-1)).cpu().numpy())
    return np.concatenate(found).astype(np.float32)[of_row]


def _bytes_a_token(model: Any) -> int:
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.dtype.itemsize)
