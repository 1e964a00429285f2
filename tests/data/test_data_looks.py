"""Looks: counted before anything is measured, chained, free to repeat, never undone."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from fixtures.projects import WordEncoder, make_project, row, some_rows, use_word_encoder
from selaras.core.errors import InputError, SealError
from selaras.core.project import Project
from selaras.core.system import Sampling, System
from selaras.data import looks_at, split_project
from selaras.data.seal import Seal, read_looks, record_look

BUDGET = 3


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> WordEncoder:
    return use_word_encoder(monkeypatch)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path, some_rows(4, 10))


@pytest.fixture
def seal(project: Project) -> Seal:
    return split_project(project).seal


def system(name: str, **changes: Any) -> System:
    return System(name=name, model={"name": name, **changes}, sampling=Sampling())


def looks_file(project: Project) -> Path:
    return project.holdout / "looks.jsonl"


def test_a_look_is_a_system_on_a_seal(project: Project, seal: Seal) -> None:
    assert looks_at(project, seal) == []
    assert len(record_look(project, seal, system("a"), "run-1")) == 1
    assert len(record_look(project, seal, system("b"), "run-2")) == 2
    again = record_look(project, seal, system("a").model_copy(update={"name": "new"}), "run-3")
    assert again == looks_at(project, seal) == read_looks(project)
    assert [(look.number, look.name, look.run) for look in again] == [
        (1, "a", "run-1"), (2, "b", "run-2")
    ]  # fmt: skip
    assert [look.previous for look in again] == ["", again[0].hash]


def test_a_changed_system_looks_anew(project: Project, seal: Seal) -> None:
    record_look(project, seal, system("a"), "r")
    assert len(record_look(project, seal, system("a", adapter="x"), "r")) == 2


def test_the_budget_ends_looking_and_repeats_stay_free(project: Project, seal: Seal) -> None:
    for n in range(BUDGET):
        record_look(project, seal, system(f"s{n}"), "r")
    before = looks_file(project).read_bytes()
    with pytest.raises(
        SealError, match="3 Systems were measured on this hold-out, its budget is 3"
    ):
        record_look(project, seal, system("more"), "r")
    assert len(record_look(project, seal, system("s0"), "r")) == BUDGET
    assert looks_file(project).read_bytes() == before


def test_renewing_gives_new_looks_and_extending_does_not(project: Project, seal: Seal) -> None:
    for n in range(BUDGET):
        record_look(project, seal, system(f"s{n}"), "r")
    lines = "".join(json.dumps(row(f"n{i}")) + "\n" for i in range(10))
    (project.root / "data" / "new.jsonl").write_text(lines)
    extended = split_project(project, extend=True).seal
    assert extended.id != seal.id
    assert len(looks_at(project, extended)) == BUDGET
    with pytest.raises(SealError, match="budget"):
        record_look(project, extended, system("s0"), "r")
    renewed = split_project(project, renew=True).seal
    assert looks_at(project, renewed) == []
    assert len(record_look(project, renewed, system("s0"), "r")) == 1
    assert len(read_looks(project)) == BUDGET + 1


@pytest.mark.parametrize(
    "field", ["number", "system", "name", "seal", "run", "at", "previous", "hash"]
)
def test_a_changed_look_is_found(project: Project, seal: Seal, field: str) -> None:
    for n in range(BUDGET):
        record_look(project, seal, system(f"s{n}"), "r")
    path = looks_file(project)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1][field] = 99 if field == "number" else "changed"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(InputError, match="the record of looks was changed") as caught:
        record_look(project, seal, system("s0"), "r")
    assert (caught.value.path, caught.value.line) == (path, 2)


@pytest.mark.parametrize("order", [(1, 2), (0, 2), (1, 0, 2), (0, 0, 1, 2), (2,)])
def test_looks_taken_out_doubled_or_turned_are_found(
    project: Project, seal: Seal, order: tuple[int, ...]
) -> None:
    for n in range(BUDGET):
        record_look(project, seal, system(f"s{n}"), "r")
    path = looks_file(project)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[i] for i in order))
    for work in (read_looks, lambda p: looks_at(p, seal)):
        with pytest.raises(InputError, match="the record of looks was changed"):
            work(project)


def test_a_torn_look_is_an_error_with_its_line(project: Project, seal: Seal) -> None:
    record_look(project, seal, system("a"), "r")
    path = looks_file(project)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match="broken JSON") as caught:
        read_looks(project)
    assert caught.value.line == 1


def test_looks_at_once_are_all_counted(project: Project, seal: Seal) -> None:
    outcomes: list[int] = []

    def work(n: int) -> None:
        try:
            outcomes.append(len(record_look(project, seal, system(f"s{n % 4}"), "r")))
        except SealError:
            outcomes.append(-1)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_looks(project)) == BUDGET
    assert outcomes.count(-1) == 2


def test_the_file_names_systems_and_no_rows(project: Project, seal: Seal) -> None:
    record_look(project, seal, system("a"), "r")
    (value,) = [json.loads(line) for line in looks_file(project).read_text().splitlines()]
    assert set(value) == {"number", "system", "name", "seal", "run", "at", "previous", "hash"}
