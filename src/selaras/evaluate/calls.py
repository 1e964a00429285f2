"""Calls to a model, each finished one journalled under its key and never made again.

Endpoints and applications are called one row at a time, as many at once as the model allows. A
local model runs batches, planned from the whole list before the journal is read and journalled
whole: in bf16 the rows that share a batch change each other's greedy outputs, so a resumed run has
to batch as the first did.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.progress import Task
from selaras.core.records import Conversation
from selaras.evaluate.budget import Budget
from selaras.evaluate.paying import length_of, paid
from selaras.models.protocol import Generation, Model

# What a batch may keep in memory: some 20k tokens of keys and values.
BATCH_CHARACTERS = 80_000

Entry = Mapping[str, Any]
Found = Callable[[int, Entry], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms calls are made: a budget, and whether failed ones are made again."""

    budget: Budget = field(default_factory=Budget)
    retry_errors: bool = False


@dataclass(frozen=True, slots=True)
class Calls:
    """What is to be asked of a model, and how.

    `keys` identify the calls in the journal, `ask` asks for a list of conversations, `keep` makes
    of the reply to one call what the journal shall hold of it; an entry with a `status` of error is
    a call that failed. `most_tokens` is the longest reply.
    """

    model: Model
    ask: Callable[[Sequence[Conversation]], Iterator[Generation]]
    keep: Callable[[int, Generation], Entry]
    keys: Sequence[str]
    conversations: Sequence[Conversation] = field(repr=False)
    most_tokens: int


def make_calls(
    calls: Calls, journal: Journal, found: Found, task: Task, terms: Terms | None = None
) -> None:
    """Tell `found` what was kept of every call, from the journal where it holds it.

    Raises BudgetSpentError where the next call would pass the budget.
    """
    terms = terms or Terms()
    if calls.model.batch_size > 1:
        _by_batches(calls, journal, found, task, terms)
    else:
        _one_by_one(calls, journal, found, task, terms)
    journal.sync()


def plan_batches(lengths: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Return batches of row numbers of alike length, longest first (padding is waste).

    A batch has at most `size` rows and, with its padding, BATCH_CHARACTERS characters; a longer row
    is a batch of its own.

    >>> plan_batches([5, 50, 7, 40], 2)
    [(1, 3), (2, 0)]
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batches:
            rows = len(batches[-1]) + 1
            if rows <= size and rows * lengths[batches[-1][0]] <= BATCH_CHARACTERS:
                batches[-1].append(row)
                continue
        batches.append([row])
    return [tuple(batch) for batch in batches]


def _by_batches(calls: Calls, journal: Journal, found: Found, task: Task, terms: Terms) -> None:
    lengths = [length_of(talk) for talk in calls.conversations]
    batches = plan_batches(lengths, calls.model.batch_size)
    for done, batch in enumerate(batches):
        key = fingerprint([calls.keys[i] for i in batch])
        entry = journal.get(key)
        kept = entry["kept"] if entry is not None else None
        if kept is None or (terms.retry_errors and any(_failed(value) for value in kept)):
            if terms.budget.room([0.0] * len(batch)) < len(batch):
                raise terms.budget.spent(sum(len(rest) for rest in batches[done:]))
            kept = [{}] * len(batch)
            for generation in calls.ask([calls.conversations[i] for i in batch]):
                kept[generation.index] = calls.keep(batch[generation.index], generation)
                terms.budget.spend(0.0)
            journal.add(key, {"kept": kept})
        for i, value in zip(batch, kept, strict=True):
            found(i, value)
        task.advance(len(batch))


def _one_by_one(calls: Calls, journal: Journal, found: Found, task: Task, terms: Terms) -> None:
    todo = []
    for i, key in enumerate(calls.keys):
        entry = journal.get(key)
        if entry is None or (terms.retry_errors and _failed(entry)):
            todo.append(i)
        else:
            found(i, entry)
            task.advance()
    talks = [calls.conversations[i] for i in todo]
    for generation in paid(calls.ask, talks, calls.model, terms.budget, calls.most_tokens):
        number = todo[generation.index]
        entry = calls.keep(number, generation)
        journal.add(calls.keys[number], entry)
        found(number, entry)
        task.advance()


def _failed(entry: Entry) -> bool:
    return entry.get("status") == "error"
