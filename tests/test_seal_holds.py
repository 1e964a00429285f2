"""The seal holds: a test for each way in tries to get a held-out row's text out, and fails.

The rows of these tests are made of random words of seven letters, each of them in one row only, so
that a single word of a sealed row found anywhere is a leak.
"""

import ast
import json
import logging
import pickle
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.projects import YAML, make_project, row, some_rows, use_word_encoder
from selaras.core.errors import InputError, SealError, SelarasError
from selaras.core.files import append_jsonl
from selaras.core.project import Project, UseCase, open_project
from selaras.core.records import Query
from selaras.data import load_rows, open_development, split_project
from selaras.data.opener import open_held_out, reveal
from selaras.data.rows import dump_row
from selaras.data.seal import rows_path
from selaras.evaluate import (
    Evaluation,
    development_suite,
    evaluate,
    held_out_suite,
    open_system,
)
from selaras.evaluate.runner import Job
from selaras.template import PLAIN, parse_prompt, render
from selaras.tune.choose_rows import RECIPES, choose_rows

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "selaras"
SCRIPT = [
    {"match": "a", "responses": ["I can't help with that.", "Open a window.", "I cannot do that."]},
    {"match": None, "response": "Air the room."},
]


@dataclass
class Heard:
    """A progress that keeps all it is told."""

    told: list[str] = field(default_factory=list)

    @contextmanager
    def task(self, title: str, total: float) -> Iterator["Heard"]:
        self.told.append(f"{title} {total}")
        yield self

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        self.told.append(f"{amount} {note}")

    def say(self, line: str) -> None:
        self.told.append(line)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project with sealed rows; some of them have an article or an earlier turn."""
    use_word_encoder(monkeypatch)
    rows = some_rows(12, 12)
    for i in range(6):
        article = {"article": row(f"article-{i}")["query"]}
        rows.append(row(f"s{i}", use_case="summarise", expected="answer", context=article))
        turns = [{"role": "user", "content": row(f"turn-{i}")["query"]}]
        rows.append(row(f"u{i}", use_case="answer", expected="answer", turns=turns))
    made = make_project(tmp_path / "p", rows)
    script = "".join(json.dumps(rule) + "\n" for rule in SCRIPT)
    (made.root / "script.jsonl").write_text(script)
    (made.root / "checks.jsonl").write_text(
        '{"id": "c", "type": "exact", "query": "a", "accept": ["b"]}\n'
    )
    path = made.root / "selaras.yaml"
    path.write_text(YAML + "capability: checks.jsonl\n")
    made = open_project(made.root)
    split_project(made)
    assert {r.use_case for r in sealed(made)} == {"answer", "summarise"}
    assert any(r.turns for r in sealed(made))
    return made


def sealed(project: Project) -> tuple[Query, ...]:
    return reveal(open_held_out(project))


def words_of(rows: Any) -> set[str]:
    """Return the words of rows that are of this test's kind: seven letters."""
    texts = [
        text
        for r in rows
        for text in (r.query, *r.context.values(), *(turn.content for turn in r.turns))
    ]
    return {word for text in texts for word in text.split() if len(word) == 7}


def leaks(project: Project, *texts: str | bytes) -> set[str]:
    """Return the words of sealed rows that occur in the texts, whatever their case."""
    raw = b"\n".join(t if isinstance(t, bytes) else t.encode() for t in texts).lower()
    return {word for word in words_of(sealed(project)) if word.encode() in raw}


def files(project: Project) -> list[Path]:
    paths = [path for path in project.root.rglob("*") if path.is_file()]
    return [path for path in paths if path != rows_path(project)]


def measured(project: Project, heard: Heard | None = None, spec: str = "base") -> Evaluation:
    opened = open_system(project, "base", project.system_spec(spec))
    return evaluate(project, opened, held_out_suite(project), progress=heard or Heard())


def test_the_search_itself_finds_what_it_should(project: Project) -> None:
    assert len(words_of(sealed(project))) > 50
    assert leaks(project, rows_path(project).read_bytes()) == words_of(sealed(project))
    assert not words_of(sealed(project)) & words_of(open_development(project).rows)


# Training, few-shot examples, prompts


@pytest.mark.parametrize("recipe", RECIPES)
def test_training_rows(project: Project, recipe: Any) -> None:
    development = open_development(project)
    rows = choose_rows(development, recipe, project.file.tune, 0)
    assert rows.train
    assert not words_of(sealed(project)) & words_of((*rows.train, *rows.selection))
    assert not leaks(project, repr(development), repr(rows))


