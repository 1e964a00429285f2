"""`selaras prompt improve`, `optimize` and `prove` as a person at a terminal uses them."""

import json

import pytest
from typer.testing import CliRunner

from fixtures.projects import make_project, some_rows, use_word_encoder
from selaras.cli import app
from selaras.core.files import write_jsonl, write_text
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
        {"match": "write the whole new", "response": json.dumps({"reason": "r", "text":
                                                                   "You help kindly."})},
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
