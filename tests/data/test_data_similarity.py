"""Likeness of texts: MinHash estimates the Jaccard, and nothing alike slips through."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.data import similarity
from selaras.data.similarity import NEAR, close_pairs, jaccard, minhash, near_pairs, shingles

MOULD = ["how", "do", "i", "kill", "the", "mould", "in", "my", "old", "bathroom", "quickly"]
WORDS = st.lists(st.sampled_from(MOULD), max_size=12)
TEXT = WORDS.map(" ".join) | st.text(max_size=30)


@given(TEXT, TEXT)
def test_jaccard_is_the_share_of_common_shingles(one: str, other: str) -> None:
    def grams(text: str) -> set[str]:
        return {text[i : i + 5] for i in range(max(1, len(text) - 4))}

    exact = len(grams(one) & grams(other)) / len(grams(one) | grams(other))
    assert jaccard(shingles(one), shingles(other)) == pytest.approx(exact)
    assert jaccard(shingles(one), shingles(one)) == 1


@given(TEXT, TEXT)
def test_minhash_comes_near_the_jaccard(one: str, other: str) -> None:
    sets = [shingles(one), shingles(other)]
    signatures = minhash(sets)
    # 128 permutations: a standard error of .044 at worst, and six of them.
    assert abs((signatures[0] == signatures[1]).mean() - jaccard(*sets)) <= 0.27


def test_near_pairs_are_those_of_brute_force() -> None:
    generator = np.random.default_rng(3)
    words = [f"word{i}" for i in range(40)]
    texts = []
    for _ in range(30):
        text = list(generator.choice(words, 10))
        texts.append(" ".join(text))
        for changes in (1, 2, 3):
            copy = list(text)
            for place in generator.choice(10, changes, replace=False):
                copy[place] = generator.choice(words)
            texts.append(" ".join(copy))
    grams = [shingles(text) for text in texts]
    exact = {
        (i, j)
        for i, j in itertools.product(range(len(grams)), repeat=2)
        if jaccard(grams[i], grams[j]) >= NEAR
    }
    found = {(i, j): score for i, j, score in near_pairs(grams, grams)}
    assert set(found) == exact
    assert len(exact) > 200
    assert all(score == jaccard(grams[i], grams[j]) for (i, j), score in found.items())
    assert {(i, j) for i, j, _ in near_pairs(grams, list(grams))} == exact


def test_a_long_text_is_hashed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    grams = [shingles(" ".join(f"word{i}" for i in range(n))) for n in (1, 40, 900)]
    whole = minhash(grams)
    monkeypatch.setattr(similarity, "_BLOCK", 7)
    assert np.array_equal(minhash(grams), whole)


def test_signatures_are_the_same_on_every_machine_and_day() -> None:
    assert shingles("household").tolist() == [
        452805722, 988928707, 1142383247, 1594426774, 4142547938
    ]  # fmt: skip
    assert minhash([shingles("household")])[0, :4].tolist() == [
        6346923,
        424321019,
        348573725,
        286340061,
    ]


def test_salt_changes_the_hashes_and_not_the_likeness() -> None:
    one, other = "kill the mould in the bath", "kill the mould in the bathroom"
    assert not np.array_equal(shingles(one), shingles(one, "salt"))
    assert jaccard(shingles(one), shingles(other)) == jaccard(
        shingles(one, "salt"), shingles(other, "salt")
    )
    assert jaccard(shingles(one), shingles(one, "salt")) == 0


@pytest.mark.parametrize("text", ["", "a", "abcd", "😀", "\ud83d"])
def test_short_and_odd_texts_have_one_shingle(text: str) -> None:
    assert len(shingles(text)) == 1
    assert minhash([shingles(text)]).shape == (1, 128)


def test_no_texts_at_all() -> None:
    assert minhash([]).shape == (0, 128)
    assert list(near_pairs([], [])) == []
    nothing = np.zeros((0, 4), np.float32)
    assert list(close_pairs(nothing, nothing)) == []


def test_close_pairs_reach_over_blocks() -> None:
    vectors = np.eye(3, dtype=np.float32)[np.arange(2500) % 3]
    found = {(i, j) for i, j, score in close_pairs(vectors, vectors[:3]) if score > 0.99}
    assert found == {(i, i % 3) for i in range(2500)}
