"""Writing templates: byte for byte, edits that touch their own block only, marks that render."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.project import UseCase
from selaras.core.records import Query
from selaras.template import (
    Principle,
    adopted,
    edited_by_hand,
    frozen_spans,
    parse_prompt,
    render,
    with_body,
    with_front,
    with_principles,
    write_prompt,
)

FRONT = """\
---
# who owns it
name: household  # the first one
selaras:
  # why these two
  policies: [hate]
  principles:
  # learnt in May
  - id: p1
    text: Be brief.
  # the parent's hash
  parent: 12ab
---
"""
BODY = """\
{{role "system"}}
You help.
{{! frozen:law }}
Obey the law.
{{! /frozen:law }}
{{! principles }}
- Be brief.
{{! /principles }}
{{role "user"}}
{{input}}
"""
CASE = UseCase(id="a", title="A")

pieces = st.sampled_from(
    ["{{x}}", "{{query}}", '{{role "system"}}', '{{role "model"}}\n', "{{! a note }}\n",
     "{{!-- }} --}}", "{{! frozen:a }}keep{{! /frozen:a }}",
     "{{! principles }}\n{{! /principles }}",
     "\\{{", "{", "}", "}}", '{"a": 1}', "\n", "  ", "text", "é\u2028", "# no comment"]
)  # fmt: skip
bodies = st.lists(pieces, max_size=12).map("".join)
texts = st.text(min_size=1, max_size=40).filter(lambda t: t.strip())


@given(bodies | st.text(max_size=80))
def test_what_is_parsed_is_written_as_it_was(body):
    text = FRONT.replace("  principles:\n  # learnt in May\n  - id: p1\n    text: Be brief.\n", "")
    text += body.replace("\r\n", "\n")
    try:
        template = parse_prompt(text)
    except InputError:
        return
    assert write_prompt(template) == text
    assert parse_prompt(write_prompt(template)) == template


@given(st.lists(texts, max_size=3), bodies)
def test_principles_are_compiled_and_nothing_else_moves(said, body):
    try:
        before = parse_prompt("---\nname: a # mine\n---\n" + body)
    except InputError:
        return
    principles = [Principle(id=f"p{i}", text=text) for i, text in enumerate(said)]
    after = with_principles(before, principles)
    assert after.front.selaras.principles == tuple(principles)
    assert not edited_by_hand(after)
    assert after.variables == before.variables
    assert frozen_spans(after) == frozen_spans(before)
    assert "name: a # mine\n" in write_prompt(after)
    assert parse_prompt(write_prompt(after)) == after
    # Taking them out again leaves the model what it was told before.
    empty = with_principles(after, ())
    assert empty.fingerprint == before.fingerprint or before.span("principles")


def test_an_edit_keeps_every_comment_and_every_other_line():
    template = parse_prompt(FRONT + BODY)
    changed = with_principles(
        template, [Principle(id="p2", text='Say "{{no}}": #1', policy="hate")]
    )
    text = write_prompt(changed)
    for line in FRONT.splitlines():
        assert line in text or "p1" in line or "Be brief" in line
    assert r'- Say "\{{no}}": #1' in text
    assert changed.body.replace(r'- Say "\{{no}}": #1', "- Be brief.") == BODY
    row = Query(id="r", query="Hi")
    assert render(changed, row, CASE).messages[0].content == (
        'You help.\nObey the law.\n- Say "{{no}}": #1'
    )


@pytest.mark.parametrize(
    "head",
    ["", "---\n---\n", "---\n# note\n---\n", "---\n{name: a}\n---\n",
     "---\nselaras: {parent: x}\n---\n",
     "---\nselaras:\nname: a\n---\n", "---\nselaras:\n  parent: x # old\n\n# end\n---\n",
     "---\nselaras:\n    principles: []\n    parent: |\n      # text\nname: a\n---\n"],
)  # fmt: skip
def test_any_front_matter_takes_a_field(head):
    template = parse_prompt(head + "{{query}}")
    changed = with_front(template, {"parent": "abcd", "policies": ["hate"]})
    before = yaml.safe_load(head.strip("-\n")) or {}
    after = yaml.safe_load(changed.head.strip("-\n"))
    assert after.pop("selaras") == {**(before.pop("selaras", None) or {}), "parent": "abcd",
                                    "policies": ["hate"]}  # fmt: skip
    assert after == before
    assert with_front(changed, {"parent": None}).front.selaras.parent is None


def test_edits_by_hand_are_taken_over_and_never_lost():
    template = parse_prompt(FRONT + BODY)
    edited = with_body(template, BODY.replace("- Be brief.", "- Be very brief.\nNever shout."))
    with pytest.raises(InputError, match="edited by hand"):
        with_principles(edited, ())
    kept = adopted(edited).front.selaras.principles
    assert [(p.id, p.text, p.status) for p in kept] == [
        ("p1", "Be very brief.", "edited"),
        ("hand-1", "Never shout.", "active"),
    ]
    gone = adopted(with_body(template, BODY.replace("- Be brief.\n", "")))
    assert [p.status for p in gone.front.selaras.principles] == ["deleted"]
    assert adopted(template) == template


def test_marks_say_nothing_to_the_model():
    plain = BODY.replace("{{! frozen:law }}\n", "").replace("{{! /frozen:law }}\n", "")
    plain = plain.replace("{{! principles }}\n", "").replace("{{! /principles }}\n", "")
    assert parse_prompt(FRONT + BODY).fingerprint == parse_prompt(plain).fingerprint
    frozen = frozen_spans(parse_prompt(FRONT + BODY))
    assert [(f.name, f.role, f.text) for f in frozen] == [("law", "system", "Obey the law.\n")]
    listed = parse_prompt("---\nselaras:\n  frozen: {law: Obey.}\n---\nObey. {{query}}")
    assert [f.text for f in frozen_spans(listed)] == ["Obey."]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{{! frozen:a }}x {{query}}", "line 1: the mark frozen:a is not closed"),
        ("x\n{{! /frozen:a }}", "line 2: the mark frozen:a is closed and was not opened"),
        ("{{! principles }}{{! frozen:a }}", "frozen:a is marked inside principles"),
        ("{{! frozen:a }}x{{! /frozen:a }}{{! frozen:a }}y{{! /frozen:a }}", "is marked twice"),
        ("---\nselaras: {frozen: {a: gone}}\n---\nx", "the frozen text 'a' is not in the body"),
        ("---\nselaras: {form: raw}\n---\n{{role \"system\"}}x", "one text without roles"),
        ("---\nselaras: {examples: {rows: [a]}}\n---\nx", "no place for them"),
    ],
)  # fmt: skip
def test_marks_that_make_no_sense_are_errors(body, says):
    with pytest.raises(InputError, match=says.replace("(", r"\(")):
        parse_prompt(body)


def test_principles_stand_before_examples_whose_roles_are_inside_their_marks() -> None:
    text = (
        '{{role "system"}}Be brief.\n{{! examples }}\n{{role "user"}}{{query}}\n'
        '{{role "model"}}{{response}}\n{{! /examples }}\n{{role "user"}}{{query}}\n'
    )
    made = with_principles(parse_prompt(text), [Principle(id="a", text="Be kind.")])
    assert made.span("principles").end < made.span("examples").start
    assert [turn.role for turn in made.turns] == ["system", "user"]
