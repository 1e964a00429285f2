"""Closed questions: what counts as an answer, and that nothing else ever does."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.judge.question import Question, delimited, read_first, read_json, unread
from selaras.models.protocol import Generation

YES_NO = ("Yes", "No")


def first(*pairs, text="Yes"):
    return Generation(0, text, first=tuple((token, math.log(p)) for token, p in pairs))


def test_the_shares_of_the_labels_add_up_whatever_their_spelling():
    reply = read_first(YES_NO, first(("Yes", 0.3), (" yes", 0.3), ("NO", 0.2), ("I", 0.2)))
    assert reply.label == "Yes"
    assert reply.shares == pytest.approx((0.75, 0.25))


@given(st.floats(0.01, 0.98))
def test_the_score_is_p_yes_and_the_label_the_likelier(p):
    reply = read_first(YES_NO, first(("Yes", p), ("No", 0.99 - p)))
    assert reply.shares[0] == pytest.approx(p / 0.99)
    assert reply.label == ("Yes" if p >= 0.99 - p else "No")
    assert sum(reply.shares) == pytest.approx(1)


def test_a_first_token_of_prose_is_no_answer():
    assert read_first(YES_NO, first(("I", 0.6), ("Yes", 0.3), ("No", 0.1), text="I")) is None
    assert read_first(YES_NO, Generation(0, "The")) is None


def test_a_bare_label_without_probabilities_is_an_answer_without_a_score():
    reply = read_first(YES_NO, Generation(0, " no.\n"))
    assert (reply.label, reply.shares) == ("No", ())


def test_a_failed_call_is_an_error_and_an_empty_one_is_asked_again():
    failed = read_first(YES_NO, Generation(0, "", "error", error="HTTP 500"))
    assert (failed.status, failed.reason, failed.label) == ("error", "HTTP 500", None)
    empty = Generation(0, "", "error", error="the answer is empty (cut at max_tokens)")
    assert read_first(YES_NO, empty) is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('{"answer": "Yes"}', "Yes"),
        ('```json\n{"answer": "no"}\n```', "No"),
        ('Let me see. {"answer": "No", "why": "{}"} Done.', "No"),
        ('{"answer": true}', "Yes"),
        ("No", "No"),
        ('{"answer": "Yes"} {"answer": "Yes"}', "Yes"),
        ('{"answer": "Yes"} or {"answer": "No"}', None),
        ('{"answer": "perhaps"}', None),
        ('{"answer": ["Yes"]}', None),
        ('{"verdict": "Yes"}', None),
        ("Yes, it violates the policy, but No in some readings.", None),
        ('{"answer": "Yes"', None),
        ("{" * 5000, None),
        ("", None),
    ],
)
def test_json_is_read_where_it_says_one_thing(text, label):
    assert read_json(YES_NO, text) == label


@given(st.text(max_size=60))
def test_no_text_is_read_as_a_label_that_it_does_not_say(text):
    label = read_json(YES_NO, text)
    assert label is None or label.casefold() in text.casefold() or "true" in text or "false" in text


def test_a_refusing_judge_is_told_from_a_talking_one():
    assert "refused" in unread("I'm sorry, but I can't help with that.").reason
    assert "named no label" in unread("It depends on what you mean.").reason
    assert unread("").status == "unscored"


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_can_close_its_own_marks(query, response):
    found = delimited(query=query, response=response)
    marks = [line for line in found.split("\n") if line.startswith(("<query-", "</query-"))]
    assert found.count(f"\n{query}\n") >= 1
    assert f"</{marks[0][1:]}" in found
    assert f"{marks[0]}\n{query}\n</{marks[0][1:]}" in found
    assert marks[0] not in query
    assert marks[0] not in response


def test_the_labels_are_named_in_every_form():
    question = Question("Does it?", YES_NO)
    assert question.in_a_word()[-1].content.endswith("Answer with one word: Yes or No.")
    assert json.dumps({"answer": "No"}) in question.in_json()[-1].content
    again = question.again("")
    assert [message.role for message in again] == ["user", "assistant", "user"]
    assert again[1].content == "(nothing)"
