"""Importers: what other tools wrote comes out as the same messages, or is refused with its line."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.project import UseCase
from selaras.core.records import Query
from selaras.prompt.importers import import_prompts, read_text_template
from selaras.template import render, write_prompt

FIXTURES = Path(__file__).parent.parent / "fixtures"
CASE = UseCase(id="a", title="A")
PROMPTY = """\
---
name: Household helper
description: Helps
authors: [me]
model:
  api: chat
  configuration: {type: azure_openai, azure_deployment: gpt-4o}
  parameters: {max_tokens: 128, temperature: 0.2, stop: [x]}
inputs:
  article: {type: string, description: the text}
sample: {article: Moss}
---
system:
You are brief. Use {"json": true}. {# a note #}

user:
Article: {{article}} Question: {{ query }}
assistant:
Yes.
user:
{{query}}
"""


def told(template, **context):
    row = Query(id="r", query="Why?", context=context)
    return [(m.role, m.content) for m in render(template, row, CASE).messages]


def test_a_prompty_file(tmp_path):
    path = tmp_path / "house.prompty"
    path.write_text(PROMPTY)
    (one,) = import_prompts(path)
    assert told(one.template, article="Moss") == [
        ("system", 'You are brief. Use {"json": true}.'),
        ("user", "Article: Moss Question: Why?"),
        ("assistant", "Yes."),
        ("user", "Why?"),
    ]
    front = one.template.front
    assert (one.name, front.model, front.config.max_tokens) == ("Household-helper", "gpt-4o", 128)
    assert front.input.names == {"article"}
    assert any("authors" in note for note in one.notes)
    assert any("stop" in note for note in one.notes)


def test_a_promptfoo_configuration(tmp_path):
    (tmp_path / "chat.json").write_text(
        '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{article}}"}]'
    )
    path = tmp_path / "promptfooconfig.yaml"
    path.write_text(
        "prompts:\n- 'Summarise: {{article}}'\n- file://chat.json\n"
        "- {label: third one, raw: 'Say {\"a\": 1} {{article}}'}\nproviders: [x]\n"
    )
    first, second, third = import_prompts(path)
    assert told(first.template, article="Moss") == [("user", "Summarise: Moss")]
    assert told(second.template, article="Moss") == [("system", "Be brief."), ("user", "Moss")]
    assert third.name == "third-one"
    assert told(third.template, article="Moss") == [("user", 'Say {"a": 1} Moss')]
    path.write_text("prompts: ['file:///etc/hostname']")
    with pytest.raises(InputError, match="lies outside the folder"):
        import_prompts(path)


@pytest.mark.parametrize("logic", ["{% if x %}a{% endif %}", "{{ x | upper }}", "{{x.y}}"])
def test_logic_is_refused_with_its_line(tmp_path, logic):
    path = tmp_path / "a.prompty"
    path.write_text(f"system:\nBe brief.\n{logic}\n")
    with pytest.raises(InputError, match=r"line 3: logic in a prompt|logic in a prompt"):
        import_prompts(path)


def test_the_seeds_example_is_taken_verbatim():
    path = FIXTURES / "seed_en.prompt"
    (one,) = import_prompts(path, "text")
    assert write_prompt(one.template) == path.read_text()
    assert told(one.template, article="Moss {article} {{article}}") == [
        ("user", "The following examples show an expert scientist summarizing the key points of an "
                 "article. Article: Moss {article} {{article}} Summary:")
    ]  # fmt: skip


def test_plain_text_with_single_braces_keeps_json_as_text(tmp_path):
    path = tmp_path / "old.txt"
    path.write_text('Reply as {{"label": "x"}} or {"n": 1}.\n{article} and {{{query}}}')
    (one,) = import_prompts(path)
    assert told(one.template, article="Moss") == [
        ("user", 'Reply as {"label": "x"} or {"n": 1}.\nMoss and { Why?}')
    ]
    path.write_text("You are a helper.")
    (one,) = import_prompts(path)
    assert told(one.template) == [("system", "You are a helper."), ("user", "Why?")]


@example("\\")
@given(st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=30))
def test_any_text_around_a_variable_stays(text):
    (one,) = read_text_template(f"<{text}{{x}}>", Path("a.txt"))
    # A backslash right before a variable would make its braces text: a space is put between.
    space = " " if text.endswith("\\") else ""
    want = f"<{text}{space}v>".replace("\r\n", "\n")
    assert told(one.template, x="v")[-1][1] == want
