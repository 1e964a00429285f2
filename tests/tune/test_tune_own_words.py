"""Replay in the model's own words: only where it should answer and does, and cut ones say so."""

import pytest

from selaras.core.journal import Journal
from selaras.core.records import Example, Message
from selaras.judge.refusal import refusal_rules
from selaras.models.protocol import Generation
from selaras.tune.encode import IGNORED, encode
from selaras.tune.own_words import in_own_words
from tiny import tiny_chat

ANSWERS = {
    "whole": ("Let it rest for an hour.", "ok", "stop"),
    "cut": ("Let it rest for an hour and then", "ok", "length"),
    "refused": ("I'm sorry, but I can't help with that.", "ok", "stop"),
    "failed": ("", "error", "unknown"),
}


class Own:
    """Answers by the query's first word."""

    batch_size = 4
    identity = {"name": "own"}  # noqa: RUF012 - a double's constant

    def __init__(self):
        self.asked = []

    def generate(self, conversations, sampling):
        for index, conversation in enumerate(conversations):
            self.asked.append(conversation[-1].content)
            text, status, finish = ANSWERS[conversation[-1].content.split()[0]]
            yield Generation(index, text, status, finish, error="no" if status == "error" else None)


def row(name, expected="answer"):
    return Example(id=f"{name}-{expected}", query=f"{name} question", expected=expected,
                   response="As written.", response_label="safe")  # fmt: skip


def asked(query):
    return (Message(role="user", content=query.query),)


@pytest.fixture
def rows():
    return [row(name) for name in ANSWERS] + [
        row("whole", "refuse"),
        row("whole", "safe_completion"),
        Example(id="open", query="whole question", response="As written."),
    ]


def replay(rows, path, model=None):
    return in_own_words(rows, model or Own(), asked, refusal_rules, Journal(path))


def test_answers_are_the_models_own_and_everything_else_stays_as_written(rows, tmp_path):
    found = replay(rows, tmp_path / "j")
    assert [(made.id, made.response) for made in found.rows] == [
        ("whole-answer", "Let it rest for an hour."),
        ("cut-answer", "Let it rest for an hour and then"),
        ("refused-answer", "As written."),
        ("failed-answer", "As written."),
        ("whole-refuse", "As written."),
        ("whole-safe_completion", "As written."),
        ("open", "As written."),
    ]
    assert (found.cut, found.replaced) == ({"cut-answer"}, 2)


def test_only_rows_that_are_to_be_answered_are_asked_and_only_once(rows, tmp_path):
    model, again = Own(), Own()
    first = replay(rows, tmp_path / "j", model)
    assert len(model.asked) == len(ANSWERS)
    assert replay(rows, tmp_path / "j", again) == first
    assert again.asked == []


def test_an_answer_that_was_cut_does_not_teach_to_stop_there(rows, tmp_path):
    chat = tiny_chat()
    found = replay(rows[:2], tmp_path / "j")
    encoded = encode(found.rows, asked, chat, 1000, found.cut)
    whole, cut = ([t for t in labels if t != IGNORED] for labels in encoded.labels)
    assert (whole[-1], cut[-1] == chat.tokenizer.eos_token_id) == (
        chat.tokenizer.eos_token_id, False,
    )  # fmt: skip
    assert chat.tokenizer.decode(cut) == "Let it rest for an hour and then"
