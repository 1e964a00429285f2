"""Keeping copies of evaluation rows out of development, by a sketch of them alone.

Tiers, the surest first; each asks both ways where one text can hold the other:

    equality      the same id, normal form, parents or cluster
    near          Jaccard of character 5-grams >= .6
    containment   >= .8 of a text's word 3-grams, weighed by rarity, stand in the other;
                  from .5, or .7 of its words in one window, a person should look
    long          a run of 13 words of an item of 26 words or more
    paraphrase    cosine of sentence embeddings within the same kind, where the numbers agree

The steps over shards are those of a distributed engine: `frequencies` is the map whose results are
added up (n-grams weigh by their rarity among all rows), `matches` a second map against the sketch,
which fits into memory. `matches_of` runs them; how rows are sharded changes nothing.

A semantic match counts only within the same kind: safe look-alikes of unsafe questions are close in
embedding and must stay. Thresholds: `benchmarks/contamination.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from selaras.core.decisions import Removal
from selaras.core.records import Query
from selaras.data.containment import (
    Counts,
    Rarity,
    contained,
    counted,
    covered,
    meetings,
    rarity,
    summed,
)
from selaras.data.encoder import MINILM, Encoder
from selaras.data.minhash import PERMUTATIONS, signature
from selaras.data.near import NEAR, SLACK, jaccards
from selaras.data.shingles import Ragged, sequences
from selaras.data.similarity import closest
from selaras.data.sketch import Sketch, hashed_grams, query_hash, tie_hashes, unit_vectors

# The reason given for a row that is itself sealed: a split that was cut off left it in the data.
SEALED = "is a sealed row"
SEALED_ROW = "a sealed row"
HELD, LOOKED_AT, WINDOW = 0.8, 0.5, 0.7
# What is shorter says too little to be a copy of anything: equality alone is asked of it. Up to
# five words a person should look.
FEWEST_WORDS, SURE_WORDS = 3, 5
LONG_ITEM = 26
RETRIEVED = 5
NEAR_MISS = "near_miss"


@dataclass(frozen=True, slots=True)
class Match:
    """A row that resembles an item of a sketch. `certain` is to be removed, the rest looked at.

    `reason` has `{}` where the item is to be named. The tier `near_miss` says that the two are
    close without reaching a threshold: no finding, but what a judge may be asked about.
    """

    row: int
    item: int
    tier: str
    reason: str
    score: float | None = None
    threshold: float | None = None
    certain: bool = True


def contaminated(
    rows: Sequence[Query],
    sketch: Sketch,
    salt: str,
    vectors: NDArray[np.float32] | None,
    item: str = SEALED_ROW,
) -> tuple[list[Query], list[Removal]]:
    """Return (clean rows, removals): a removal names the item, the tier and the similarity.

    Only what is certain is taken out. Clean and removed together are the input. `item` is what
    reasons call an item of the sketch.
    """
    found: dict[int, Removal] = {}
    for match in matches(rows, sketch, salt, vectors):
        if match.certain:
            score = None if match.score is None else round(match.score, 3)
            reason = match.reason.format(item)
            removal = Removal(rows[match.row].id, reason, sketch.ids[match.item], score)
            found.setdefault(match.row, removal)
    clean = [row for i, row in enumerate(rows) if i not in found]
    return clean, [found[i] for i in sorted(found)]


@dataclass(frozen=True, slots=True)
class Frequencies:
    """In how many texts each hashed word and run of three words stands."""

    words: Counts
    triples: Counts


def frequencies(rows: Sequence[Query], salt: str) -> Frequencies:
    """Return the frequencies of one shard of rows."""
    grams = hashed_grams([row.query_key for row in rows], salt)
    return Frequencies(counted(grams["words"]), counted(grams["triples"]))


def all_frequencies(parts: Iterable[Frequencies], sketch: Sketch) -> Frequencies:
    """Return the frequencies of all shards and of the sketch together."""
    own = Frequencies(counted(sketch.grams["words"]), counted(sketch.grams["triples"]))
    found = [*parts, own]
    return Frequencies(summed(p.words for p in found), summed(p.triples for p in found))


def matches_of(
    shards: Callable[[], Iterable[Sequence[Query]]],
    sketch: Sketch,
    salt: str,
    embed: Callable[[Sequence[str]], NDArray[np.float32]] | None,
    encoder: Encoder = MINILM,
) -> Iterator[Match]:
    """Yield what resembles the items of a sketch among sharded rows, numbered through all shards.

    `shards()` is read twice and must give the same rows both times; one shard is held at a time.
    """
    known = all_frequencies((frequencies(rows, salt) for rows in shards()), sketch)
    start = 0
    for rows in shards():
        vectors = embed([row.query_key for row in rows]) if embed and rows else None
        for match in matches(rows, sketch, salt, vectors, encoder, known):
            yield replace(match, row=start + match.row)
        start += len(rows)


def matches(
    rows: Sequence[Query],
    sketch: Sketch,
    salt: str,
    vectors: NDArray[np.float32] | None,
    encoder: Encoder = MINILM,
    known: Frequencies | None = None,
) -> Iterator[Match]:
    """Yield what resembles the items of a sketch, the surest tier first, near misses last.

    A pair may be found by several tiers. `vectors` are the rows' unit vectors, by the encoder that
    made the sketch's; None leaves the semantic tier out. `salt` is the sketch's. `known` are the
    frequencies among all rows where these are only a shard of them.
    """
    if not rows or not len(sketch):
        return
    yield from _same(rows, sketch, salt)
    texts = [row.query_key for row in rows]
    grams = hashed_grams(texts, salt)
    yield from _near(grams["characters"], sketch.grams["characters"])
    if known is None:
        mine = Frequencies(counted(grams["words"]), counted(grams["triples"]))
        known = all_frequencies([mine], sketch)
    yield from _contained(texts, grams, sketch, salt, known)
    if vectors is not None and sketch.vectors.size:
        yield from _paraphrases(rows, vectors, grams["numbers"], sketch, encoder)


def shared_numbers(rows: Ragged, items: Ragged, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the Jaccard of the numbers of each pair; NaN where neither text has any."""
    none = (rows.lengths[pairs[:, 0]] == 0) & (items.lengths[pairs[:, 1]] == 0)
    return np.where(none, np.nan, jaccards(rows, items, pairs))


