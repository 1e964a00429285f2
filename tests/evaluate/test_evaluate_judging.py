"""Judging through a model: every way a judge answers, killed and resumed, with nothing leaked."""

import json
import math

import pytest

from selaras.core.journal import Journal
from selaras.core.progress import SILENT
from selaras.core.records import Query
from selaras.evaluate.asking import Asked, ask
from selaras.evaluate.calls import Terms
from selaras.judge.question import Question
from selaras.models.protocol import Generation

LABELS = ("Yes", "No")
ROW = Query(id="r", query="What is the sealed recipe?")


class Talker:
    """Says the next text of its script; a word wave exists where `words` are given."""

    batch_size = 1

    def __init__(self, *texts, batch_size=1):
        self.batch_size = batch_size
        self.texts, self.asked = list(texts), []
        self.identity = {"name": "talker"}

    def generate(self, conversations, sampling):
        for index, talk in enumerate(conversations):
            self.asked.append(talk)
            yield self.made(index, self.texts.pop(0))

    def made(self, index, text):
        if isinstance(text, Exception):
            return Generation(index, "", "error", error=str(text))
        return Generation(index, text)


class Weigher(Talker):
    """Gives P(Yes) first."""

    def __init__(self, p, *texts):
        super().__init__(*texts)
        self.p = p

    def first_tokens(self, conversations):
        for index, talk in enumerate(conversations):
            self.asked.append(talk)
            pairs = (("Yes", math.log(self.p)), ("No", math.log(0.9 - self.p)))
            yield Generation(index, "Yes", first=pairs)


def put(model, journal, count=1, terms=None):
    asked = [Asked(ROW, Question(f"Number {n}?", LABELS)) for n in range(count)]
    return ask(model, asked, journal, terms or Terms(), SILENT, "judging")


def test_probabilities_are_enough(tmp_path):
    (reply,) = put(model := Weigher(0.6), Journal(tmp_path / "j"))
    assert reply.label == "Yes"
    assert reply.shares[0] == pytest.approx(2 / 3)
    assert len(model.asked) == 1


def test_a_model_without_probabilities_is_asked_for_json(tmp_path):
    model = Talker('{"answer": "No"}')
    (reply,) = put(model, Journal(tmp_path / "j"))
    assert (reply.label, reply.shares) == ("No", ())


def test_prose_is_asked_once_more_and_no_further(tmp_path):
    model = Talker("Well, it depends.", '{"answer": "Yes"}')
    assert put(model, Journal(tmp_path / "a"))[0].label == "Yes"
    assert model.asked[1][1].content == "Well, it depends."
    stubborn = Talker("Well, it depends.", "It still depends.", '{"answer": "Yes"}')
    (reply,) = put(stubborn, Journal(tmp_path / "b"))
    assert (reply.label, reply.status) == (None, "unscored")
    assert len(stubborn.asked) == 2
    refusing = Talker("I can't help with that.", "I'm sorry, but I can't assist with that.")
    assert "refused" in put(refusing, Journal(tmp_path / "c"))[0].reason


def test_a_failed_call_is_an_error_that_a_retry_mends(tmp_path):
    path = tmp_path / "j"
    (reply,) = put(Talker(RuntimeError("HTTP 500: down")), Journal(path))
    assert (reply.status, reply.reason) == ("error", "HTTP 500: down")
    assert put(Talker(), Journal(path)) == [reply]
    mended = put(Talker('{"answer": "No"}'), Journal(path), terms=Terms(retry_errors=True))
    assert mended[0].label == "No"


def test_an_empty_answer_is_prose_too(tmp_path):
    model = Talker(RuntimeError("the answer is empty"), '{"answer": "No"}')
    assert put(model, Journal(tmp_path / "j"))[0].label == "No"


@pytest.mark.parametrize("cut", range(6))
def test_a_killed_judging_asks_nothing_twice(tmp_path, cut):
    script = [
        '{"answer": "No"}',
        "prose",
        '{"answer": "Yes"}',
        "prose",
        "prose",
        '{"answer": "No"}',
    ]
    whole = Talker(*script)
    expected = put(whole, Journal(tmp_path / "whole"), 4)
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    assert len(lines) == 6
    (tmp_path / "j").write_text("".join(lines[:cut]) + '{"key": "torn')
    again = Talker(*script[cut:])
    assert put(again, Journal(tmp_path / "j"), 4) == expected
    assert len(again.asked) == 6 - cut


def test_neither_question_nor_the_judges_quotation_of_it_is_in_the_journal(tmp_path):
    put(Talker("You ask: what is the SEALED recipe?", "sealed!"), Journal(tmp_path / "j"))
    text = (tmp_path / "j").read_text()
    assert "sealed" not in text.casefold()
    assert all(json.loads(line)["key"] for line in text.splitlines())
