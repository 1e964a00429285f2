"""Parsing `.prompt` files: roles, variables, escapes, front matter, and errors with their line."""

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.template import PLAIN, load_prompt, parse_prompt
from selaras.template.prompt import Literal, Variable, parse_pieces


def shape(text):
    return [(turn.role, turn.pieces) for turn in parse_prompt(text).turns]


def test_roles_start_messages_and_model_is_the_assistant():
    text = (
        '{{role "system"}}Be brief.{{role \'user\'}}Hi{{role "model"}}Yes?{{role "assistant"}}So.'
    )
    assert shape(text) == [
        ("system", (Literal("Be brief."),)),
        ("user", (Literal("Hi"),)),
        ("assistant", (Literal("Yes?"),)),
        ("assistant", (Literal("So."),)),
    ]


def test_text_before_the_first_role_is_the_users():
    assert shape("{{query}}") == [("user", (Variable("query"),))]
    assert shape('  \n{{role "system"}}S') == [("system", (Literal("S"),))]


def test_blank_space_around_a_message_is_dropped_and_within_it_is_kept():
    template = '{{ role "system" }}\n\n a  b \n\n{{role "user"}}\n {{ query }}\n\nEnd \n'
    assert shape(template) == [
        ("system", (Literal("a  b"),)),
        ("user", (Variable("query"), Literal("\n\nEnd"))),
    ]


def test_a_role_without_text_makes_no_message():
    assert shape('{{role "system"}} \n {{role "user"}}{{query}}') == [
        ("user", (Variable("query"),))
    ]


def test_an_escape_is_a_literal_pair_of_braces():
    assert shape(r"a \{{query}} {{query}} \{{role") == [
        ("user", (Literal("a {{query}} "), Variable("query"), Literal(" {{role")))
    ]


@given(st.text(alphabet="ab {}\\\n", max_size=30))
def test_what_is_escaped_comes_out_as_it_went_in(text):
    body = "<" + text.replace("{{", "{ {") + ">"  # braces in pairs are what needs the escape
    assert shape(body.replace("{ {", r"\{{")) == [("user", (Literal(body.replace("{ {", "{{")),))]


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    text = '---\nname: a\n---\n{{role "user"}}\n{{query}}\nx\ny\n'
    path = tmp_path / "a.prompt"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_prompt(path) == parse_prompt(text)


def test_front_matter_is_read_and_does_not_decide_identity():
    text = dedent("""\
        ---
        name: household
        model: bundled:smollm2-135m-instruct
        config: {max_tokens: 7}
        input: {schema: {article: string}}
        selaras: {policies: [hate]}
        ---
        {{article}} Summary:
        """)
    template = parse_prompt(text)
    assert (template.front.name, template.front.config.max_tokens) == ("household", 7)
    assert template.variables == {"article"}
    assert template.fingerprint == parse_prompt("{{article}} Summary:").fingerprint


@pytest.mark.parametrize("front", ["---\n---\n", "---  \n\n# only a remark\n---\n", ""])
def test_empty_front_matter_is_none(front):
    assert parse_prompt(front + "{{query}}").turns == parse_prompt("{{query}}").turns


def test_the_fingerprint_tells_text_from_variables_and_roles():
    texts = ["{{query}}", r"\{{query}}", "query", '{{role "system"}}query', "{{other}}"]
    assert len({parse_prompt(text).fingerprint for text in texts}) == len(texts)
    assert PLAIN.fingerprint == parse_prompt("{{input}}").fingerprint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a\nb {{#if x}}c{{/if}}", "a.prompt, line 2: unknown tag {{#if x}}"),
        ("{{> partial}}", "a.prompt, line 1: unknown tag"),
        ("{{query }}\n{{que ry}}", "a.prompt, line 2: unknown tag {{que ry}}"),
        ("{{ }}", "a.prompt, line 1: unknown tag"),
        ("{{{query}}}", "a.prompt, line 1: unknown tag {{{query}}"),
        ('---\nname: a\n---\n\n{{role "tool"}}x', "a.prompt, line 5: unknown role 'tool'"),
        ("{{role system}}x", "a.prompt, line 1: unknown tag"),
        ('x\n{{role "system"}}\nBe {{query', "a.prompt, line 3: a {{ is not closed"),
        ("x\n{{query \\{{", "a.prompt, line 2: a {{ is not closed"),
        ('---\nname: a\n{{role "system"}}x', "a.prompt, line 1: the front matter has no end"),
        ("---\nname: a\nmodel: [x\n---\n{{query}}", "a.prompt, line 4: broken YAML"),
        ("---\n\n\nname: [x\n---\n{{query}}", "a.prompt, line 5: broken YAML"),
        ("---\ndate: 2024-13-45\n---\n{{query}}", "a.prompt: broken YAML"),
        ("---\njust words\n---\n{{query}}", "a.prompt: the front matter holds no fields"),
        ("---\n[]\n---\n{{query}}", "a.prompt: the front matter holds no fields"),
        ("---\nnaem: a\n---\n{{query}}", "a.prompt, field 'naem': unknown field"),
        ("---\nconfig: {max_tokens: 0}\n---\n{{query}}", "a.prompt, field 'config.max_tokens'"),
        ("", "a.prompt: the template has no text"),
        ("---\nname: a\n---\n", "a.prompt: the template has no text"),
        ('{{role "user"}}\n \n', "a.prompt: the template has no text"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, says):
    path = tmp_path / "a.prompt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_prompt(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_prompt(tmp_path / "none.prompt")
    (tmp_path / "a.prompt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        load_prompt(tmp_path / "a.prompt")


def test_a_use_cases_input_has_variables_but_no_roles():
    assert parse_pieces("{{query}}\n\n{{article}}") == (
        Variable("query"),
        Literal("\n\n"),
        Variable("article"),
    )
    with pytest.raises(InputError, match="a role has no place here"):
        parse_pieces('{{role "system"}}{{query}}')


@given(st.text(max_size=60))
def test_any_text_is_a_template_or_an_error_of_one_line(text):
    said = None
    try:
        template = parse_prompt(text)
    except InputError as error:
        said = str(error)
    if said is None:
        assert all(turn.pieces for turn in template.turns)
    else:
        assert len(said.splitlines()) == 1
