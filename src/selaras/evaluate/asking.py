"""Closed questions to a judge's model: a word, JSON, JSON once more, then `unscored`.

The journal keeps labels, shares and reasons. What the model said is kept only where it could not be
read, without the words of the row: it may have quoted a sealed query.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.progress import Progress
from selaras.core.records import Conversation, Query
from selaras.core.system import Sampling
from selaras.evaluate.calls import Calls, Terms, make_calls
from selaras.evaluate.runner import without_words_of
from selaras.judge.question import JSON_TOKENS, Question, Reply, read_first, read_json, unread
from selaras.models.answer import EMPTY
from selaras.models.protocol import FirstTokens, Generation, Model

LONGEST_SAID = 300
Wave = Literal["word", "json", "again"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the row that it is about."""

    row: Query = field(repr=False)
    question: Question = field(repr=False)


def ask(
    model: Model, asked: Sequence[Asked], journal: Journal, terms: Terms,
    progress: Progress, title: str,
) -> list[Reply]:  # fmt: skip
    """Return the reply to each question, in their order; at most three calls each."""
    found: dict[int, Reply] = {}
    said: dict[int, str] = {}
    first: tuple[Wave, ...] = ("word",) if isinstance(model, FirstTokens) else ()
    for wave in (*first, "json", "again"):
        left = [i for i in range(len(asked)) if i not in found]
        if not left:
            break
        with progress.task(title, len(left)) as task:
            calls = _calls(model, wave, [asked[i] for i in left], [said.get(i, "") for i in left])
            make_calls(calls, journal, partial(_note, left, found, said), task, terms)
    return [found.get(i) or unread(said.get(i, "")) for i in range(len(asked))]


def _calls(model: Any, wave: Wave, asked: Sequence[Asked], said: Sequence[str]) -> Calls:
    talks = [
        _conversation(wave, each.question, text) for each, text in zip(asked, said, strict=True)
    ]
    put: Callable[[Sequence[Conversation]], Iterator[Generation]] = (
        model.first_tokens
        if wave == "word"
        else partial(model.generate, sampling=Sampling(max_tokens=JSON_TOKENS))
    )
    return Calls(
        model=model,
        ask=put,
        keep=lambda i, generation: _entry(wave, asked[i], generation),
        keys=[_key(model, wave, talk) for talk in talks],
        conversations=talks,
        most_tokens=1 if wave == "word" else JSON_TOKENS,
    )


def _conversation(wave: Wave, question: Question, said: str) -> Conversation:
    if wave == "word":
        return question.in_a_word()
    return question.in_json() if wave == "json" else question.again(said)


def _key(model: Model, wave: Wave, talk: Conversation) -> str:
    messages = [[message.role, message.content] for message in talk]
    return fingerprint(["judge", model.identity, wave, messages])


def _entry(wave: Wave, asked: Asked, generation: Generation) -> dict[str, Any]:
    """Return what the journal keeps of a reply."""
    error = generation.error if generation.status == "error" else None
    if error is not None and not error.startswith(EMPTY):
        return {"status": "error", "error": without_words_of(asked.row, error)}
    labels = asked.question.labels
    if wave == "word":
        reply = read_first(labels, generation)
        if reply is not None and reply.label is not None:
            return {"status": "ok", "label": reply.label, "shares": list(reply.shares)}
    elif label := read_json(labels, generation.text):
        return {"status": "ok", "label": label, "shares": []}
    said = generation.text[:LONGEST_SAID]
    return {"status": "ok", "label": None, "said": without_words_of(asked.row, said)}


def _note(
    left: Sequence[int], found: dict[int, Reply], said: dict[int, str],
    number: int, entry: Mapping[str, Any],
) -> None:  # fmt: skip
    i = left[number]
    if entry["status"] == "error":
        found[i] = Reply(None, status="error", reason=entry["error"])
    elif entry["label"] is not None:
        found[i] = Reply(entry["label"], tuple(entry["shares"]))
    else:
        said[i] = str(entry["said"])