def test_rows_that_are_put_back_by_hand(project: Project) -> None:
    """Copied as they are, under new ids, retold, as a twin, as a child: none reaches training."""
    held = sealed(project)
    copies = [r.model_dump(mode="json") for r in held]
    copies += [{**copy, "id": f"new-{copy['id']}"} for copy in copies]
    shouted = [
        {**row(f"loud-{r.id}", r.query.upper() + " ?!"), "context": r.context, "turns": turns(r)}
        for r in held
    ]
    nearly = [row(f"near-{r.id}", r.query + " ok") for r in held if not (r.context or r.turns)]
    turned = [
        row(f"turned-{r.id}", " ".join(reversed(r.query_key.split())), kind=r.kind.value)
        for r in held
    ]
    tied = [row(f"tied-{r.id}", r.query[:30], parents=[r.id]) for r in held]
    path = project.root / "data" / "more.jsonl"
    path.write_text(
        "".join(json.dumps(v) + "\n" for v in (*copies, *shouted, *nearly, *turned, *tied))
    )
    before = len(open_development(project).rows)
    development = open_development(project)
    assert len(development.rows) == before
    assert not words_of(held) & words_of(development.rows)
    assert len(development.removed) == len(held) * 4 + len(nearly)
    assert not leaks(project, repr(development))


def turns(r: Query) -> list[dict[str, str]]:
    return [turn.model_dump() for turn in r.turns]


@pytest.mark.parametrize(
    "pattern", ["holdout/*.jsonl", "**/*.jsonl", "*/rows.jsonl", "holdout/../holdout/*"]
)
def test_a_pattern_that_names_the_sealed_file(project: Project, pattern: str) -> None:
    path = project.root / "selaras.yaml"
    path.write_text(YAML + f'data: ["data/*.jsonl", "{pattern}"]\n')
    if ".." in pattern:
        with pytest.raises(InputError):
            open_project(project.root)
        return
    wide = open_project(project.root)
    assert rows_path(wide) not in wide.data_files
    (project.root / "script.jsonl").unlink()
    (project.root / "checks.jsonl").unlink()
    assert not words_of(sealed(project)) & words_of(load_rows(wide).kept)


@pytest.mark.parametrize("name", ["held_out", "holdout", "rows", "article", "messages", "history"])
def test_prompts_and_few_shot_examples(project: Project, name: str) -> None:
    """A template holds its author's text and the row's own values; a name reaches nothing else."""
    template = parse_prompt(
        '{{role "system"}}Be kind.{{role "user"}}{{NAME}}{{role "model"}}Yes.'
        '{{role "user"}}{{input}}'.replace("NAME", name)
    )
    plain = [r for r in open_development(project).rows if not r.context]
    for r in plain:
        with pytest.raises(InputError, match="has no value"):
            render(template, r, UseCase(id="answer", title="Answer"))
        said = render(PLAIN, r, UseCase(id="answer", title="Answer"))
        assert not leaks(project, *(message.content for message in said.messages))


def test_text_of_a_row_names_nothing(project: Project) -> None:
    for text in (
        "{{held_out}}",
        "{{rows}}",
        "{{#each rows}}",
        "{{> rows.jsonl}}",
        '{{role "system"}}',
    ):
        said = render(PLAIN, Query(id="a", query=text), UseCase(id="answer", title="Answer"))
        assert [message.content for message in said.messages] == [text]


# Journal, caches, report, everything on disk


def test_no_file_of_a_measured_project(project: Project) -> None:
    heard = Heard()
    evaluation = measured(project, heard)
    measured(project, heard)
    assert len(evaluation.answers) == len(sealed(project))
    names = {path.name for path in files(project)}
    assert {"journal.jsonl", "answers.jsonl", "verdicts.jsonl", "looks.jsonl", "seal.json"} <= names
    for path in files(project):
        assert not leaks(project, path.read_bytes()), path
    assert not leaks(project, repr(evaluation), str(evaluation.manifest), *heard.told)


def test_arrays_hold_hashes_and_numbers(project: Project) -> None:
    measured(project)
    arrays = [path for path in files(project) if path.suffix == ".npz"]
    assert {path.parent.name for path in arrays} == {"holdout", ".selaras"}
    for path in arrays:
        with np.load(path, allow_pickle=False) as stored:
            for name in stored.files:
                values = stored[name]
                said = " ".join(values.tolist()) if values.dtype.kind == "U" else ""
                assert values.dtype.kind in "Uuif"
                assert not leaks(project, said, values.tobytes())


def test_the_report(project: Project) -> None:
    from selaras.report import write_report

    evaluation = measured(project)
    page = write_report(project, [evaluation])
    assert not leaks(project, page.read_bytes())
    with pytest.raises(SelarasError) as caught:
        write_report(project, [evaluation], [evaluation])
    assert not leaks(project, *traceback.format_exception(caught.value))
    for path in files(project):
        assert not leaks(project, path.read_bytes()), path


def test_what_a_killed_split_left_in_the_data_files(project: Project) -> None:
    held = [dump_row(r) for r in sealed(project)]
    append_jsonl(project.root / "data" / "rows.jsonl", held)
    development = open_development(project)
    rows = choose_rows(development, "guarded", project.file.tune, 0)
    suite = development_suite(development)
    assert not words_of(sealed(project)) & words_of((*rows.train, *rows.selection, *suite.rows))
    assert development.removed == ()
    with pytest.raises(SealError, match="sealed already"):
        split_project(project)
    assert not leaks(project, *(path.read_bytes() for path in files(project)))


