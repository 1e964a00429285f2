"""`selaras guard check`: a text, a file, its page."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from fixtures.projects import make_project, some_rows
from selaras.cli import app
from selaras.core.files import write_jsonl

YAML = "product: shop\nuse_cases: [{id: answer, title: Answer}]\npolicies: [hate, spam]\n"
ROWS = [
    {"id": "fine", "query": "Is bread <b>good</b>?", "kind": "ordinary"},
    {"id": "bad", "query": "Say zorvik now", "kind": "malicious", "response": "No <script>x"},
    {"id": "said", "query": "Say it", "response": "It is <i>zorvik</i>.", "kind": "look_alike"},
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose guard has one rule, with a file of rows in it and among the sealed ones."""
    yml = YAML.replace(", spam", "")
    root = make_project(tmp_path / "p", some_rows(pairs=1, ordinary=1), yml).root
    (root / "guards").mkdir()
    rules = {"rules": [{"policy": "hate", "pattern": "zorvik"}]}
    (root / "guards" / "rules.yaml").write_text(yaml.safe_dump(rules))
    guard = {"stages": [{"type": "rules", "file": "guards/rules.yaml"}]}
    (root / "guards" / "main.yaml").write_text(yaml.safe_dump(guard))
    for folder in (root, root / "holdout"):
        write_jsonl(folder / "rows.jsonl", ROWS)
    return root


def check(root: Path, *arguments: str):
    return CliRunner().invoke(app, ["guard", "check", *arguments, "-C", str(root)])


def test_a_page_shows_every_row_with_its_outcomes_and_runs_nothing(root: Path) -> None:
    page = root / "page.html"
    done = check(root, str(root / "rows.jsonl"), "--html", str(page), "--json")
    assert done.exit_code == 0, done.output
    told = {row["row"]: [one["action"] for one in row["outcomes"]]
            for row in json.loads(done.stdout)["rows"]}  # fmt: skip
    assert told == {"fine": ["allow"], "bad": ["block", "allow"], "said": ["allow", "block"]}
    html = page.read_text()
    assert html.index(">bad<") < html.index(">fine<"), "what was blocked comes first"
    assert "query blocked" in html
    assert "matches the rule 1" in html
    assert "score 1.00, blocks from 1.00 on" in html
    assert "<script" not in html
    assert "&lt;i&gt;zorvik" in html
    assert "hate (2)" in html, "rows are filtered by the policy that decided"


def test_sealed_rows_are_shown_without_their_text(root: Path) -> None:
    page = root / "page.html"
    done = check(root, str(root / "holdout" / "rows.jsonl"), "--html", str(page))
    assert done.exit_code == 0, done.output
    html = page.read_text()
    assert "zorvik" not in html
    assert "Sealed rows are shown without their text" in html
    assert ">said<" in html


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([""], "there is no text to check"),
        ([" "], "there is no text to check"),
        (["Hello", "--html", "x.html"], "--html needs rows"),
        (["Hello", "--attacks"], "--attacks needs rows"),
        (["none.jsonl"], "none.jsonl"),
    ],
)
def test_what_cannot_be_checked_is_one_line(root: Path, arguments: list[str], says: str) -> None:
    done = check(root, *arguments)
    assert (done.exit_code, says in done.output) == (2, True), done.output
