"""Rows in and out: bad input is one line with file, line and field, and nothing is half written."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.projects import WordEncoder, make_project, row, some_rows, use_word_encoder
from selaras.core.decisions import Decision, record_decisions
from selaras.core.errors import InputError
from selaras.core.records import Example, Preference, Query
from selaras.data import (
    load_rows,
    open_development,
    parse_row,
    read_rows,
    split_project,
    write_rows,
)
from selaras.data.rows import drop_lines

TEXT = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: bool(text.strip()))


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> WordEncoder:
    return use_word_encoder(monkeypatch)


def decide(record: str, action: str, **fields: Any) -> Decision:
    return Decision(record=record, action=action, reason="so", by="me", at="now", fields=fields)


def refused(folder: Path) -> InputError:
    """Return the error of loading, opening and splitting: the same, and nothing was written."""
    project = make_project_again(folder)
    before = sorted(p for p in folder.rglob("*") if ".selaras" not in p.parts)
    errors = []
    for work in (load_rows, open_development, split_project):
        with pytest.raises(InputError) as caught:
            work(project)
        errors.append(caught.value)
    assert len({str(error) for error in errors}) == 1
    assert "\n" not in str(errors[0])
    assert errors[0].exit_code == 2
    assert sorted(p for p in folder.rglob("*") if ".selaras" not in p.parts) == before
    return errors[0]


def make_project_again(folder: Path) -> Any:
    from selaras.core.project import open_project

    return open_project(folder)


def with_line(folder: Path, line: str) -> Path:
    make_project(folder, some_rows(2, 2))
    path = folder / "data" / "rows.jsonl"
    with path.open("a") as sink:
        sink.write(line + "\n")
    return path


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        ('{"id": "x", "query": ', None, "broken JSON"),
        ("[]", None, "a JSON list where an object is needed"),
        ('{"id": "x"}', "query", "missing"),
        ('{"query": "x"}', "id", "missing"),
        ('{"id": "x", "query": ""}', "query", "at least 1 character"),
        ('{"id": "x", "query": "x", "labels": 1}', "labels", "unknown field"),
        ('{"id": "x", "query": "x", "kind": "nice"}', "kind", "not 'nice'"),
        ('{"id": "x", "query": "x", "best": "a"}', "response_a", "missing"),
        ('{"id": "x", "query": "x", "response": "y", "best": "a"}', "response", "did you mean"),
        ('{"id": "x", "query": "x", "response": 3}', "response", "not 3"),
        ('{"id": "x", "query": "x", "policies": ["haet"]}', "policies", "unknown policy 'haet'"),
        ('{"id": "x", "query": "x", "use_case": "chat"}', "use_case", "unknown use case 'chat'"),
        ('{"id": "o1", "query": "x"}', "id", "the id 'o1' stands already in rows.jsonl, line 6"),
    ],
)
def test_a_bad_row_names_file_line_and_field(
    tmp_path: Path, line: str, field: str | None, said: str
) -> None:
    path = with_line(tmp_path, line)
    error = refused(tmp_path)
    assert (error.path, error.line, error.field) == (path, 7, field)
    assert said in str(error)


def test_ids_are_unique_over_all_files(tmp_path: Path) -> None:
    make_project(tmp_path, some_rows(2, 2))
    make_project(tmp_path, [row("new"), row("o1")], file="more")
    error = refused(tmp_path)
    assert error.path == tmp_path / "data" / "rows.jsonl"
    assert "stands already in more.jsonl, line 2" in str(error)


@pytest.mark.parametrize("raw", [None, b"", b"\n\n"])
def test_no_rows_is_an_error_of_the_project_file(tmp_path: Path, raw: bytes | None) -> None:
    make_project(tmp_path)
    path = tmp_path / "data" / "rows.jsonl"
    path.unlink()
    if raw is not None:
        path.write_bytes(raw)
    error = refused(tmp_path)
    assert (error.path, error.field) == (tmp_path / "selaras.yaml", "data")
    assert "no rows" in str(error)


def test_a_folder_named_as_a_file_is_unreadable(tmp_path: Path) -> None:
    make_project(tmp_path, some_rows(2, 2))
    (tmp_path / "data" / "z.jsonl").mkdir()
    error = refused(tmp_path)
    assert error.path == tmp_path / "data" / "z.jsonl"
    assert "cannot be read" in str(error)


def test_an_unknown_policy_in_the_project_file(tmp_path: Path) -> None:
    make_project(tmp_path, some_rows(2, 2))
    path = tmp_path / "selaras.yaml"
    path.write_text(path.read_text().replace("hate]", "haet]"))
    error = refused(tmp_path)
    assert (error.path, error.field) == (path, "policies")


def test_a_policy_without_a_statement(tmp_path: Path) -> None:
    make_project(tmp_path, some_rows(2, 2))
    path = tmp_path / "policies" / "hate.yaml"
    path.parent.mkdir()
    path.write_text(
        "id: hate\ntitle: Hate\nrevision: 1\nowner: me\nseverity: high\nfamily: harm\n"
        "desired: {expected: refuse, guidance: Decline.}\n"
    )
    error = refused(tmp_path)
    assert (error.path, error.field) == (path, "statement")


def test_an_override_for_an_unknown_policy(tmp_path: Path) -> None:
    make_project(tmp_path, some_rows(2, 2))
    path = tmp_path / "selaras.yaml"
    path.write_text(path.read_text().replace("title: Answer}", "title: A, overrides: {haet: {}}}"))
    error = refused(tmp_path)
    assert error.field == "use_cases.answer.overrides"


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"policies": ["haet"]}, "policies", "unknown policy 'haet'"),
        ({"use_case": "chat"}, "use_case", "unknown use case 'chat'"),
        ({"kind": "nice"}, "kind", "cannot relabel row 'o1'"),
    ],
)
def test_a_bad_relabel_is_blamed_on_the_decisions(
    tmp_path: Path, fields: dict[str, Any], field: str, said: str
) -> None:
    project = make_project(tmp_path, some_rows(2, 2))
    record_decisions(project.decisions, [decide("o1", "relabel", **fields)])
    error = refused(tmp_path)
    assert (error.path, error.field) == (project.decisions, field)
    assert said in str(error)


def test_decisions_are_applied(tmp_path: Path) -> None:
    project = make_project(tmp_path, some_rows(2, 2))
    record_decisions(
        project.decisions, [decide("o1", "remove"), decide("o0", "relabel", kind="inadvertent")]
    )
    rows = load_rows(project)
    assert [removal.record for removal in rows.removed] == ["o1"]
    assert {r.id: r.kind.value for r in rows.kept}["o0"] == "inadvertent"
    assert len(rows.kept) + len(rows.removed) == len(rows.places) == 6
    assert rows.places["o0"] == (tmp_path / "data" / "rows.jsonl", 5)


def test_all_rows_removed_is_an_empty_development(tmp_path: Path) -> None:
    project = make_project(tmp_path, [row("a")])
    record_decisions(project.decisions, [decide("a", "remove")])
    development = open_development(project)
    assert (development.rows, len(development.removed)) == ((), 1)


@pytest.mark.parametrize(
    ("fields", "model"),
    [
        ({}, Query),
        ({"response": ""}, Example),
        ({"response": "y"}, Example),
        ({"response_label": "unsafe", "response": "y"}, Example),
        ({"response_a": "1", "response_b": "2", "best": "tie"}, Preference),
    ],
)
def test_the_fields_make_the_record(fields: dict[str, Any], model: type[Query]) -> None:
    assert type(parse_row({"id": "a", "query": "x", **fields})) is model


SHARED = {
    "id": st.sampled_from(["a", "b.c", "ü-1"]),
    "query": TEXT,
    "kind": st.sampled_from(["ordinary", "look_alike", "inadvertent", "malicious"]),
    "expected": st.sampled_from([None, "answer", "safe_completion", "refuse"]),
    "policies": st.lists(st.sampled_from(["hate", "x"]), max_size=2),
    "use_case": st.none() | TEXT,
    "context": st.dictionaries(TEXT, TEXT, max_size=2),
    "turns": st.lists(
        st.fixed_dictionaries({"role": st.just("user"), "content": TEXT}), max_size=2
    ),
    "source": st.none() | TEXT,
    "parents": st.lists(TEXT, max_size=2),
    "cluster": st.none() | TEXT,
}
LABEL = st.sampled_from([None, "safe", "unsafe"])
EXAMPLE = {"response": st.just("") | TEXT, "response_label": LABEL}
PAIR = {"response_a": TEXT, "response_b": TEXT, "best": st.sampled_from(["a", "b", "tie"])}
ROWS = st.one_of(st.fixed_dictionaries({**SHARED, **more}) for more in ({}, EXAMPLE, PAIR))


@settings(max_examples=60)
@given(ROWS)
def test_a_row_survives_being_written(value: dict[str, Any]) -> None:
    row = parse_row(value)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_rows(path, [row])
        (again,), places = read_rows([path])
    assert (type(again), again) == (type(row), row)
    assert places == {row.id: (path, 1)}


def test_empty_fields_are_not_written_but_the_kind_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [Query(id="a", query="x"), Example(id="b", query="y")])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"id": "a", "kind": "ordinary", "query": "x"},
        {"id": "b", "kind": "ordinary", "query": "y", "response": ""},
    ]


def test_dropping_lines_leaves_the_others_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"n":1}\r\n\n{ "n" : 2 }\r\n{"n":3}')
    drop_lines(path, {3})
    assert path.read_bytes() == b'\xef\xbb\xbf{"n":1}\r\n\n{"n":3}'
