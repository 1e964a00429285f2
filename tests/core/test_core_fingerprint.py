"""Identities: the same content has the same one, on every machine and day."""

import math
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.fingerprint import (
    canonical_json,
    fingerprint,
    normalise,
    plain,
    seed_from,
    sha256_file,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))


@given(VALUES, st.integers(1, 64))
def test_shorter_is_a_prefix(value: Any, length: int) -> None:
    assert fingerprint(value, 64).startswith(fingerprint(value, length))
    assert len(fingerprint(value, length)) == length


def test_it_is_the_same_on_every_machine() -> None:
    value = {"b": [1, 1.5, None], "a": "é"}
    assert canonical_json(value) == '{"a":"é","b":[1,1.5,null]}'
    assert fingerprint(value, 64) == (
        "ee5a433dcaba6d5fa5b22ec552101c9233d0839fbd216a438e5fce2e7eefa33c"
    )
    assert seed_from("split", 0) == int(fingerprint(["split", 0], 8), 16)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_has_no_identity(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint([value])


def test_half_a_character_has_one() -> None:
    assert fingerprint("\ud83d") != fingerprint("\ud83e")


@given(st.text())
@example("ΐ")
@example("ǰ\u0323")
@example("\u00a8")
@example("™")
@example("İ")
@example("👩\u200d🚀")
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(st.text())
@example("\0")
@example("\0?")
def test_a_text_that_says_something_never_vanishes(text: str) -> None:
    said = unicodedata.normalize("NFKC", text).casefold().replace("\0", " ")
    assert bool(normalise(text)) == bool(said.split())


@given(
    st.lists(st.text("abcdé", min_size=1), min_size=1),
    st.sampled_from([" ", "  ", ", ", "\n", "-", "\u00a0"]),
)
def test_case_punctuation_and_space_do_not_matter(words: list[str], between: str) -> None:
    plainly = " ".join(words)
    assert normalise(between.join(words).upper() + "?!") == normalise(plainly) == plainly


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kill\u00ading", "killing"),
        ("k\u200bill", "kill"),
        ("\ufeffkill", "kill"),
        ("ｋｉｌｌ", "KILL"),
        ("straße", "STRASSE"),
        ("don't", "don’t"),
        ("cafe\u0301", "café"),
    ],
)
def test_what_looks_the_same_is_the_same(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"), [("???", "!!!"), ("😀", "😢"), ("kill", "kilt"), ("हिन्दी", "हन्द")]
)
def test_what_differs_stays_apart(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_seeds_differ_by_use() -> None:
    seeds = {seed_from(use, n) for use in ("split", "tune") for n in range(50)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_file_has_the_hash_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * (3 << 20))
    import hashlib

    assert sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    for bad in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError):
            sha256_file(bad)


def test_plain_values_are_json_types() -> None:
    value = {1: (Path("a"), {"b", "a"}), "x": frozenset({3, 1})}
    assert plain(value) == {"1": ["a", ["a", "b"]], "x": [1, 3]}
