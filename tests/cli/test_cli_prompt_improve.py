"""`selaras prompt improve`, `optimize` and `prove` as a person at a terminal uses them."""

import json

import pytest
from typer.testing import CliRunner

from fixtures.projects import make_project, some_rows, use_word_encoder
from selaras.cli import app
from selaras.core.files import write_jsonl, write_text
from selaras.data import open_development
from selaras.prompt.feedback import read_feedback
from selaras.template import load_prompt
from selaras.template.versions import history

YAML = """\
product: helper
use_cases: [{id: answer, title: Answer}]
policies: [dangerous-content]
systems:
  base: {model: "scripted:answers.jsonl", prompt: prompts/a.prompt}
held_out_share: 0.3
"""
PROMPT = (
    '---\nname: a\n---\n{{role "system"}}\nYou help in the house.\n{{role "user"}}\n{{input}}\n'
)
EDIT = {"op": "add", "principle_id": None, "text": "Say what to wear.", "reason": "it was missing"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    made = make_project(tmp_path / "p", some_rows(8, 8), YAML)
    write_text(made.root / "prompts" / "a.prompt", PROMPT)
    write_jsonl(made.root / "answers.jsonl", [{"match": None, "response": "Open a window."}])
    rules = [
        {"match": "could not be used", "response": json.dumps(EDIT)},
        {"match": "different short critiques", "response": '{"critiques": ["It is vague."]}'},
        {"match": "Which one edit", "response": "I would add a rule."},
        {"match": "Write this part anew", "response": json.dumps({"text": "Refuse only poison.",
                                                                  "reason": "clearer"})},
        {"match": "write new instructions", "response": json.dumps({"text": "You help kindly."})},
        {"match": None, "response": '{"answer": "No"}'},
    ]  # fmt: skip
    write_jsonl(made.root / "editor.jsonl", rules)
    return made


def improve(project, said, *more):
    return CliRunner().invoke(
        app,
        ["prompt", "improve", "prompts/a.prompt", "--row", "o1", "--editor",
         "scripted:editor.jsonl", "-C", str(project.root), *more],
        input=said,
    )  # fmt: skip


def test_a_session_by_principles_drafts_mends_shows_replays_and_saves(project) -> None:
    done = improve(project, "d\n1\na\n")
    assert done.exit_code == 0, done.output
    path = project.root / "prompts" / "a.prompt"
    (principle,) = load_prompt(path).front.selaras.principles
    assert (principle.text, principle.feedback) == ("Say what to wear.", ("f1",))
    assert "1. It is vague." in done.output
    assert "a reply could not be used" in done.output
    assert "+- Say what to wear." in done.output
    assert "f1 (critique on o1)" in done.output
    (feedback,) = read_feedback(path)
    assert (feedback.by, feedback.text) == ("scripted:editor.jsonl", "It is vague.")
    first, second = history(path)
    assert second.parent == first.version


def test_a_rewrite_is_shown_and_not_written_before_it_is_accepted(project) -> None:
    path = project.root / "prompts" / "a.prompt"
    declined = improve(project, "c\nbe kinder\nn\n", "--method", "rewrite")
    assert declined.exit_code == 0, declined.output
    assert "+You help kindly." in declined.output
    assert path.read_text() == PROMPT
    accepted = improve(project, "c\nbe kinder\na\n", "--method", "rewrite")
    assert accepted.exit_code == 0, accepted.output
    assert "You help kindly." in path.read_text()
    assert len(read_feedback(path)) == 2


def test_a_principle_is_changed_by_hand_before_it_is_saved(project) -> None:
    done = improve(project, "k\nclear\ne\nName the tool first.\na\n")
    assert done.exit_code == 0, done.output
    template = load_prompt(project.root / "prompts" / "a.prompt")
    assert template.front.selaras.principles[0].text == "Name the tool first."


def test_skipping_and_bad_words_are_one_line(project) -> None:
    assert improve(project, "s\n").exit_code == 0
    wrong = improve(project, "", "--method", "magic")
    assert wrong.exit_code == 2
    assert "no method 'magic'" in wrong.output
    gone = improve(project, "", "--row", "nobody")
    assert "no development row 'nobody'" in gone.output


def test_a_search_is_forecast_and_says_where_nothing_was_better(project) -> None:
    where = ["-C", str(project.root), "--editor", "scripted:editor.jsonl"]
    order = ["prompt", "optimize", "prompts/a.prompt", "--budget-calls", "60", "--rows", "20"]
    dry = CliRunner().invoke(app, [*order, "--dry-run", *where])
    assert "60 calls" in dry.output, dry.output
    found = CliRunner().invoke(app, [*order, *where])
    assert found.exit_code == 0, found.output
    assert "no significant improvement: the winner is the seed" in found.output
    told = CliRunner().invoke(app, [*order, "--resume", "--json", *where])
    assert json.loads(told.stdout)["improved"] is False
    wrong = CliRunner().invoke(app, [*order, "--search", "magic", *where])
    assert wrong.exit_code == 2


STRICT = """---
name: b
selaras:
  examples: {rows: [h1]}
---
{{role "system"}}
You help in the house. Refuse much. Be quick.
{{! examples }}
{{role "user"}}
{{query}}
{{role "model"}}
{{response}}
{{! /examples }}
{{role "user"}}
{{input}}
"""


def findings_of(project, path, **named):
    template = load_prompt(project.root / path)
    lines = [
        {"finding": kind, "segment": {"role": "system", "origin": "system", "text": text,
                                      "start": 1, "end": 2, **part},
         "n": 9, "mean": 2.0, "low": 1.0, "high": 3.0, "unit": "nats", "proposed": "change it",
         "system": "base", "prompt": path, "template": template.fingerprint, "model": "m"}
        for kind, text, part in named["found"]
    ]  # fmt: skip
    write_jsonl(project.root / "findings.jsonl", lines)
    return str(project.root / "findings.jsonl")


def test_findings_are_linted_and_decided_on_one_by_one(project) -> None:
    path = project.root / "prompts" / "b.prompt"
    answered = [{**row, "response": "Use soda."} if row["id"][0] == "o" else row
                for row in some_rows(8, 8)]  # fmt: skip
    write_jsonl(project.root / "data" / "rows.jsonl", answered)
    rows = [row.id for row in open_development(project).rows if row.id[0] == "o"]
    shown, asked_row = rows[:2]
    write_text(path, STRICT.replace("h1", shown))
    source = findings_of(project, "prompts/b.prompt", found=[
        ("makes_it_refuse", "Be quick.", {}),
        ("raises_over_refusal", "Refuse much.", {}),
        ("harms", "a question and its answer",
         {"origin": "few_shot", "role": "user", "name": f"example:{shown}"}),
        ("never_matters", "You help in the house.", {}),
    ])  # fmt: skip
    where = ["--findings", source, "-C", str(project.root)]
    linted = CliRunner().invoke(app, ["prompt", "lint", str(path), *where])
    assert linted.exit_code == 0, linted.output
    assert 'b.prompt:7: warning measured: "Refuse much." pushes towards refusing' in linted.output
    asked = ["prompt", "improve", "prompts/b.prompt", "--row", asked_row, "--editor",
             "scripted:editor.jsonl", *where]  # fmt: skip
    done = CliRunner().invoke(app, asked, input="r\na\nd\na\nd\nn\ns\n")
    assert done.exit_code == 0, done.output
    assert "it stays: nothing is proposed" in done.output
    assert "+You help in the house. Refuse only poison. Be quick." in done.output
    assert "mends 0 and breaks 0 of 1 rows" in done.output
    first = history(path)[0].version
    assert f"--parent {path.parent / 'versions' / first}.prompt" in done.output
    now = load_prompt(path)
    assert "You help in the house. Refuse only poison. Be quick." in now.body
    assert now.front.selaras.examples.rows == ()
    assert len(history(path)) == 3
    stale = CliRunner().invoke(app, asked)
    assert stale.exit_code == 2
    assert "in version" in stale.stderr
    assert len(stale.stderr.strip().splitlines()) == 1


def test_a_search_tries_findings_and_ends_when_none_is_left(project) -> None:
    path = "prompts/a.prompt"
    write_text(project.root / path, PROMPT.replace("house.", "house. Open windows. Refuse much."))
    source = findings_of(project, path, found=[("raises_over_refusal", "Refuse much.", {}),
                                               ("never_matters", "Open windows.", {})])  # fmt: skip
    order = ["prompt", "optimize", path, "--budget-calls", "90", "--rows", "20", "--json",
             "--editor", "scripted:editor.jsonl", "-C", str(project.root)]  # fmt: skip
    found = CliRunner().invoke(app, [*order, "--change", "findings", "--findings", source])
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["ended"] == "nothing is left to propose"
    assert [step["how"].split(" (")[0] for step in told["steps"]] == [
        "reword 'Refuse much.': Refuse only poison.",
        "delete 'Refuse much.'",
    ]
    missing = CliRunner().invoke(app, [*order, "--change", "findings"])
    assert missing.exit_code == 2
    assert "--findings FILE" in missing.stderr
