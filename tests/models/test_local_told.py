"""A prompt as the model reads it: all its text, all its tokens, each with an origin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from selaras.core.project import UseCase
from selaras.core.records import Query
from selaras.models.local_told import told_prompt
from selaras.template import parse_prompt, render
from tiny import tiny_chat

CASE = UseCase(id="a", title="A")
TEMPLATE = parse_prompt(
    '{{role "system"}}Be brief.\n{{! principles }}\n- Be kind.\n{{! /principles }}\n'
    '{{role "user"}}Article: {{article}} Summary: {{query}}'
)
CHATS = {
    name: tiny_chat(template)
    for name, template in {
        "chatml": tiny.CHATML, "no system": tiny.NO_SYSTEM, "trimming": tiny.TRIMMING, "none": None,
    }.items()
}  # fmt: skip
texts = st.text(st.characters(codec="utf-8", exclude_characters="\ue000\ue001"), max_size=20)


@pytest.mark.parametrize("name", CHATS)
@given(texts, texts)
def test_every_token_is_counted_once_and_no_text_is_lost(name, article, query):
    chat = CHATS[name]
    row = Query(id="r", query=f"q{query}", context={"article": article})
    rendered = render(TEMPLATE, row, CASE)
    told = told_prompt(chat, rendered)
    said = "".join(part.text for part in told.parts)
    assert all(m.content.strip() in said for m in rendered.messages)
    bos = 1 if name == "none" and chat.tokenizer.bos_token_id is not None else 0
    if not any(word in article + query for word in tiny.CONTROL):
        assert told.tokens + bos == len(chat.prompt_ids(rendered.messages))


def test_folding_and_the_hidden_system_prompt_are_said():
    row = Query(id="r", query="Why?", context={"article": "Moss"})
    rendered = render(TEMPLATE, row, CASE)
    folded = told_prompt(CHATS["no system"], rendered)
    assert folded.folded
    assert [p.origin for p in folded.parts if p.text.startswith("Be brief")] == ["system"]
    shown = told_prompt(CHATS["chatml"], rendered)
    assert (shown.folded, shown.hidden) == (False, "")
    assert [(p.origin, p.name) for p in shown.parts if p.text == "- Be kind."] == [
        ("system", "principles")
    ]
    plain = render(parse_prompt("{{query}}"), Query(id="r", query="Why?"), CASE)
    assert told_prompt(CHATS["chatml"], plain).hidden == tiny.DEFAULT_SYSTEM
