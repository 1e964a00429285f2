"""What a prompt brings to its System besides text: sampling, the model it is for, an end."""

import pytest

from fixtures.projects import make_project, some_rows, use_word_encoder
from selaras.core.files import write_jsonl, write_text
from selaras.core.records import Query
from selaras.evaluate import Suite, evaluate, open_system

YAML = """\
product: helper
use_cases: [{id: answer, title: Answer}]
policies: [dangerous-content]
systems:
  own: {model: "scripted:s.jsonl", prompt: prompts/x.prompt, sampling: {temperature: 0.5}}
"""
RAW = """\
---
model: bundled:gemma3-270m
config: {max_tokens: 7, temperature: 1}
selaras:
  form: raw
  examples: {inline: [{query: 'Rain?', response: It falls.}]}
---
{{! examples }}
Question: {{query}}
Answer: {{response}}

{{! /examples }}
Question: {{input}}
Answer:
"""


class Heard:
    """Progress that remembers what was said."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def project(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    made = make_project(tmp_path / "project", some_rows(4, 4), YAML)
    said = "Green.\n\nQuestion: And snow?\nAnswer: White."
    rules = [{"match": "moss", "response": said}, {"match": None, "response": "Question: no"}]
    write_jsonl(made.root / "s.jsonl", rules)
    write_text(made.root / "prompts" / "x.prompt", RAW)
    return made


def test_config_samples_where_the_system_does_not_and_another_model_is_said(project):
    heard = Heard()
    opened = open_system(project, "own", project.system_spec("own"), heard)
    sampling = opened.system.sampling
    assert (sampling.max_tokens, sampling.temperature) == (7, 0.5)
    assert heard.lines == [
        "own: the prompt was written for bundled:gemma3-270m, and runs on scripted:s.jsonl here"
    ]


def test_an_answer_ends_where_the_next_example_would_begin(project):
    rows = (Query(id="a", query="Is moss green?"), Query(id="b", query="Is rust?"))
    opened = open_system(project, "own", project.system_spec("own"))
    done = evaluate(project, opened, Suite(rows, ("a", "b"), "figures"), checks=())
    assert [answer.text for answer in done.answers] == ["Green.", ""]
    (sent,) = opened.render(rows[0])
    assert sent.content == (
        "Question: Rain?\nAnswer: It falls.\n\nQuestion: Is moss green?\nAnswer:"
    )
