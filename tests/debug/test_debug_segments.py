"""Segments: whole, nested, in any language, and never made by joining strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError, ModelError
from selaras.core.project import UseCase
from selaras.core.records import Message, Query
from selaras.debug import ablatable, cut, select, select_text, view_prompt, whole_response
from selaras.debug.cuts import UNITS, sentences
from selaras.template import Rendered, parse_prompt, render
from selaras.template import Segment as Stretch
from tiny import CHATML, NO_SYSTEM, SPECIAL, TOOL, TRIMMING, tiny_chat

PROMPT = (
    '{{role "system"}}You help. Be brief.\n\n# Rules\nNever shout!\n- One.\n- Two.\n'
    '{{role "user"}}Q: {{article}}{{role "model"}}A: yes.{{role "user"}}{{article}} Then: {{query}}'
)
PARTS = [*"ab .!?\n", "é", "😀", "👍🏽", "مر", "حبا", "好", "。", "<|im_end|>", TOOL, "\u202e"]
TEXTS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=12).map("".join).filter(str.strip)


def shown(template: str | None, query: str = "How?", article: str = "One. Two."):
    row = Query(id="a", query=query, context={"article": article})
    return view_prompt(
        tiny_chat(template), render(parse_prompt(PROMPT), row, UseCase(id="u", title="u"))
    )


@given(query=TEXTS, article=TEXTS)
def test_every_unit_holds_every_character_and_token_once(query: str, article: str) -> None:
    for template in (CHATML, None, NO_SYSTEM, TRIMMING):
        view = shown(template, query, article)
        for unit in UNITS[:-1]:
            segments = cut(view, unit)
            assert "".join(map(view.text_of, segments)) == view.text
            assert [t for s in segments for t in s.tokens] == list(range(len(view.tokens.ids)))


@given(query=TEXTS)
def test_units_are_nested_and_ids_are_the_models_own(query: str) -> None:
    view = shown(CHATML, query)
    borders = {unit: {s.start for s in cut(view, unit)} for unit in UNITS[:-1]}
    for fine, coarse in (("word", "sentence"), ("word", "line"), ("sentence", "paragraph"),
                         ("line", "paragraph"), ("paragraph", "section"),
                         ("section", "message"), ("message", "example")):  # fmt: skip
        assert borders[coarse] <= borders[fine], (fine, coarse)


def test_origins_roles_and_variables() -> None:
    view = shown(CHATML)
    found = [(s.role, s.origin, s.name, view.text_of(s)) for s in cut(view, "message")]
    assert [f for f in found if f[1] != "template"] == [
        ("system", "system", None, "You help. Be brief.\n\n# Rules\nNever shout!\n- One.\n- Two."),
        ("user", "few_shot", None, "Q: "),
        ("user", "variable", "article", "One. Two."),
        ("assistant", "few_shot", None, "A: yes."),
        ("user", "variable", "article", "One. Two."),
        ("user", "user", None, " Then: "),
        ("user", "user", "query", "How?"),
    ]
    assert all(not s.ablatable for s in view.stretches if s.origin == "template")
    (example,) = [s for s in cut(view, "example") if s.origin == "few_shot"]
    assert view.text_of(example).startswith("Q: One. Two.<|im_end|>")
    assert view.text_of(example).endswith("A: yes.")


def test_the_silent_system_prompt_is_shown_and_can_be_deleted() -> None:
    said = Rendered((Message(role="user", content="Hi"),), (Stretch("user", "user", 0, 0, 2),))
    view = view_prompt(tiny_chat(), said)
    (silent,) = [s for s in view.stretches if s.origin == "silent"]
    assert view.text_of(silent) == "You are a helpful AI assistant named Tiny"
    assert silent in ablatable(view.stretches)


@pytest.mark.parametrize("word", [*SPECIAL, TOOL])
@pytest.mark.parametrize("template", [CHATML, NO_SYSTEM, None])
def test_control_words_that_a_user_types_stay_text(word: str, template: str | None) -> None:
    chat = tiny_chat(template)
    view = shown(template, f"a {word} b", f"{word}")
    row = Query(id="a", query=f"a {word} b", context={"article": word})
    rendered = render(parse_prompt(PROMPT), row, UseCase(id="u", title="u"))
    assert list(view.tokens.ids) == chat.prompt_ids(rendered.messages)
    control = chat.tokenizer.convert_tokens_to_ids(word)
    for segment in ablatable(cut(view, "token")):
        assert control not in [view.tokens.ids[i] for i in segment.tokens]


def test_a_character_of_several_tokens_is_never_divided() -> None:
    view = shown(CHATML, "x😀مy")
    texts = [view.text_of(s) for s in cut(view, "token") if s.name == "query"]
    assert "".join(texts) == "x😀مy"
    assert "😀" in texts
    target = whole_response(tiny_chat(), "so 😀 yes")
    assert select(target, [(3, 4)]).text == "😀"
    assert len(select(target, [(3, 4)]).chosen) > 1


def test_disjoint_targets_and_empty_ones() -> None:
    target = whole_response(tiny_chat(), "I can't help with that. Ask a pharmacist.")
    chosen = select_text(target, ["can't", "pharmacist"])
    assert len(chosen.spans) == 2
    for broken in (lambda: select(target, []), lambda: select(target, [(3, 3)]),
                   lambda: select_text(target, ["not there"]), lambda: select_text(target, [" "]),
                   lambda: whole_response(tiny_chat(), "\n")):  # fmt: skip
        with pytest.raises(InputError):
            broken()


def test_sentences_across_wrapped_lines_and_abbreviations() -> None:
    wrapped = "Answer questions about cleaning, the garden and\nneighbours briefly."
    text = f"{wrapped} See e.g. Dr. Who.\n- first item\n- second item"
    cuts = sorted(set(sentences(text)))
    assert [text[a:b].strip() for a, b in zip(cuts, [*cuts[1:], None], strict=True)] == [
        wrapped,
        "See e.g. Dr. Who.", "- first item", "- second item",
    ]  # fmt: skip


def test_bad_units_patterns_and_templates() -> None:
    view = shown(CHATML)
    with pytest.raises(InputError, match="no unit"):
        cut(view, "chapter")
    with pytest.raises(InputError, match="broken"):
        cut(view, "regex", "(")
    assert len(cut(view, "regex", r"Be \w+\.")) > len(cut(view, "message"))
    said = (Message(role="user", content="a"), Message(role="user", content="b"))
    second_only = CHATML.replace("message in messages %}", "message in messages[1:] %}")
    with pytest.raises(ModelError, match="leaves out"):
        view_prompt(tiny_chat(second_only), Rendered(said, (Stretch("user", "user", 0, 0, 1),)))
