"""Near-duplicates: those of brute force, however the rows are sharded, and never quadratic."""

import itertools
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from selaras.data.minhash import PERMUTATIONS, sign, signature
from selaras.data.near import (
    NEAR,
    NearDuplicates,
    candidates,
    contents,
    jaccards,
    near_duplicates,
    near_duplicates_of,
)
from selaras.data.shingles import shingles

MOULD = ["how", "do", "i", "kill", "the", "mould", "in", "my", "old", "bathroom", "quickly"]
TEXT = st.lists(st.sampled_from(MOULD), max_size=16).map(" ".join) | st.text(max_size=30)


def edited(texts: int, seed: int) -> list[str]:
    """Return texts of 12 words with up to three copies each, in which 0 to 3 words are changed."""
    chance = np.random.default_rng(seed)
    words = [f"{a}{b}" for a in "bcdfghklmnprst" for b in ("ola", "eni", "uru", "ikas", "oto")]
    made = []
    for _ in range(texts):
        text = chance.choice(words, 12).tolist()
        made.append(" ".join(text))
        for changes in range(chance.integers(0, 4)):
            copy = list(text)
            for place in chance.choice(12, changes, replace=False):
                copy[place] = chance.choice(words)
            made.append(" ".join(copy))
    return made


def said(texts: list[str], found: NearDuplicates) -> dict[tuple[str, str], float]:
    """Return the alike texts themselves, in their own order, with the likeness."""
    names = [texts[i] for i in found.first]
    return {
        (min(names[a], names[b]), max(names[a], names[b])): score
        for (a, b), score in zip(found.pairs.tolist(), found.scores.tolist(), strict=True)
    }


def test_pairs_are_those_of_brute_force() -> None:
    texts = sorted(set(edited(160, 3)))
    sets = shingles(texts)
    pairs = np.array([*itertools.combinations(range(len(texts)), 2)])
    scores = jaccards(sets, sets, pairs)
    exact = {
        (texts[a], texts[b]): s
        for (a, b), s in zip(pairs.tolist(), scores, strict=True)
        if s >= NEAR
    }
    found = said(texts, near_duplicates(texts))
    assert found.items() <= exact.items()
    assert len(exact) > 80
    # 32 bands of 4 miss about one pair in a hundred at .6, and none in practice from .7 on.
    assert len(found) >= 0.97 * len(exact)
    assert {pair for pair, score in exact.items() if score >= 0.75} <= found.keys()


@settings(max_examples=25)
@given(st.lists(TEXT, max_size=20), st.randoms(use_true_random=False), st.integers(1, 7))
def test_the_order_and_the_shards_change_nothing(
    texts: list[str], chance: object, size: int
) -> None:
    texts = [*texts, *edited(3, 1)]
    shuffled = list(texts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    shards = [shuffled[i : i + size] for i in range(0, len(shuffled), size)]
    whole, sharded = near_duplicates(texts), near_duplicates_of(lambda: shards)

    def normal(found: NearDuplicates, rows: list[str]) -> tuple[object, object]:
        alike: dict[int, list[str]] = {}
        for row, content in zip(rows, found.content.tolist(), strict=True):
            alike.setdefault(content, []).append(row)
        groups = {number: tuple(sorted(group)) for number, group in alike.items()}
        pairs = zip(found.pairs.tolist(), found.scores.tolist(), strict=True)
        return groups, {(groups[a], groups[b], score) for (a, b), score in pairs}

    assert normal(whole, texts) == normal(sharded, shuffled)


def test_equal_normal_forms_are_one_content_in_any_encoding() -> None:
    texts = ["Kill it, now!", "kill  it now", "ＫＩＬＬ it now", "KILL it now?", "kill it no"]
    content = near_duplicates(texts).content
    assert len(set(content[:4].tolist())) == 1
    assert content[4] != content[0]


def test_odd_texts_are_told_apart() -> None:
    texts = ["", "a", "😀", "😀😀", "\ud83d", "שלום", "你好", "?", "!", "ab", "abc def"]
    assert len(set(near_duplicates(texts).content.tolist())) == len(texts)
    assert near_duplicates([]).content.tolist() == []


def test_a_million_identical_rows_are_one() -> None:
    started = time.process_time()
    found = near_duplicates_of(
        lambda: (["the very same row", "Another row."] * 5000 for _ in range(10))
    )
    assert len(found.content) == 100_000
    assert (len(found.first), len(found.pairs)) == (2, 0)
    assert time.process_time() - started < 10


def test_a_giant_bucket_stays_linear() -> None:
    # One template: every row alike to every other, which would be 8 million pairs.
    texts = [
        f"please write a short and friendly letter to my neighbour number {n}" for n in range(4000)
    ]
    signed = sign(texts)
    _, first = contents(signed)
    assert len(candidates(signed, first, NEAR)) < 200 * len(texts)


def test_a_long_row_is_compared_like_any_other() -> None:
    long = " ".join(f"word{i}" for i in range(40_000))
    found = near_duplicates([long, long.replace("word7 ", "wort7 "), "short"])
    assert found.pairs.tolist() == [sorted(found.content[:2].tolist())]
    assert found.scores[0] > 0.99


@given(TEXT, TEXT)
def test_signatures_estimate_the_jaccard(one: str, other: str) -> None:
    sets = shingles([one, other])
    exact = jaccards(sets, sets, np.array([[0, 1]]))[0]
    places = signature(sets)
    assert places.shape == (2, PERMUTATIONS)
    assert np.array_equal(places.astype(np.uint8), sign([one, other]).places)
    if one == other:
        assert (places[0] == places[1]).all()
    # Few shingles say little; that many standard errors are never seen otherwise.
    assert abs((places[0] == places[1]).mean() - exact) <= 0.3 + 1.2 / np.sqrt(min(sets.lengths))


def test_signatures_are_unbiased() -> None:
    texts = edited(150, 5)
    sets = shingles(texts)
    pairs = np.array([(i, i + 1) for i in range(len(texts) - 1)])
    exact = jaccards(sets, sets, pairs)
    places = signature(sets)
    estimate = (places[pairs[:, 0]] == places[pairs[:, 1]]).mean(axis=1)
    alike = exact > 0.3
    assert abs((estimate - exact)[alike].mean()) < 0.02
    assert (estimate - exact)[alike].std() < 0.07
