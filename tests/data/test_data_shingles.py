"""Hashed n-grams of many texts at once: the same as of each alone, and as counted by hand."""

import hypothesis
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selaras.core.fingerprint import normalise
from selaras.data import shingles as module
from selaras.data.near import jaccards
from selaras.data.shingles import Ragged, blocks, join, sequences, shingles

TEXTS = st.lists(st.text(max_size=40) | st.text("aB .?\n\t-1", max_size=30), max_size=12)
ODD = ["", " ", "???", "😀", "\ud83d", "é", "שלום עולם", "你好 世界", "a\x00b", "ﬁ", "A" * 3000]


def as_text(rows: Ragged) -> list[str]:
    return ["".join(map(chr, row)) for row in rows.rows()]


def normal_forms(texts: list[str]) -> list[str]:
    found = [""] * len(texts)
    for rows, characters in blocks(texts):
        for row, text in zip(rows, as_text(characters), strict=True):
            found[row] = text
    return found


@given(TEXTS)
def test_blocks_hold_the_normal_forms(texts: list[str]) -> None:
    assert normal_forms(texts) == [normalise(text) for text in texts]


def test_odd_texts_have_their_normal_forms() -> None:
    assert normal_forms(ODD) == [normalise(text) for text in ODD]


@given(TEXTS, st.sampled_from([1, 3, 5, 13]), st.sampled_from(["character", "word"]))
def test_together_is_as_alone(texts: list[str], width: int, unit: module.Unit) -> None:
    together = shingles(texts, width, unit)
    assert len(together) == len(texts)
    for text, row in zip(texts, together.rows(), strict=True):
        assert np.array_equal(row, shingles([text], width, unit).values)
        assert np.array_equal(row, np.unique(row))
        assert len(row) >= 1


@given(st.text(max_size=60), st.text(max_size=60))
@example("", "\0")
def test_jaccard_is_the_share_of_common_ngrams(one: str, other: str) -> None:
    def grams(text: str) -> set[str]:
        text = normalise(text)
        return {text[i : i + 5] for i in range(max(1, len(text) - 4))}

    sets = shingles([one, other])
    exact = len(grams(one) & grams(other)) / len(grams(one) | grams(other))
    assert jaccards(sets, sets, np.array([[0, 1]]))[0] == pytest.approx(exact)


@given(TEXTS)
def test_words_are_told_apart(texts: list[str]) -> None:
    alone = [text for text in texts if not any(ord(c) >= 0x0E00 for c in text)]
    for text, row in zip(alone, sequences(alone).rows(), strict=True):
        words = normalise(text).split() or [""]
        assert len(row) == len(words)
        assert len(set(row.tolist())) == len(set(words))


def test_a_character_of_a_script_without_spaces_is_a_word() -> None:
    assert sequences(["我想杀死进程 now"]).lengths.tolist() == [7]
    assert sequences(["कौन है"]).lengths.tolist() == [2]


def test_a_salt_changes_the_hashes_and_not_the_likeness() -> None:
    texts = ["kill the mould in the bath", "kill the mould in the bathroom"]
    plain, salted = shingles(texts), shingles(texts, salt="salt")
    pair = np.array([[0, 1]])
    assert jaccards(plain, plain, pair) == jaccards(salted, salted, pair)
    assert jaccards(plain, salted, np.array([[0, 0]])) == 0


def test_hashes_are_the_same_on_every_machine_and_day() -> None:
    assert shingles(["household"]).values.tolist() == [
        79778720,
        185819138,
        311531362,
        1623472762,
        2211563667,
    ]


@given(st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=6), st.data())
def test_rows_are_taken_and_joined(rows: list[list[int]], data: st.DataObject) -> None:
    ragged = Ragged(
        np.array([n for row in rows for n in row], np.uint32),
        np.array(list(map(len, rows)), np.int64),
    )
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8) if rows else st.just([]))
    taken = ragged.take(np.array(chosen, dtype=np.int64))
    assert [row.tolist() for row in taken.rows()] == [rows[i] for i in chosen]
    assert [row.tolist() for row in join([taken, ragged]).rows()] == [
        rows[i] for i in chosen
    ] + rows


@hypothesis.settings(max_examples=20)
@given(TEXTS)
def test_the_size_of_blocks_changes_nothing(texts: list[str]) -> None:
    whole = shingles(texts)
    before = module._ROWS, module._CHARACTERS, module._ABREAST
    module._ROWS, module._CHARACTERS, module._ABREAST = 2, 16, 1
    try:
        assert np.array_equal(shingles(texts).values, whole.values)
    finally:
        module._ROWS, module._CHARACTERS, module._ABREAST = before
