"""A model that answers from a function and counts what it is asked, in every way models differ."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from selaras.core.records import Conversation, Message, Query
from selaras.core.system import Sampling
from selaras.models.protocol import CandidateScores, Choice, Generation


class Counting:
    """Answers with the text in capitals, in reverse order; a text with "fail" is an error.

    `batches` holds the texts of every call; `dies_at` is the number of the answer before which
    the process would be killed.
    """

    def __init__(self, batch_size: int = 1, dies_at: int | None = None) -> None:
        self.batch_size, self.dies_at = batch_size, dies_at
        self.batches: list[list[str]] = []
        self.answered: list[str] = []
        self.identity = {"name": "counting"}

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        texts = [conversation[-1].content for conversation in conversations]
        self.batches.append(texts)
        for index in reversed(range(len(texts))):
            if self.dies_at is not None and len(self.answered) >= self.dies_at:
                raise KeyboardInterrupt
            self.answered.append(texts[index])
            if "fail" in texts[index]:
                yield Generation(index, "", "error", error="it failed")
            else:
                yield Generation(index, texts[index].upper(), "ok", "stop", 3, 2)


class Scoring(Counting):
    """Finds the longest candidate the likeliest, and counts its choices."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.scored: list[str] = []

    def score(self, choices: Sequence[Choice]) -> Iterator[CandidateScores]:
        for index in reversed(range(len(choices))):
            self.scored.append(choices[index].conversation[-1].content)
            lengths = tuple(float(len(text)) for text in choices[index].candidates)
            yield CandidateScores(index, lengths, tuple(int(n) for n in lengths))


@pytest.fixture
def counting() -> type[Counting]:
    return Counting


@pytest.fixture
def scoring() -> type[Scoring]:
    return Scoring


@pytest.fixture
def asked() -> Callable[[Query], Conversation]:
    """Return what turns a row into a conversation of its query alone."""
    return lambda row: (Message(role="user", content=row.query),)
