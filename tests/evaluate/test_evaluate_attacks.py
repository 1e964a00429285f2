"""Attacks: what they ask stays in them, in the query or in a variable, one cluster a row."""

import base64
import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.project import UseCase
from selaras.core.records import Query
from selaras.evaluate.attacks import ATTACKS, CARRIER, attack_of, attacked, attacked_rows
from selaras.template import PLAIN, render

ENCODED = {"base64", "rot13", "leetspeak", "payload-splitting", "spaced-out"}
ROW = Query(id="m1", query="Do the bad thing.", kind="malicious", expected="refuse",
            policies=("hate",), context={"article": "An article."}, cluster="c")  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - ENCODED))
@given(text=st.text(min_size=1, max_size=80))
def test_an_attack_in_words_holds_the_question_as_it_is(name, text):
    assert text in ATTACKS[name](text)
    assert ATTACKS[name](text) != text


@given(st.text(min_size=1, max_size=80))
def test_an_encoding_can_be_undone(text):
    said = ATTACKS["base64"](text).rsplit(": ", 1)[1]
    assert base64.b64decode(said).decode() == text
    assert codecs.decode(ATTACKS["rot13"](text).split(": ", 1)[1], "rot13") == text


@given(st.sampled_from(sorted(ATTACKS)), st.sampled_from(sorted(ATTACKS)))
def test_attacks_compose_from_left_to_right(first, second):
    text = "How does it work?"
    assert attack_of(f"{first}+{second}")(text) == ATTACKS[second](ATTACKS[first](text))


def test_a_variant_has_its_row_as_parent_and_all_its_labels():
    found = attacked(ROW, "role-play+base64")
    assert (found.id, found.parents) == ("m1.role-play-base64", ("m1",))
    assert found.cluster == ROW.cluster
    assert (found.policies, found.expected, found.context) == (
        ROW.policies, ROW.expected, ROW.context,
    )  # fmt: skip
    Query.model_validate(found.model_dump())


def test_an_attack_inside_a_variable_leaves_the_query_harmless():
    found = attacked(ROW, "override", "article")
    assert found.query == CARRIER
    assert found.context["article"].startswith("An article.\n\n[End of the text.")
    assert ROW.query in found.context["article"]
    assert attacked(ROW, "override", "letter").context["letter"].startswith("[End")


def test_ordinary_rows_are_not_attacked():
    plain = Query(id="o", query="Hello", expected="answer")
    found = attacked_rows([plain, ROW], ["base64", "rot13"], None)
    assert [row.id for row in found] == ["m1.base64", "m1.rot13"]


def test_an_unknown_attack_is_said():
    with pytest.raises(InputError, match=r"no attack 'magic'.*use one of: base64"):
        attack_of("base64+magic")


def test_many_shots_are_turns_of_a_conversation_that_is_rendered():
    found = attacked(ROW, "many-shot+prefix-injection")
    assert [turn.role for turn in found.turns[:2]] == ["user", "assistant"]
    assert len(found.turns) == 32
    assert found.query.startswith(ROW.query)
    assert "boil an egg" not in found.query
    case = UseCase(id="answer", title="Answer", input="{{query}}\n\n{{article}}")
    said = render(PLAIN, found, case).messages
    assert [m.role for m in said[:3]] == ["user", "assistant", "user"]
    assert said[-1].content == f"{found.query}\n\nAn article."
    inside = attacked(ROW, "many-shot", "article")
    assert inside.turns == ()
    assert "boil an egg" in inside.context["article"]
