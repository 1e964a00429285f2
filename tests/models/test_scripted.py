import json

import pytest

from selaras.core.errors import InputError
from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models.names import Place, open_model
from selaras.models.protocol import Generation, Model
from selaras.models.scripted import ScriptedModel, open_scripted

RULES = [
    {"match": "KILL a process", "response": "Use kill -TERM."},
    {"match": None, "response": "I can't help with that."},
    {"match": "weather", "responses": ["Sunny.", "Rain."]},
    {"match": "kill", "response": "Too late."},
]


@pytest.fixture
def script(tmp_path):
    def write(*rules, name="script.jsonl"):
        path = tmp_path / name
        path.write_text("\n".join(json.dumps(rule) for rule in rules) + "\n")
        return path

    return write


def texts(model, conversations, seed=0):
    return [answer.text for answer in model.generate(conversations, Sampling(seed=seed))]


def test_the_first_rule_that_matches_answers_and_the_default_only_where_none_does(script, ask):
    model = ScriptedModel(script(*RULES))
    asked = ask("How do I Kill A Process?", "what WEATHER?", "hello", "kill")
    assert texts(model, asked) == [
        "Use kill -TERM.",
        "Sunny.",
        "I can't help with that.",
        "Too late.",
    ]


def test_responses_are_cycled_by_the_seed(script, ask):
    model = ScriptedModel(script(*RULES))
    assert [texts(model, ask("weather"), seed)[0] for seed in (0, 1, 2, -1)] == [
        "Sunny.",
        "Rain.",
        "Sunny.",
        "Rain.",
    ]


def test_only_the_last_user_message_counts(script):
    model = ScriptedModel(script(*RULES))
    turns = (
        Message(role="user", content="weather"),
        Message(role="assistant", content="kill"),
        Message(role="user", content="thanks"),
        Message(role="assistant", content="weather"),
    )
    assert texts(model, [turns]) == ["I can't help with that."]
    assert texts(model, [(Message(role="system", content="weather"),)]) == [
        "I can't help with that."
    ]


def test_no_match_and_no_default_is_that_rows_error(script, ask):
    model = ScriptedModel(script({"match": "a", "response": "A"}))
    assert list(model.generate(ask("b", "a"), Sampling())) == [
        Generation(0, "", status="error", error="no rule matches"),
        Generation(1, "A", finish="stop"),
    ]


def test_identity_is_the_name_and_the_bytes(script):
    first = ScriptedModel(script({"match": None, "response": "A"}))
    second = ScriptedModel(script({"match": None, "response": "B"}))
    assert isinstance(first, Model)
    assert first.identity["name"] == "scripted:script.jsonl"
    assert len(first.identity["sha256"]) == 64
    assert first.identity["sha256"] != second.identity["sha256"]


def test_it_is_opened_by_name_from_the_projects_root(script, tmp_path, monkeypatch):
    script({"match": None, "response": "A"}, name="mine.jsonl")
    place = Place(tmp_path, tmp_path / "runs", tmp_path / "cache")
    assert open_model("scripted:mine.jsonl", place).identity["name"] == "scripted:mine.jsonl"
    monkeypatch.chdir(tmp_path)
    assert open_scripted("mine.jsonl").batch_size == 1


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"match": "a"}, "line 2: a rule has either a response or responses"),
        ({"match": "a", "response": "A", "responses": ["B"]}, "line 2: a rule has either"),
        ({"match": "a", "responses": []}, "line 2, field 'responses'"),
        ({"match": "", "response": "A"}, "line 2, field 'match'"),
        ({"match": 1, "response": "A"}, "line 2, field 'match'"),
        ({"mtach": "a", "response": "A"}, "line 2, field 'mtach': unknown field"),
        ({"match": None, "response": "A"}, "line 2, field 'match': a second default"),
        (["match"], "line 2: a JSON list where an object is needed"),
    ],
)
def test_a_bad_rule_is_named_by_line_and_field(script, rule, said):
    path = script({"match": None, "response": "A"}, rule)
    with pytest.raises(InputError) as caught:
        ScriptedModel(path)
    assert str(caught.value).startswith(f"{path}, ")
    assert said in str(caught.value)


def test_a_missing_or_empty_file_is_an_input_error(script, tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        open_scripted(str(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="no rules"):
        ScriptedModel(script())
    with pytest.raises(InputError, match="names no file"):
        open_scripted(" ")
