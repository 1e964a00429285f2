"""Rows on the command line: in, out, drafted, mixed, described; one line for each mistake."""

import json
from pathlib import Path

import pytest
from cli_value import value

from selaras.data.making.echoes import PATCHWORK


@pytest.fixture
def scribe(project: Path) -> str:
    """Return a model that writes queries and declines to answer."""
    lines = [
        {"match": "one message of a", "response": '{"query": "Unlike any other words here?"}'},
        {"match": "You check an", "response": '{"keeps": true, "reason": "", "revised": ""}'},
        {"match": None, "response": "I can't help with that."},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (project / "scribe.jsonl").write_text(text, encoding="utf-8")
    return "scripted:scribe.jsonl"


def test_rows_come_in_go_out_and_come_back(run, project: Path, tmp_path: Path) -> None:
    table = tmp_path / "more.csv"
    table.write_text("ask,answer\nWhat is rust?,Iron oxide.\n,nothing\n", encoding="utf-8")
    options = ["--map", "query=ask", "--map", "response=answer", "--row", "licence=MIT"]
    made = value(run("data", "import", str(table), *options, "--json"))
    assert (made["added"], len(made["rejected"])) == (1, 1)
    sheet = tmp_path / "sheet.csv"
    assert run("data", "export", str(sheet), "--format", "sheet").exit_code == 0
    back = value(run("data", "import", str(sheet), "--update", "--json"))
    assert (back["changed"], back["missing"]) == (0, 0)
    out = value(run("data", "export", str(tmp_path / "a.jsonl"), "--format", "trl", "--json"))
    assert out["rows"] + len(out["left_out"]) == back["unchanged"]
    again = run("data", "import", str(table), *options)
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def test_a_cell_is_filled_reviewed_and_counted(run, project: Path, scribe: str) -> None:
    cell = "dangerous-content/answer/malicious=1"
    planned = value(run("data", "generate", cell, "--model", scribe, "--dry-run", "--json"))
    assert planned["calls"] == 3
    made = value(run("data", "generate", cell, "--model", scribe, "--json"))
    assert (made["drafted"], made["calls"]) == (1, 3)
    [draft] = value(run("data", "list", "--json"))["waiting"]
    assert run("data", "decide", draft, "--approve", "--reason", "read it").exit_code == 0
    assert value(run("data", "list", "--json"))["waiting"] == []
    again = value(run("data", "generate", cell, "--model", scribe, "--json"))
    assert again["drafted"] == 0
    assert again["rejected"] == {PATCHWORK: 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data", "generate", "hate=3", "--model", "scripted:x"], "POLICY/USE_CASE/KIND=N"),
        (["data", "generate", "hate/answer/odd=3", "--model", "scripted:x"], "no kind 'odd'"),
        (["data", "import"], "no file to import"),
        (["data", "import", "x.jsonl", "--set", "nothing"], "no set 'nothing'"),
        (["data", "export", "x.jsonl", "--format", "word"], "no format 'word'"),
        (["data", "export", "x.jsonl", "--format", "rbr"], "read, not written"),
        (["data", "export", "x.doc"], "unknown kind"),
        (["data", "mix", "nothing"], "no mix named"),
        (["prompt", "lint"], "no templates"),
        (["guard", "check", "hi"], "fit one: selaras guard fit"),
    ],
)
def test_a_mistake_is_one_line(run, words: list[str], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_mixes_cards_and_queries(run, project: Path, tmp_path: Path) -> None:
    mixes = "mixes={all: {parts: [{name: every, weight: 1}]}}"
    mixed = value(run("data", "mix", "all", "--set", mixes, "--json"))
    assert mixed["rows"] > 0
    assert "# Data card" in run("data", "card", "--print").stdout
    out = tmp_path / "rl.jsonl"
    assert run("data", "queries", str(out), "--n", "8", "--adversarial", "0.5").exit_code == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 8
    assert not any("response" in row for row in rows)
