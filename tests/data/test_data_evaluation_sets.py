"""Evaluation files of every kind are read, and rows that repeat them are found and kept out."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from fixtures.projects import WordEncoder, make_project, row, some_rows, use_word_encoder
from selaras.core.errors import InputError
from selaras.core.project import Project
from selaras.data import Figures, Finding, load_rows, open_development
from selaras.data.contamination_audit import audit_contamination
from selaras.data.development import NOTHING_CHECKED
from selaras.data.evaluation_sets import evaluation_sets, read_items
from selaras.data.finding import AuditInput

CAT = "My cat is ill and will not eat its food, so should I ask a vet?"
SHUFFLED = "Food a not vet: ill so my should eat, and ask is I will cat its?"
LONG = f"Dear all, last week I moved house and found many boxes. {CAT} Thank you for any help!"
CUT_OUT = "ill and will not eat"
ONE_WORD = LONG.replace("not eat", "quite refuse")
BOILER = "Why does the boiler in our cellar hum at night and how is it mended?"


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> WordEncoder:
    return use_word_encoder(monkeypatch)


def project_with(folder: Path, rows: list[dict[str, Any]], sets: list[str]) -> Project:
    project = make_project(folder, rows)
    return Project(project.root, project.file.model_copy(update={"evaluation_sets": tuple(sets)}))


def write(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(value) + "\n" for value in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".parquet":
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as sink:
            mark = "\t" if path.suffix == ".tsv" else ","
            out = csv.DictWriter(sink, list(rows[0]), delimiter=mark)
            out.writeheader()
            out.writerows(rows)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv", ".parquet"])
def test_files_of_every_kind_give_the_same_questions(tmp_path: Path, suffix: str) -> None:
    path = write(
        tmp_path / f"set{suffix}",
        [{"question": CAT}, {"question": BOILER}, {"question": CAT + "!"}],
    )
    items = read_items(path, "question" if suffix == ".parquet" else None)
    assert len(items.texts) == 2
    assert items.texts[1].startswith("why does the boiler")
    assert items.kinds == ("", "")
    assert items.ids[0] == f"set{suffix}:1"


def test_questions_are_found_in_turns_messages_and_lists_of_text(tmp_path: Path) -> None:
    turns = write(tmp_path / "a.jsonl", [{"question_id": 1, "turns": [CAT, "And then?"]}])
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": CAT}]
    chat = write(tmp_path / "b.jsonl", [{"messages": messages}])
    plain = write(tmp_path / "c.json", [CAT])
    assert read_items(turns).texts == read_items(chat).texts == read_items(plain).texts


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "a.jsonl",
            '{"frage": "Wie?"}',
            "name the column after a '#', one of: frage",
        ),
        ("a.json", "[", "broken JSON"),
        ("a.txt", "x", "unknown kind"),
        ("a.jsonl", "", "no questions found"),
    ],
)
def test_a_file_without_questions_is_one_line(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=name) as raised:
        read_items(tmp_path / name)
    assert says in str(raised.value)
    assert read_items(write(tmp_path / "b.jsonl", [{"frage": CAT}]), "frage").texts


def test_a_folder_is_all_its_files_and_a_missing_one_is_told(tmp_path: Path) -> None:
    project = project_with(tmp_path / "p", [row("a")], ["public", "one.csv#q"])
    with pytest.raises(InputError, match="no such file or folder: public"):
        evaluation_sets(project)
    write(project.root / "public" / "deep" / "x.jsonl", [{"prompt": CAT}])
    write(project.root / "public" / "y.json", [BOILER])
    write(project.root / "one.csv", [{"q": CAT, "prompt": "other"}])
    names = [items.name for items in evaluation_sets(project)]
    assert names == ["public/deep/x.jsonl", "public/y.json", "one.csv"]


def test_development_is_kept_clean_of_evaluation_sets(tmp_path: Path) -> None:
    rows = [row("copy", CAT.upper()), row("long", LONG), row("part", CUT_OUT),
            row("free", "Buy milk"), row("meant", SHUFFLED)]  # fmt: skip
    project = project_with(tmp_path / "p", rows, ["set.jsonl"])
    write(project.root / "set.jsonl", [{"query": CAT, "kind": "ordinary"}])
    development = open_development(project)
    assert [kept.id for kept in development.rows] == ["free"]
    assert {out.record: out.reason for out in development.removed} == {
        "copy": "equals an item of set.jsonl",
        "long": "contains an item of set.jsonl",
        "part": "is part of an item of set.jsonl",
        "meant": "paraphrases an item of set.jsonl",
    }
    assert development.checked == ("set.jsonl",)


def test_nothing_checked_is_said_aloud(tmp_path: Path) -> None:
    class Told:
        said: list[str] = []  # noqa: RUF012

        def task(self, title: str, total: float) -> Any:
            from selaras.core.progress import SILENT

            return SILENT.task(title, total)

        def say(self, line: str) -> None:
            self.said.append(line)

    project = make_project(tmp_path / "p", some_rows(2, 2))
    development = open_development(project, Told())
    assert Told.said == [NOTHING_CHECKED]
    assert development.checked == ()
    (finding, figures) = audit_contamination(
        AuditInput(development.rows, WordEncoder().embed, project=project)
    )
    assert isinstance(finding, Finding)
    assert (finding.check, finding.level) == ("nothing_checked", "review")
    assert isinstance(figures, Figures)


def test_the_audit_tells_tiers_and_what_a_person_should_look_at(tmp_path: Path) -> None:
    rows = [row("copy", CAT), row("long", LONG), row("edited", ONE_WORD), row("free", "Buy milk"),
            row("meant", SHUFFLED)]  # fmt: skip
    project = project_with(tmp_path / "p", rows, ["set.jsonl"])
    write(project.root / "set.jsonl", [{"query": CAT}])
    given = AuditInput(load_rows(project).kept, WordEncoder().embed, project=project)
    said = [*audit_contamination(given)]
    found = {f.records[0]: f for f in said if isinstance(f, Finding)}
    assert {name: (f.check, f.level, f.proposed[0].safe) for name, f in found.items()} == {
        "copy": ("equality", "fault", True),
        "long": ("containment", "fault", True),
        "edited": ("containment", "review", False),
        "meant": ("containment", "review", False),
    }
    (figures,) = (f.values for f in said if isinstance(f, Figures))
    (checked,) = figures["checked"]
    assert (checked["items"], checked["certain"], checked["to_review"]) == (1, 2, 2)
