"""Answering rows in planned batches, each journalled whole.

The plan is made from the whole row list before the journal is read: in bf16 the rows that share a
batch change each other's greedy outputs, so a resumed run has to batch as the first did.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress, Task
from selaras.core.records import Conversation, Query
from selaras.core.system import Sampling
from selaras.models.protocol import Generation, Model

# Endpoints answer in their own order; this many calls are handed over at once.
WINDOW = 64
_WORD = re.compile(r"\w{4,}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A System's response to a row, or the reason why there is none."""

    row: str
    text: str
    status: str
    finish: str
    prompt_tokens: int
    tokens: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Rows to answer by one System. `render` turns a row into messages."""

    system: str
    model: Model
    sampling: Sampling
    rows: Sequence[Query] = field(repr=False)
    render: Callable[[Query], Conversation]


def plan_batches(lengths: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Return batches of row numbers of alike length, longest first (padding is waste).

    >>> plan_batches([5, 50, 7, 40], 2)
    [(1, 3), (2, 0)]
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    return [tuple(order[i : i + size]) for i in range(0, len(order), size)]


def answer_rows(
    job: Job, journal: Journal, progress: Progress = SILENT, title: str = "answering"
) -> list[Answer]:
    """Return the answers in the order of the rows; those that the journal holds are not repeated.

    A row that fails is an answer with status `error`; the journal keeps it as such.
    """
    conversations = [job.render(row) for row in job.rows]
    lengths = [sum(len(message.content) for message in talk) for talk in conversations]
    answers: dict[int, Answer] = {}
    with progress.task(title, len(job.rows)) as task:
        if job.model.batch_size > 1:
            for batch in plan_batches(lengths, job.model.batch_size):
                _answer_batch(job, conversations, batch, journal, answers)
                task.advance(len(batch))
        else:
            _answer_each(job, conversations, journal, answers, task)
    return [answers[i] for i in range(len(job.rows))]


def _answer_batch(
    job: Job,
    conversations: Sequence[Conversation],
    batch: tuple[int, ...],
    journal: Journal,
    answers: dict[int, Answer],
) -> None:
    key = fingerprint([job.system, [[job.rows[i].id, job.rows[i].fingerprint] for i in batch]])
    entry = journal.get(key)
    if entry is None:
        made = job.model.generate([conversations[i] for i in batch], job.sampling)
        found = [_answer(job.rows[batch[g.index]], g) for g in made]
        journal.add(key, {"answers": [asdict(answer) for answer in found]})
        entry = {"answers": [asdict(answer) for answer in found]}
    numbers = {job.rows[i].id: i for i in batch}
    for value in entry["answers"]:
        answers[numbers[value["row"]]] = _read(value)


def _answer_each(
    job: Job,
    conversations: Sequence[Conversation],
    journal: Journal,
    answers: dict[int, Answer],
    task: Task,
) -> None:
    todo = []
    for i, row in enumerate(job.rows):
        entry = journal.get(_key(job, row))
        if entry is None:
            todo.append(i)
        else:
            answers[i] = _read(entry["answer"])
            task.advance()
    for start in range(0, len(todo), WINDOW):
        window = todo[start : start + WINDOW]
        for generation in job.model.generate([conversations[i] for i in window], job.sampling):
            number = window[generation.index]
            answer = _answer(job.rows[number], generation)
            journal.add(_key(job, job.rows[number]), {"answer": asdict(answer)})
            answers[number] = answer
            task.advance()


def _key(job: Job, row: Query) -> str:
    return fingerprint([job.system, row.id, row.fingerprint])


def _answer(row: Query, generation: Generation) -> Answer:
    return Answer(
        row.id, generation.text, generation.status, generation.finish,
        generation.prompt_tokens, generation.tokens, _without_words_of(row, generation.error),
    )  # fmt: skip


def _without_words_of(row: Query, error: str | None) -> str | None:
    """Return the reason without words of the row: applications quote what they were asked."""
    if error is None:
        return None
    given = [row.query, *row.context.values(), *(turn.content for turn in row.turns)]
    words = set(_WORD.findall(" ".join(given).casefold()))
    return _WORD.sub(lambda m: "…" if m.group().casefold() in words else m.group(), error)


def _read(value: Mapping[str, Any]) -> Answer:
    return Answer(**value)
