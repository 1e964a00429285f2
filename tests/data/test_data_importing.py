"""Import: rows come in with their licence, what is no row is written down, a sheet comes back."""

import json
from pathlib import Path
from typing import Any

import pytest

from fixtures.projects import make_project, row, some_rows, use_word_encoder
from selaras.core.errors import InputError
from selaras.core.project import Project
from selaras.data import load_rows, read_seal, split_project
from selaras.data.catalogue import entry_named, fetched, file_in, read_catalogue, sourced
from selaras.data.formats import FORMATS
from selaras.data.formats.reading import Source
from selaras.data.formats.writing import export_rows
from selaras.data.importing import import_rows


def written(folder: Path, records: list[Any], name: str = "set.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def rejected(project: Project) -> list[dict[str, Any]]:
    [path] = (project.root / "rejected").iterdir()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_good_records_come_in_and_the_others_are_written_down(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", [row("old")])
    path = written(tmp_path, [
        {"instruction": "Say hi", "output": "Hi"}, {"instruction": " "}, 7,
        {"instruction": "Say ho", "output": 4},
    ])  # fmt: skip
    given = {"source": "my set", "licence": "CC-BY-NC-4.0"}
    made = import_rows(project, Source(path, fields=given))
    assert (made.added, made.restricted, len(made.rejected)) == (1, 1, 3)
    assert [entry["place"] for entry in rejected(project)] == [2, 3, 4]
    [new] = [r for r in load_rows(project).kept if r.id != "old"]
    assert (new.id, new.query, new.licence, new.origin) == (
        "my-set-1", "Say hi", "CC-BY-NC-4.0", "public",
    )  # fmt: skip
    with pytest.raises(InputError, match="exists already"):
        import_rows(project, Source(path, fields=given))


def test_where_no_record_is_a_row_nothing_is_written(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", [row("old")])
    with pytest.raises(InputError, match="no record is a row; the first"):
        import_rows(project, Source(written(tmp_path, [{"instruction": ""}])))
    assert [path.name for path in project.data_files] == ["rows.jsonl"]


def test_unknown_policies_and_taken_ids_are_refused_row_by_row(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", [row("old")])
    path = written(tmp_path, [row("a", policies=["nonsense"]), row("old"), row("b"), row("b")])
    made = import_rows(project, Source(path))
    assert made.added == 1
    assert [place for place, _ in made.rejected] == [1, 2, 4]


def test_a_sheet_comes_back_to_the_files_that_its_rows_are_from(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", [row("a", "One?"), row("b", "=2+2?")])
    untouched = b'{"id": "c",  "kind": "ordinary", "query": "odd   spacing"}\n'
    (project.root / "data" / "other.jsonl").write_bytes(untouched)
    sheet = tmp_path / "sheet.csv"
    export_rows(load_rows(project).kept, sheet, "sheet")
    assert import_rows(project, Source(sheet), update=True).unchanged == 3
    text = sheet.read_text(encoding="utf-8-sig").replace("One?", "Two?")
    header, *lines = text.splitlines()
    cells = {line.partition(",")[0]: line for line in lines}
    new = cells["a"].replace("Two?", "New?").replace("a,", "n,", 1)
    sheet.write_text("\n".join([header, cells["a"], cells["c"], new, ""]), encoding="utf-8")
    made = import_rows(project, Source(sheet), update=True)
    assert (made.added, made.changed, made.unchanged, made.missing) == (1, 1, 1, 1)
    assert (project.root / "data" / "other.jsonl").read_bytes() == untouched
    assert {r.id: r.query for r in load_rows(project).kept} == {
        "a": "Two?", "b": "=2+2?", "c": "odd   spacing", "n": "New?",
    }  # fmt: skip


def test_a_sealed_row_cannot_be_brought_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_word_encoder(monkeypatch)
    project = make_project(tmp_path / "p", some_rows())
    rows = load_rows(project).kept
    split_project(project)
    seal = read_seal(project)
    assert seal is not None
    sheet = tmp_path / "all.csv"
    export_rows(rows, sheet, "sheet")
    made = import_rows(project, Source(sheet), update=True)
    assert made.unchanged + len(made.rejected) == len(rows)
    assert len(made.rejected) == len(seal.rows)
    assert all("is sealed" in reason for _, reason in made.rejected)


def test_every_set_of_the_catalogue_can_be_read() -> None:
    entries = read_catalogue()
    assert {"hh-rlhf", "safety-tuned-llamas"} <= {entry.name for entry in entries}
    for entry in entries:
        assert bool(entry.format) != bool(entry.columns)
        assert entry.format is None or entry.format in FORMATS
        assert entry.licence
        assert entry.files or entry.hub


def test_a_set_gives_its_rows_their_licence_and_policies(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", [row("old")])
    record = {"prompt": "Q?", "response_0": "A.", "response_1": "B.", "safer_response_id": 1,
              "response_0_harm_category": {"Violence": True, "Drugs": True}}  # fmt: skip
    source = Source(written(tmp_path, [record]))
    made = sourced(entry_named("pku-saferlhf"), source, project.file.policies)
    assert import_rows(project, made).restricted == 1
    [new] = [r for r in load_rows(project).kept if r.id != "old"]
    # illicit-goods is no policy of this project, so "Drugs" leads nowhere.
    assert new.policies == ("dangerous-content",)
    assert new.licence == "CC-BY-NC-4.0"
    with pytest.raises(InputError, match="no set 'x'"):
        entry_named("x")


def test_a_folder_of_a_set_is_read_by_its_published_names(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = written(tmp_path / "data", [], "aart-v1-20231117.csv")
    assert file_in(entry_named("aart"), tmp_path) == path
    with pytest.raises(InputError, match="no file of hh-rlhf"):
        file_in(entry_named("hh-rlhf"), tmp_path)


@pytest.mark.real
def test_a_set_is_read_through_datasets(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    written(folder, [{"prompt": "Q?", "chosen": "A.", "rejected": "B."}], "train.jsonl")
    entry = entry_named("ultrafeedback")
    path = fetched(entry, str(folder), "train", tmp_path)
    assert json.loads(path.read_text()) == {"prompt": "Q?", "chosen": "A.", "rejected": "B."}
    with pytest.raises(InputError, match="cannot be loaded"):
        fetched(entry, str(tmp_path / "nothing"), "train", tmp_path)
