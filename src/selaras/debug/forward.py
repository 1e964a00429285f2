"""Per-token log-probabilities of responses under prompts with segments deleted.

Deleting a segment takes its tokens out; what stays is read as if it had been written so (positions
without gaps). Rows of masks are walked as a trie: level by level, a segment's tokens are run once
for every distinct beginning, all of them in one batch without padding, and dropped segments leave
masked places in the cache. So leave-one-out costs half of its tokens and the template's beginning
is read once. Rows that drop little leave the trie few beginnings to share and its batches small:
they are read from their first difference on, in few large batches, with what they drop hidden.
Both are exact in every architecture whose layers keep keys and values of all positions (full
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
REPEATED = 1 << 24  # bytes of a layer's keys repeated for their heads; more come page by page
ENOUGH = 192  # tokens in a batch from where on larger ones are hardly faster on a processor
MORE = 1.4  # as many tokens as the trie's may be read in large batches instead of small ones
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

    def fork(self, parent: int, children: Any) -> None:
        """Copy a row's beginning to others."""
        for tensors in (self.keys, self.values):
            for tensor in tensors:
                tensor[children, :, : self.at] = tensor[parent, :, : self.at]
        for tensor in (self.held, self.position):
            tensor[children, : self.at] = tensor[parent, : self.at]
        self.count[children] = self.held[parent, : self.at].sum()


def chunks_of(ids: Ids, groups: Sequence[Sequence[int]]) -> list[Chunk]:
    """Return the prompt as chunks; `groups` holds the token places of each segment."""
    owner: dict[int, int] = {place: k for k, places in enumerate(groups) for place in places}
    return [
        Chunk(tuple(ids[i] for i in places), segment)
        for segment, run in groupby(range(len(ids)), owner.get)
        for places in [list(run)]
    ]


