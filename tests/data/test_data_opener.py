"""The door: held-out rows can be counted and named, and checked against the seal."""

import copy
import json
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.projects import WordEncoder, make_project, row, some_rows, use_word_encoder
from selaras.core.errors import SealError
from selaras.core.project import Project
from selaras.data import split_project
from selaras.data.opener import HeldOut, open_held_out, reveal
from selaras.data.seal import rows_path


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> WordEncoder:
    return use_word_encoder(monkeypatch)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path, some_rows(4, 10))
    split_project(made)
    return made


@pytest.fixture
def held_out(project: Project) -> HeldOut:
    return open_held_out(project)


def test_it_says_how_many_and_which_seal(held_out: HeldOut) -> None:
    assert (
        repr(held_out)
        == str(held_out)
        == f"{held_out}"
        == (f"HeldOut({len(held_out)} rows, seal {held_out.seal.id})")
    )
    assert [r.id for r in reveal(held_out)] == [r.id for r in held_out.seal.rows]


@pytest.mark.parametrize(
    "way",
    [
        list, tuple, iter, sorted, lambda h: [*h], lambda h: h[0], lambda h: "x" in h,
        lambda h: dict(enumerate(h)), pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars,
        lambda h: setattr(h, "note", "x"), next, reversed,
    ],
)  # fmt: skip
def test_it_is_closed(held_out: HeldOut, way: Callable[[HeldOut], Any]) -> None:
    with pytest.raises((SealError, TypeError, AttributeError)) as caught:
        way(held_out)
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(r.query in shown for r in reveal(held_out))


def test_nothing_is_sealed_yet(tmp_path: Path) -> None:
    project = make_project(tmp_path, some_rows(2, 2))
    with pytest.raises(SealError, match=r"nothing is sealed yet.*run: selaras data split"):
        open_held_out(project)


def test_the_file_may_be_elsewhere(project: Project) -> None:
    count = len(open_held_out(project))
    rows_path(project).unlink()
    with pytest.raises(
        SealError, match=f"{count} rows are sealed, but their file is missing"
    ) as caught:
        open_held_out(project)
    assert (caught.value.path, caught.value.exit_code) == (rows_path(project), 2)


@pytest.mark.parametrize(
    "change",
    [
        {"query": "another question"}, {"expected": "answer"}, {"kind": "inadvertent"},
        {"policies": ["hate"]}, {"response": "Sure!"}, {"use_case": "summarise"}, {"id": "renamed"},
        {"response_label": "unsafe"}, {"cluster": "else"}, {"context": {"a": "b"}},
    ],
)  # fmt: skip
def test_a_row_that_was_changed_is_refused(project: Project, change: dict[str, Any]) -> None:
    path = rows_path(project)
    values = [json.loads(line) for line in path.read_text().splitlines()]
    place = next(i for i, value in enumerate(values) if value["kind"] == "malicious")
    name = values[place]["id"]
    values[place] |= change
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    with pytest.raises(SealError, match=f"the sealed row '{name}' is missing or was changed"):
        open_held_out(project)


def test_the_order_of_lines_and_fields_does_not_matter(project: Project) -> None:
    before = reveal(open_held_out(project))
    path = rows_path(project)
    values = [json.loads(line) for line in path.read_text().splitlines()]
    turned = [dict(reversed(value.items())) for value in reversed(values)]
    path.write_text("".join(json.dumps(value) + "\n\n" for value in turned))
    assert reveal(open_held_out(project)) == before


def test_rows_beyond_the_seal_are_not_opened(project: Project) -> None:
    before = reveal(open_held_out(project))
    with rows_path(project).open("a") as sink:
        sink.write(json.dumps(row("more")) + "\n")
    assert reveal(open_held_out(project)) == before


def broken(value: dict[str, Any]) -> list[str]:
    text = json.dumps(value)
    return [
        text[:-9], text + text, json.dumps([value]), json.dumps({**value, "kind": value["query"]}),
        json.dumps({**value, "turns": value["query"]}), json.dumps({**value, value["query"]: 1}),
        json.dumps({**value, "best": value["query"]}), json.dumps({**value, "id": value["query"]}),
        text.replace('"query": "', '"query": "\\ud83d '),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(9))
def test_a_broken_file_is_told_without_its_text(project: Project, number: int) -> None:
    path = rows_path(project)
    lines = path.read_text().splitlines()
    value = json.loads(lines[2])
    lines[2] = broken(value)[number]
    path.write_text("\n".join(lines))
    for work in (open_held_out, lambda p: split_project(p, renew=True)):
        with pytest.raises(SealError) as caught:
            work(project)
        shown = "".join(traceback.format_exception(caught.value))
        assert not any(word in shown for word in value["query"].split())
        assert caught.value.path == path
