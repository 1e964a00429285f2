"""Copies of sealed rows: found by the sketch alone, taken out with a reason, nothing else is."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.projects import WordEncoder, row, some_rows, twins, unlike
from selaras.core.errors import InputError
from selaras.core.records import Query
from selaras.data import parse_row
from selaras.data.contamination import contaminated, matches_of
from selaras.data.sketch import (
    Sketch,
    make_sketch,
    query_hash,
    read_sketch,
    selected,
    unit_vectors,
    write_sketch,
)

MEANING = "my cat is ill and will not eat its food so ask a vet"
SHUFFLED = "so vet a ask food its eat not will and ill is cat my"
NEARLY = "my cat is ill and will not eat all its food so ask a vet"
SEALED = [
    row("s1", MEANING, kind="malicious"),
    *twins(1),
    row("s2", "A longer question about the boiler in the cellar that hums at night"),
    row("s3", "s three", parents=["root"]),
]


def sketch_of(values: list[dict[str, Any]], salt: str = "salt") -> Sketch:
    rows = [parse_row(value) for value in values]
    return make_sketch(rows, WordEncoder().embed([r.query_key for r in rows]), salt)


def checked(
    values: list[dict[str, Any]], semantic: bool = True
) -> tuple[list[str], dict[str, tuple[str, str | None]]]:
    rows = [parse_row(value) for value in values]
    vectors = WordEncoder().embed([r.query_key for r in rows]) if semantic else None
    clean, removed = contaminated(rows, sketch_of(SEALED), "salt", vectors)
    assert [r.id for r in rows if r in clean] == [r.id for r in clean]
    assert sorted([r.id for r in clean] + [r.record for r in removed]) == sorted(r.id for r in rows)
    return [r.id for r in clean], {r.record: (r.reason, r.matched) for r in removed}


@pytest.mark.parametrize(
    ("value", "reason", "matched"),
    [
        (row("s1", MEANING), "is a sealed row", "s1"),
        (row("s1", "something else"), "has the id of a sealed row", "s1"),
        (row("a", MEANING.upper() + "?!"), "equals a sealed row", "s1"),
        (row("a", cluster="twin-1"), "belongs to a sealed row (parents or cluster)", "t1-m"),
        (row("a", parents=["s2"]), "belongs to a sealed row (parents or cluster)", "s2"),
        (row("root"), "belongs to a sealed row (parents or cluster)", "s3"),
        (row("a", parents=["root"]), "belongs to a sealed row (parents or cluster)", "s3"),
        (row("a", NEARLY), "nearly equals a sealed row", "s1"),
        (row("a", SHUFFLED, kind="malicious"), "paraphrases a sealed row", "s1"),
    ],
)
def test_a_copy_is_taken_out_with_its_reason(
    value: dict[str, Any], reason: str, matched: str
) -> None:
    clean, removed = checked([row("x"), value, row("y")])
    assert clean == ["x", "y"]
    assert removed == {value["id"]: (reason, matched)}


@pytest.mark.parametrize("kind", ["ordinary", "look_alike", "inadvertent"])
def test_a_look_alike_of_a_malicious_row_stays(kind: str) -> None:
    assert checked([row("a", SHUFFLED, kind=kind)]) == (["a"], {})


def test_without_vectors_meaning_is_not_looked_at() -> None:
    assert checked([row("a", SHUFFLED, kind="malicious")], semantic=False) == (["a"], {})


def test_the_similarity_is_given() -> None:
    rows = [Query(id="a", query=NEARLY), Query(id="b", query=MEANING)]
    _, removed = contaminated(rows, sketch_of(SEALED), "salt", None)
    near, equal = removed
    assert near.similarity is not None
    assert 0.6 <= near.similarity < 1
    assert equal.similarity == 1


def test_another_salt_finds_nothing() -> None:
    rows = [Query(id="a", query=MEANING), Query(id="b", query=NEARLY)]
    clean, removed = contaminated(rows, sketch_of(SEALED), "other", None)
    assert (clean, removed) == (rows, [])


@given(st.lists(st.sampled_from([
    row("a", MEANING), row("b", NEARLY), row("c", SHUFFLED), row("d"), row("e", cluster="twin-1"),
    row("f", SHUFFLED, kind="malicious"), row("s1"), row("g"), row("h", parents=["s3"]),
]), unique_by=lambda value: value["id"]))  # fmt: skip
def test_clean_and_removed_are_the_input_and_twice_is_as_once(values: list[dict[str, Any]]) -> None:
    if not values:
        return
    clean, removed = checked(values)
    kept = [value for value in values if value["id"] in clean]
    assert clean == [value["id"] for value in values if value["id"] not in removed]
    assert not kept or checked(kept) == (clean, {})


def test_no_rows_and_no_sketch() -> None:
    nothing = contaminated([], sketch_of(SEALED), "salt", np.zeros((0, 0), np.float32))
    assert nothing == ([], [])


def test_the_sketch_comes_back_as_it_was(tmp_path: Path) -> None:
    sketch = sketch_of([*SEALED, row("odd", "é"), row("long", unlike("a") * 30)])
    path = tmp_path / "holdout" / "sketch.npz"
    write_sketch(path, sketch)
    again = read_sketch(path)
    for name in ("ids", "kinds", "hashes", "ties"):
        assert getattr(again, name) == getattr(sketch, name)
    assert np.array_equal(again.vectors, sketch.vectors)
    assert again.vectors.dtype == sketch.vectors.dtype
    assert again.grams.keys() == sketch.grams.keys()
    for name, grams in sketch.grams.items():
        assert np.array_equal(again.grams[name].values, grams.values)
        assert np.array_equal(again.grams[name].lengths, grams.lengths)


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_sketch(tmp_path / name, sketch_of(SEALED))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_part_of_a_sketch() -> None:
    whole = sketch_of(SEALED)
    part = selected(whole, ["s2", "s1"])
    exact = sketch_of([SEALED[3], SEALED[0]])
    assert (part.ids, part.hashes, part.ties) == (exact.ids, exact.hashes, exact.ties)
    assert np.array_equal(part.vectors, exact.vectors)
    for name, grams in exact.grams.items():
        assert np.array_equal(part.grams[name].values, grams.values)
    with pytest.raises(KeyError):
        selected(whole, ["none"])


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([64, 384]))
def test_rounding_hardly_moves_a_cosine(seed: int, dimensions: int) -> None:
    vectors = np.random.default_rng(seed).standard_normal((6, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [Query(id=f"r{i}", query="x") for i in range(6)]
    unit = unit_vectors(make_sketch(rows, vectors, ""))
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-5)
    assert np.abs(vectors @ vectors.T - vectors @ unit.T).max() < 0.005


def test_a_sketch_with_a_column_cut_off_is_damaged(tmp_path: Path) -> None:
    write_sketch(tmp_path / "s.npz", sketch_of(SEALED))
    with np.load(tmp_path / "s.npz") as stored:
        columns = dict(stored)
    for name, column in columns.items():
        path = tmp_path / "bad.npz"
        # The ties of several rows stand in one list, and a shorter one is still a list.
        if name not in {"ties", "version"} and column.size:
            np.savez(path, **{**columns, name: column[:-1]})
            with pytest.raises(InputError, match="damaged"):
                read_sketch(path)
        np.savez(path, **{key: value for key, value in columns.items() if key != name})
        with pytest.raises(InputError, match="earlier version" if name == "version" else "damaged"):
            read_sketch(path)


@settings(max_examples=40)
@given(st.integers(0, 2000), st.integers(0, 255))
def test_any_damage_is_an_input_error(place: int, byte: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.npz"
        write_sketch(path, sketch_of(SEALED[:2]))
        raw = bytearray(path.read_bytes())
        raw[place % len(raw)] = byte
        for damaged in (bytes(raw), bytes(raw[: place % len(raw)])):
            path.write_bytes(damaged)
            with contextlib.suppress(InputError):
                read_sketch(path)


def test_a_query_hash_needs_its_salt() -> None:
    one, other = Query(id="a", query="Kill it!"), Query(id="b", query="kill  it")
    assert query_hash(one, "s") == query_hash(other, "s") != query_hash(one, "t")


def test_no_held_out_row_survives(tmp_path: Path) -> None:
    rows = [parse_row(value) for value in some_rows(4, 6)]
    sketch = sketch_of(some_rows(4, 6))
    clean, removed = contaminated(rows, sketch, "salt", None)
    assert clean == []
    assert len(removed) == len(rows)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(12)), st.integers(1, 12))
def test_the_order_and_the_shards_change_nothing(order: list[int], size: int) -> None:
    rows = [parse_row(value) for value in (
        *SEALED, row("long", f"Dear all, {MEANING}, and thank you"), row("mean", SHUFFLED),
        row("near", NEARLY), row("cut", "my cat is ill and will not eat"),
        *(row(f"free{i}") for i in range(3)),
    )]  # fmt: skip
    assert len(rows) == len(order)
    sketch = sketch_of(SEALED)
    shuffled = [rows[i] for i in order]
    shards = [shuffled[i : i + size] for i in range(0, len(rows), size)]

    def told(given: list[Query], parts: list[list[Query]]) -> set[tuple[object, ...]]:
        found = matches_of(lambda: parts, sketch, "salt", WordEncoder().embed)
        return {(given[m.row].id, m.item, m.tier, m.certain, round(m.score or 0, 5)) for m in found}

    whole = told(rows, [rows])
    assert {tier for _, _, tier, _, _ in whole} >= {"equality", "near", "containment", "paraphrase"}
    assert told(shuffled, shards) == whole