def kept_ids(chunks: Sequence[Chunk], row: Rows) -> list[int]:
    """Return the tokens that a row of masks keeps; where it keeps none, the prompt's last one.

    The response's first token has to be read from something.
    """
    kept = [i for c in chunks if c.segment is None or row[c.segment] for i in c.ids]
    return kept or [chunks[-1].ids[-1]]


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
    ends = [_end(chunks, row) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (ends[i], tuple(~rows[i])))
    size = sum(len(chunk.ids) for chunk in chunks) + max(map(len, responses))
    most = max(1, CACHE_BYTES // max(1, size * _bytes_a_token(model)))
    shared = can_share(model)
    for end, numbers in groupby(order, ends.__getitem__):
        same, step = list(numbers), most if shared and end else 1
        for start in range(0, len(same), step):
            part = same[start : start + step]
            with torch.inference_mode():
                if shared and end:
                    yield part, _by_trie(model, chunks[:end], rows[part], responses, tick)
                else:
                    kept = kept_ids(chunks, rows[part[0]])
                    yield part, [_plain(model, kept, response)[None] for response in responses]
                    tick(1.0)


def _end(chunks: Sequence[Chunk], row: Rows) -> int:
    """Return how many chunks there are up to the last that a row keeps; 0 where it keeps none."""
    stays = [n for n, c in enumerate(chunks, 1) if c.segment is None or row[c.segment]]
    return stays[-1] if stays else 0


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


def _by_trie(
    model: Any,
    chunks: Sequence[Chunk],
    rows: Rows,
    responses: Sequence[Ids],
    tick: Callable[[float], None],
) -> list[NDArray[np.float32]]:
    """Return (rows, tokens) a response; every row keeps the last chunk."""
    # The prompt's last token is read with the response: its logits give the first token.
    *before, last = _last_apart(chunks)
    segments = [chunk.segment for chunk in before for _ in chunk.ids]
    every = np.ones((len(rows), len(segments)), dtype=bool)
    for place, segment in enumerate(segments):
        if segment is not None:
            every[:, place] = rows[:, segment]
    kept, of_row = _distinct(every)
    places = len(segments) + max(map(len, responses))
    cache = _Places(len(kept), places, model.device)
    share = len(rows) / (1 + len(responses))
    batches = _batches(kept)
    many = sum((part.stop - part.start) * (len(segments) - start) for part, start in batches)
    if many <= MORE * _trie_tokens(kept, before):
        ids = [i for chunk in before for i in chunk.ids]
        _read_whole(model, cache, ids, kept, batches, lambda part: tick(share * part))
    else:
        of_row = _read_levels(model, cache, before, kept, lambda part: tick(share * part))[of_row]
    found = []
    for response in responses:
        found.append(_read_response(model, cache, len(kept), last, response)[of_row])
        tick(share)
    return found


def _distinct(kept: Rows) -> tuple[Rows, NDArray[np.intp]]:
    """Return the rows without repetitions, in their order, and the place of each among them."""
    known: dict[bytes, int] = {}
    of_row = np.array([known.setdefault(row.tobytes(), len(known)) for row in kept])
    return kept[np.unique(of_row, return_index=True)[1]], of_row


def _batches(kept: Rows) -> list[tuple[slice, int]]:
    """Return (rows, the place from which they are read): the first row whole, then the others.

    `kept` (rows, places) has its rows in the trie's order, so that what a row shares with the
    first one shrinks from row to row. A row is read from the first place that it keeps after it
    differs; batches are as large as is worth the tokens read for nothing.
    """
    width = kept.shape[1]
    if not width:  # the response follows the prompt's only token
        return [(slice(0, 1), 0)]
    differs = (kept != kept[0]).cumsum(axis=1) > 0
    own = differs & kept
    starts = np.where(own.any(axis=1), own.argmax(axis=1), width)
    found, begun = [(slice(0, 1), 0)], 1
    for row in range(1, len(kept)):
        start = int(starts[begun : row + 1].min())
        if (row + 1 - begun) * (width - start) >= ENOUGH or row == len(kept) - 1:
            found.append((slice(begun, row + 1), start))
            begun = row + 1
    return found


def _trie_tokens(kept: Rows, chunks: Sequence[Chunk]) -> int:
    """Return how many tokens the trie reads: each chunk once a beginning that holds it."""
    many = at = 0
    for chunk in chunks:
        stay, end = kept[:, at], at + len(chunk.ids)
        many += len(chunk.ids) * len({row.tobytes() for row in kept[stay, :end]})
        at = end
    return many


def _read_whole(
    model: Any, cache: _Places, ids: Ids, kept: Rows, batches: Sequence[tuple[slice, int]],
    tick: Callable[[float], None],
) -> None:  # fmt: skip
    """Fill the cache batch by batch, each after what its rows share with the first row."""
    stays = torch.tensor(kept, device=cache.count.device)
    for rows, start in batches:
        many = rows.stop - rows.start
        cache.at = start
        if rows.start:
            cache.fork(0, rows)
        cache.held[rows, :start] = stays[rows, :start]
        cache.count[rows] = stays[rows, :start].sum(1)
        if start < len(ids):
            read = torch.tensor([list(ids[start:])] * many, device=stays.device)
            _advance(model, cache, rows, read, stays[rows, start:])
        tick(many / len(kept))


def _read_levels(
    model: Any, cache: _Places, chunks: Sequence[Chunk], kept: Rows, tick: Callable[[float], None]
) -> NDArray[np.intp]:
    """Fill the cache level by level; return the place of each row in it."""
    of_row = np.zeros(len(kept), dtype=np.intp)  # the beginning that each row has so far
    live = 1
    for chunk in chunks:
        stay = kept[:, cache.at]
        keep = sorted(set(of_row[stay]))
        for parent in sorted(set(of_row[~stay]) & set(keep)):
            cache.fork(parent, live)
            of_row[~stay & (of_row == parent)] = live
            live += 1
        if keep:
            read = torch.tensor([list(chunk.ids)] * len(keep), device=cache.count.device)
            _advance(model, cache, _index(keep), read)
        else:
            cache.at += len(chunk.ids)
        tick(1 / len(chunks))
    return of_row


def _last_apart(chunks: Sequence[Chunk]) -> list[Chunk]:
    *before, end = chunks
    *most, last = end.ids
    return [*before, *([Chunk(tuple(most), None)] if most else []), Chunk((last,), None)]


def _advance(model: Any, cache: _Places, rows: Any, ids: Any, kept: Any = None) -> None:
    """Read tokens after some beginnings; the others, and those not kept, leave places empty."""
    _run(model, cache, rows, ids, kept)
    cache.count[rows] += ids.shape[1] if kept is None else kept.sum(1)
    cache.at += ids.shape[1]


def _index(rows: Sequence[int]) -> Any:
    """Return the rows as a slice where they follow each other: a view is no copy."""
    if list(rows) == list(range(rows[0], rows[0] + len(rows))):
        return slice(rows[0], rows[0] + len(rows))
    return torch.tensor(rows)


def _run(
    model: Any, cache: _Places, rows: Any, ids: Any, kept: Any = None, *, logits: int = 0
) -> Any:
    """Run new tokens after some beginnings; return their logits where they are asked for.

    `kept` (rows, tokens) says which tokens are there; the others' results mean nothing.
    """
    config = model.config.get_text_config()
    end = cache.at + ids.shape[1]
    fresh = torch.ones_like(ids, dtype=torch.bool) if kept is None else kept
    own = (cache.count[rows][:, None] + fresh.cumsum(1) - 1).clamp(min=0)
    cache.active = rows
    cache.held[rows, cache.at : end] = fresh
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
    config = model.config.get_text_config()
    size = max(
        1,
        min(
            LOGITS // (len(response) * config.vocab_size),
            REPEATED // (cache.size[1] * _bytes_of_keys(model, config.num_attention_heads)),
        ),
    )
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
    return 2 * int(config.num_hidden_layers) * _bytes_of_keys(model, heads)


def _bytes_of_keys(model: Any, heads: int) -> int:
    """Return what a token's keys take in one layer."""
    config = model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(heads * size * model.dtype.itemsize)