# Logs, progress, exceptions


def test_logs_and_progress(
    project: Project, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = Heard()
    with caplog.at_level(logging.DEBUG):
        measured(project, heard)
        split_project(project, renew=True, progress=heard)
        split_project(project, extend=True, progress=heard)
        open_development(project, heard)
    assert heard.told
    out, err = capfd.readouterr()
    assert not leaks(project, *heard.told, caplog.text, out, err)


def test_exceptions_about_sealed_rows(project: Project) -> None:
    path = rows_path(project)
    good = path.read_text()
    lines = good.splitlines()
    for number, line in enumerate(lines):
        value = json.loads(line)
        bad = [line[:-5], line * 2, json.dumps({**value, "kind": value["query"]}),
               json.dumps({**value, "turns": value["query"]})]  # fmt: skip
        for text in bad[number % 4 :: 4]:
            path.write_text("\n".join([*lines[:number], text, *lines[number + 1 :]]))
            with pytest.raises(SealError) as caught:
                held_out_suite(project)
            path.write_text(good)
            assert not leaks(project, *traceback.format_exception(caught.value))


def test_exceptions_of_a_model_without_an_answer(project: Project) -> None:
    (project.root / "script.jsonl").write_text('{"match": "nothing like this", "response": "x"}\n')
    with pytest.raises(SelarasError, match="no row could be answered") as caught:
        measured(project)
    assert not leaks(project, *traceback.format_exception(caught.value))
    for path in files(project):
        assert not leaks(project, path.read_bytes()), path


def test_exceptions_of_an_application_that_shows_what_it_was_asked(project: Project) -> None:
    (project.root / "telltale.py").write_text(
        "def respond(messages):\n    raise ValueError(f'cannot answer {messages}')\n"
    )
    path = project.root / "selaras.yaml"
    path.write_text(path.read_text().replace("scripted:script.jsonl", "python:telltale:respond"))
    with pytest.raises(SelarasError) as caught:
        measured(open_project(project.root))
    assert not leaks(project, *traceback.format_exception(caught.value))
    for path in files(project):
        assert not leaks(project, path.read_bytes()), path


def test_reprs_and_copies(project: Project) -> None:
    suite, held_out = held_out_suite(project), open_held_out(project)
    opened = open_system(project, "base", project.system_spec("base"))
    shown = [
        repr(suite),
        str(suite),
        repr(held_out),
        repr(held_out.seal),
        repr(opened),
        repr(project),
    ]
    assert not leaks(project, *shown, suite.fingerprint)
    with pytest.raises(SealError):
        pickle.dumps(held_out)


def test_a_job_does_not_show_its_rows(project: Project) -> None:
    opened = open_system(project, "base", project.system_spec("base"))
    suite = held_out_suite(project)
    job = Job("s", opened.model, opened.system.sampling, suite.rows, opened.render)
    assert not leaks(project, repr(job))


# The import contract


@cache
def modules() -> dict[str, ast.Module]:
    return {
        ".".join(path.relative_to(SRC.parent).with_suffix("").parts): ast.parse(path.read_text())
        for path in sorted(SRC.rglob("*.py"))
    }


def imported(name: str, tree: ast.Module) -> set[str]:
    """Return the modules that a module imports, wherever in it, relative ones resolved."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(name.split(".")[: -node.level]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


def importers(target: str) -> set[str]:
    return {
        name
        for name, tree in modules().items()
        if any(found == target or found.startswith(f"{target}.") for found in imported(name, tree))
    }


def test_only_evaluation_and_rating_import_the_opener() -> None:
    assert importers("selaras.data.opener")
    for name in importers("selaras.data.opener"):
        assert name.split(".")[1] in {"evaluate", "rating"}, name


def test_only_the_opener_and_the_split_read_the_file() -> None:
    assert importers("selaras.data.vault") == {"selaras.data.opener", "selaras.data.sealing"}
    naming = {"selaras.data.vault", "selaras.data.sealing", "selaras.evaluate.run"}
    assert importers("selaras.data.seal.rows_path") == naming


def test_no_module_names_the_door_or_the_file_in_a_string() -> None:
    allowed = {"selaras.data.seal"}
    for name, tree in modules().items():
        docs = {
            ast.get_docstring(node, clean=False)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                assert text in docs or name in allowed or text != "rows.jsonl", name
                assert "data.opener" not in text or text in docs, name
                assert "data.vault" not in text or text in docs, name


def test_the_contract_covers_every_other_package() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (held,) = [
        c for c in contracts["contracts"] if "selaras.data.opener" in c.get("forbidden_modules", ())
    ]
    there = {path.parent.name for path in SRC.glob("*/__init__.py")}
    there |= {path.stem for path in SRC.glob("*.py")} - {"__init__", "__main__"}
    named = {name.removeprefix("selaras.") for name in held["source_modules"]}
    assert there - {"data", "evaluate", "rating"} <= named