def _same(rows: Sequence[Query], sketch: Sketch, salt: str) -> Iterator[Match]:
    by_hash = {name: i for i, name in reversed([*enumerate(sketch.hashes)])}
    by_id = {name: i for i, name in enumerate(sketch.ids)}
    by_tie: dict[str, int] = {}
    for i, ties in enumerate(sketch.ties):
        for tie in ties:
            by_tie.setdefault(tie, i)
    for i, row in enumerate(rows):
        hashed = query_hash(row, salt)
        if by_tie and row.id in by_id:
            same = hashed == sketch.hashes[by_id[row.id]]
            reason = "is {}" if same else "has the id of {}"
            yield Match(i, by_id[row.id], "equality", reason)
        if hashed in by_hash:
            yield Match(i, by_hash[hashed], "equality", "equals {}", 1.0, 1.0)
        for tie in tie_hashes(row, salt) if by_tie else ():
            if tie in by_tie:
                reason = "belongs to {} (parents or cluster)"
                yield Match(i, by_tie[tie], "equality", reason)


def _near(rows: Ragged, items: Ragged) -> Iterator[Match]:
    theirs = signature(items).astype(np.uint8)
    for start in range(0, len(rows), 256):
        part = rows.take(np.arange(start, min(start + 256, len(rows))))
        mine = signature(part).astype(np.uint8)
        agree = np.stack([np.count_nonzero(theirs == one, axis=1) for one in mine])
        pairs = np.argwhere(agree >= (NEAR - SLACK) * PERMUTATIONS)
        for (i, j), score in zip(
            pairs.tolist(), jaccards(part, items, pairs).tolist(), strict=True
        ):
            if score >= NEAR:
                yield Match(start + i, j, "near", "nearly equals {}", score, NEAR)


def _contained(
    texts: Sequence[str], grams: dict[str, Ragged], sketch: Sketch, salt: str, known: Frequencies
) -> Iterator[Match]:
    mine, theirs = grams["words"].lengths, sketch.grams["words"].lengths
    weight = rarity(known.triples)
    found = contained(grams["triples"], sketch.grams["triples"], LOOKED_AT, weight)
    for (i, j), of_item, of_row in zip(
        found.pairs.tolist(), found.of_item.tolist(), found.of_row.tolist(), strict=True
    ):
        for share, words, reason in (
            (of_item, theirs[j], "contains {}"),
            (of_row, mine[i], "is part of {}"),
        ):
            if share >= LOOKED_AT and words >= FEWEST_WORDS:
                certain = share >= HELD and words >= SURE_WORDS
                limit = HELD if share >= HELD else LOOKED_AT
                yield Match(i, j, "containment", reason, share, limit, certain)
    for i, j in meetings(grams["thirteens"], sketch.grams["thirteens"]):
        if theirs[j] >= LONG_ITEM or mine[i] >= LONG_ITEM:
            yield Match(i, j, "long", "shares 13 words in a row with {}")
    words = rarity(known.words)
    yield from _in_windows(texts, grams["words"], sketch.grams["words"], salt, words)


def _in_windows(
    texts: Sequence[str], rows: Ragged, items: Ragged, salt: str, weight: Rarity
) -> Iterator[Match]:
    """Yield rows in which nearly all words of an item stand close together (a word was changed)."""
    found = contained(rows, items, WINDOW, weight)
    long_enough = (found.of_item >= WINDOW) & (items.lengths[found.pairs[:, 1]] >= FEWEST_WORDS)
    pairs = found.pairs[long_enough]
    wanted = np.unique(pairs[:, 0])
    ordered = dict(
        zip(wanted.tolist(), sequences([texts[i] for i in wanted], salt).rows(), strict=True)
    )
    sets = items.rows()
    for i, j in pairs.tolist():
        share = covered(ordered[i], sets[j], weight)
        if share >= WINDOW:
            reason = "has nearly all words of {}"
            yield Match(i, j, "containment", reason, share, WINDOW, certain=False)


def _paraphrases(
    rows: Sequence[Query],
    vectors: NDArray[np.float32],
    numbers: Ragged,
    sketch: Sketch,
    encoder: Encoder,
) -> Iterator[Match]:
    rule = encoder.copies
    retrieved = min(encoder.near_miss, rule.least)
    pairs, cosines = closest(vectors, unit_vectors(sketch), retrieved, RETRIEVED)
    meant = rule.holds(cosines, shared_numbers(numbers, sketch.grams["numbers"], pairs))
    missed = []
    for (i, j), score, same in zip(pairs.tolist(), cosines.tolist(), meant.tolist(), strict=True):
        kind = sketch.kinds[j]
        if kind not in {"", rows[i].kind.value}:
            continue
        if same:
            certain = encoder.decides and bool(kind)
            yield Match(i, j, "paraphrase", "paraphrases {}", score, rule.least, certain)
        else:
            missed.append(Match(i, j, NEAR_MISS, "is close to {}", score, retrieved, False))
    yield from missed
