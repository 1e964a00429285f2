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


class _Places(transformers.DynamicCache):  # type: ignore[misc]
    """Keys and values in fixed places: a row a distinct beginning, written and read in place.

    `active` are the rows that new tokens are run for (a slice is read without a copy), `at` the
    first place that they are written to.
    """

    def __init__(self, rows: int, places: int, device: Any) -> None:
        super().__init__()
        self.size = (rows, places)
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self.active: Any = slice(0, 1)
        self.at = 0
        self.held = torch.zeros((rows, places), dtype=torch.bool, device=device)
        self.position = torch.zeros((rows, places), dtype=torch.long, device=device)
        self.count = torch.zeros(rows, dtype=torch.long, device=device)

    def update(self, keys: Any, values: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Write a layer's new keys and values; return all of the active rows'."""
        rows, places = self.size
        if layer == len(self.keys):
            for held, fresh in ((self.keys, keys), (self.values, values)):
                shape = (rows, fresh.shape[1], places, fresh.shape[3])
                # Zeros: places that a row has dropped are read, with a weight of nothing.
                held.append(fresh.new_zeros(shape))
        end = self.at + keys.shape[2]
        self.keys[layer][self.active, :, self.at : end] = keys
        self.values[layer][self.active, :, self.at : end] = values
        return self.keys[layer][self.active, :, :end], self.values[layer][self.active, :, :end]

    def get_seq_length(self, *_: Any) -> int:
        """Return how many places are filled."""
        return self.at

    def fork(self, parent: int, child: int) -> None:
        """Copy a row's beginning."""
        for tensors in (self.keys, self.values):
            for tensor in tensors:
                tensor[child, :, : self.at] = tensor[parent, :, : self.at]
        for tensor in (self.held, self.position, self.count):
            tensor[child] = tensor[parent]


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
    """Return (rows, tokens) a response."""
    # The prompt's last token is read with the response: its logits give the first token.
    *before, last = _last_apart(chunks)
    places = sum(len(chunk.ids) for chunk in before) + max(map(len, responses))
    cache = _Places(len(np.unique(rows, axis=0)), places, model.device)
    of_row = np.zeros(len(rows), dtype=int)  # the beginning that each row has so far
    live, steps = 1, len(before) + len(responses)
    for chunk in before:
        stays = np.ones(len(rows), bool) if chunk.segment is None else rows[:, chunk.segment]
        keep = sorted(set(of_row[stays]))
        for parent in sorted(set(of_row[~stays])):
            going = ~stays & (of_row == parent)
            if parent in keep:
                cache.fork(parent, live)
                of_row[going] = live
                live += 1
        if keep:
            _advance(model, cache, keep, chunk.ids)
        tick(len(rows) / steps)
    found = []
    for response in responses:
        found.append(_read_response(model, cache, live, last, response)[of_row])
        tick(len(rows) / steps)
    return found


def _last_apart(chunks: Sequence[Chunk]) -> list[Chunk]:
    *before, end = chunks
    *most, last = end.ids
    return [*before, *([Chunk(tuple(most), None)] if most else []), Chunk((last,), None)]


def _advance(model: Any, cache: _Places, keep: Sequence[int], ids: Ids) -> None:
    """Read a chunk after the beginnings that hold it; the others leave its places empty."""
    rows = _index(keep)
    _run(model, cache, rows, torch.tensor([list(ids)] * len(keep), device=cache.count.device))
    cache.count[rows] += len(ids)
    cache.at += len(ids)


def _index(rows: Sequence[int]) -> Any:
    """Return the rows as a slice where they follow each other: a view is no copy."""
    if list(rows) == list(range(rows[0], rows[0] + len(rows))):
        return slice(rows[0], rows[0] + len(rows))
    return torch.tensor(rows)


def _run(model: Any, cache: _Places, rows: Any, ids: Any, *, logits: int = 0) -> Any:
    """Run new tokens after some beginnings; return their logits where they are asked for."""
    config = model.config.get_text_config()
    end = cache.at + ids.shape[1]
    own = cache.count[rows][:, None] + torch.arange(ids.shape[1], device=ids.device)
    cache.active = rows
    cache.held[rows, cache.at : end] = True
    cache.position[rows, cache.at : end] = own
    held, position = cache.held[rows, :end], cache.position[rows, :end]
    allowed = held[:, None, :] & (position[:, None, :] <= own[:, :, None])
    masks = {FULL: _additive(allowed, model.dtype)}
    sliding = SLIDING in (getattr(config, "layer_types", None) or ())
    if sliding:
        near = own[:, :, None] - position[:, None, :] < config.sliding_window
        masks[SLIDING] = _additive(allowed & near, model.dtype)
    out = (model if logits else model.base_model)(
        input_ids=ids,
        attention_mask=masks if sliding else masks[FULL],
        position_ids=own,
        past_key_values=cache,
        use_cache=True,
        **({"logits_to_keep": logits} if logits else {}),
    )
    return out.logits if logits else None


def _additive(allowed: Any, dtype: Any) -> Any:
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(
        ~allowed, torch.finfo(dtype).min
    )[:, None]


def _read_response(
    model: Any, cache: _Places, live: int, last: Chunk, response: Ids
) -> NDArray[np.float32]:
    """Return (beginnings, tokens): the response is read once for every beginning, in pieces."""
    ids = [*last.ids, *response[:-1]]
    wanted = torch.tensor(list(response), device=cache.count.device)
    size = max(1, LOGITS // (len(response) * model.config.get_text_config().vocab_size))
    found = []
    for start in range(0, live, size):
        rows = slice(start, min(start + size, live))
        many = rows.stop - start
        read = torch.tensor([ids] * many, device=wanted.device)
        logits = _run(model, cache, rows, read, logits=len(ids)).float()
        picked = logits.gather(-1, wanted.expand(many, -1)[..., None])[..., 0]
        found.append((picked - logits.logsumexp(-1)).cpu().numpy())
    return np.concatenate(found).astype(np.float32)


def _bytes_a_token(model: Any) -> int:
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.dtype.itemsize)
