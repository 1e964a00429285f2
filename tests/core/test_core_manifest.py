"""Manifests, the ledger and the trace."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.fingerprint import sha256_file
from selaras.core.manifest import (
    Manifest,
    _reached,
    hashes,
    ledger,
    new_manifest,
    read_manifest,
    trace,
    versions,
    with_key,
    write_manifest,
)


def write(runs: Path, name: str, minute: int = 0, **fields: Any) -> Manifest:
    made = Manifest(id=name, kind="eval", started=f"2026-01-01T00:{minute:02}:00Z", **fields)
    write_manifest(runs, made)
    return made


def names(manifests: list[Manifest]) -> list[str]:
    return [manifest.id for manifest in manifests]


def test_it_reads_what_it_wrote(tmp_path: Path) -> None:
    made = new_manifest(
        "tune", "guarded", config={"key": "k", "rows": {"a": 1}}, figures={"x": 0.5}
    )
    folder = write_manifest(tmp_path, made)
    assert folder == tmp_path / made.id
    assert read_manifest(tmp_path, made.id) == made
    assert made.id.startswith("tune-guarded-")
    assert made.versions.keys() >= {"python", "platform", "numpy"}


def test_a_long_name_still_makes_an_id() -> None:
    assert len(new_manifest("eval", "n" * 128).id) <= 128


def test_ids_of_one_second_differ() -> None:
    assert len({new_manifest("eval", "a").id for _ in range(20)}) > 15


def test_versions_import_nothing_heavy() -> None:
    assert all(isinstance(version, str) for version in versions().values())


@pytest.mark.parametrize("name", ["none", "", "..", "../x", "a/../../b", "/etc"])
def test_an_unknown_run_is_refused_and_the_newest_are_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / "runs", "known")
    (tmp_path / "x").mkdir()
    write_manifest(
        tmp_path, read_manifest(tmp_path / "runs", "known").model_copy(update={"id": "x"})
    )
    with pytest.raises(InputError, match="known"):
        read_manifest(tmp_path / "runs", name)


def test_a_damaged_manifest_names_its_file_and_field(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / "a" / "manifest.json").write_text('{"id": "a", "kind": "eval", "started": 3}')
    with pytest.raises(InputError) as caught:
        ledger(tmp_path)
    assert caught.value.field == "started"
    assert str(caught.value.path).endswith("manifest.json")


def test_the_ledger_is_in_order_of_time(tmp_path: Path) -> None:
    for name, minute in (("c", 1), ("a", 3), ("b", 2), ("d", 2)):
        write(tmp_path, name, minute)
    assert names(ledger(tmp_path)) == ["c", "b", "d", "a"]
    assert ledger(tmp_path / "nothing") == []


def test_with_key_is_the_newest_of_its_kind_key_and_status(tmp_path: Path) -> None:
    write(tmp_path, "a", 1, status="finished", config={"key": "k"})
    write(tmp_path, "b", 2, status="finished", config={"key": "k"})
    write(tmp_path, "c", 3, status="running", config={"key": "k"})
    write(tmp_path, "d", 4, status="finished", config={"key": "other"})
    found = with_key(tmp_path, "eval", "k", "finished")
    assert found is not None
    assert found.id == "b"
    assert with_key(tmp_path, "tune", "k", "finished") is None


def test_hashes_are_relative_and_skip_what_is_not_there(tmp_path: Path) -> None:
    inside, outside = tmp_path / "p" / "a.txt", tmp_path / "b.txt"
    inside.parent.mkdir()
    inside.write_text("a")
    outside.write_text("b")
    found = hashes(tmp_path / "p", [inside, inside, outside, tmp_path / "none"])
    assert found == {"a.txt": sha256_file(inside), str(outside): sha256_file(outside)}


def test_the_trace_follows_parents_and_shared_files_both_ways(tmp_path: Path) -> None:
    write(tmp_path, "split", 0, outputs={"holdout/seal.json": "1"})
    write(tmp_path, "tune", 1, inputs={"holdout/seal.json": "1"}, outputs={"adapter": "2"})
    write(tmp_path, "eval", 2, parents=("tune",))
    write(tmp_path, "report", 3, parents=("eval", "deleted"))
    write(tmp_path, "other", 4, inputs={"holdout/seal.json": "another version"})
    before, after = trace(tmp_path, "eval")
    assert names(before) == ["split", "tune"]
    assert names(after) == ["report"]
    assert names(trace(tmp_path, "split")[1]) == ["tune", "eval", "report"]
    assert trace(tmp_path, "other") == ([], [])
    with pytest.raises(InputError):
        trace(tmp_path, "deleted")


def test_a_circle_of_runs_ends(tmp_path: Path) -> None:
    write(tmp_path, "a", 1, parents=("b",))
    write(tmp_path, "b", 2, parents=("a",), inputs={"f": "1"}, outputs={"f": "1"})
    before, after = trace(tmp_path, "a")
    assert names(before) == names(after) == ["b"]


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6))))
def test_up_and_down_are_mirror_images(links: set[tuple[int, int]]) -> None:
    up: dict[str, set[str]] = {str(i): set() for i in range(7)}
    down: dict[str, set[str]] = {str(i): set() for i in range(7)}
    for child, parent in links:
        up[str(child)].add(str(parent))
        down[str(parent)].add(str(child))
    for a, b in itertools.permutations(up, 2):
        assert (b in _reached(up, a)) == (a in _reached(down, b))


def test_unknown_fields_and_bad_figures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown field"):
        new_manifest("eval", "a", colour="red")
    with pytest.raises(InputError) as caught:
        new_manifest("eval", "a", seconds=float("nan"))
    assert caught.value.field == "seconds"
