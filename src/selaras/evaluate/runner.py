"""Answering rows: a System's response to each, or the reason why there is none."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Conversation, Query
from selaras.core.system import Sampling
from selaras.evaluate.calls import Calls, Terms, make_calls
from selaras.models.protocol import Generation, Model

_WORD = re.compile(r"\w{4,}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A System's response to a row, or the reason why there is none.

    `served` is the model that an endpoint says answered, where it is not the one that was asked;
    `guard` what a guard decided (`action`, `side`, `policy`, `stage`, `score`), where there is one.
    """

    row: str
    text: str
    status: str
    finish: str
    prompt_tokens: int
    tokens: int
    error: str | None = None
    served: str | None = None
    guard: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Rows to answer by one System. `render` turns a row into messages.

    `until` is where an answer ends though the model goes on (the next example of a raw prefix).
    """

    system: str
    model: Model
    sampling: Sampling
    rows: Sequence[Query] = field(repr=False)
    render: Callable[[Query], Conversation]
    until: str | None = None


def answer_rows(
    job: Job,
    journal: Journal,
    progress: Progress = SILENT,
    title: str = "answering",
    terms: Terms | None = None,
) -> list[Answer]:
    """Return the answers in the order of the rows; those that the journal holds are not repeated.

    A row that fails is an answer with status `error`; the journal keeps it as such, and only
    `terms.retry_errors` asks it again.
    """
    answers: dict[int, Answer] = {}

    def keep(number: int, generation: Generation) -> Mapping[str, Any]:
        return asdict(answer_of(job.rows[number], ended(generation, job.until)))

    def found(number: int, entry: Mapping[str, Any]) -> None:
        answers[number] = Answer(**entry)

    calls = Calls(
        model=job.model,
        ask=partial(job.model.generate, sampling=job.sampling),
        keep=keep,
        keys=[fingerprint([job.system, row.id, row.fingerprint]) for row in job.rows],
        conversations=[job.render(row) for row in job.rows],
        most_tokens=job.sampling.max_tokens,
    )
    with progress.task(title, len(job.rows)) as task:
        make_calls(calls, journal, found, task, terms)
    return [answers[i] for i in range(len(job.rows))]


def ended(generation: Generation, until: str | None) -> Generation:
    """Return the generation cut where its text begins with or reaches `until`.

    >>> ended(Generation(0, "Moss.\\n\\nArticle: Rain", finish="length"), "\\nArticle:").text
    'Moss.'
    """
    place = f"\n{generation.text}".find(until) if until else -1
    if place < 0:
        return generation
    return replace(generation, text=generation.text[: max(0, place - 1)].rstrip(), finish="stop")


def answer_of(row: Query, generation: Generation) -> Answer:
    """Return a generation as the answer to a row."""
    return Answer(
        row.id, generation.text, generation.status, generation.finish, generation.prompt_tokens,
        generation.tokens, without_words_of(row, generation.error), generation.served,
        generation.guard,
    )  # fmt: skip


def without_words_of(row: Query, text: str | None) -> str | None:
    """Return the text without words of the row: applications and judges quote what they are asked.

    >>> without_words_of(Query(id="a", query="My secret"), "cannot parse 'my secret'")
    "cannot parse 'my …'"
    """
    if text is None:
        return None
    given = [row.query, *row.context.values(), *(turn.content for turn in row.turns)]
    words = set(_WORD.findall(" ".join(given).casefold()))
    return _WORD.sub(lambda m: "…" if m.group().casefold() in words else m.group(), text)
