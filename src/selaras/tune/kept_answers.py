"""The base's own answers to rows kept aside: where KL(base || tuned) is measured.

A tuning should leave these as they are. Only rows that are to be answered count: on rows that are
to be refused, moving away from the base is the aim.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Conversation, Example, Expected, Query
from selaras.core.system import Sampling
from selaras.evaluate.runner import Job, answer_rows
from selaras.models.local import LocalModel
from selaras.tune.encode import Encoded, encode

TOKENS, MOST_ROWS = 24, 64


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows that were answered, by id, and each with its answer as ids and labels."""

    rows: tuple[str, ...]
    encoded: Encoded


def answered_by(
    model: LocalModel,
    rows: Sequence[Query],
    render: Callable[[Query], Conversation],
    journal: Journal,
    progress: Progress = SILENT,
) -> Kept:
    """Return up to `MOST_ROWS` of the rows that are to be answered, with the model's own answers.

    Rows that the model fails on are left out.
    """
    chosen = some_answered(rows)
    job = Job(
        fingerprint(model.identity), model, Sampling(max_tokens=TOKENS), chosen, render
    )  # fmt: skip
    answers = answer_rows(job, journal, progress, "the base model's answers, for KL")
    shown = [
        Example(id=row.id, query=row.query, kind=row.kind, expected=row.expected,
                context=row.context, turns=row.turns, use_case=row.use_case, response=answer.text)
        for row, answer in zip(chosen, answers, strict=True)
        if answer.status == "ok"
    ]  # fmt: skip
    cut = {answer.row for answer in answers if answer.finish != "stop"}
    # No row is too long here: each was read and answered.
    encoded = encode(shown, render, model.chat, 1 << 20, cut)
    return Kept(tuple(row.id for row in shown), encoded)


def some_answered(rows: Sequence[Query]) -> list[Query]:
    """Return up to `MOST_ROWS` of the rows that are to be answered, in their order.

    They are drawn by their content: files hold one kind after the other.
    """
    asked = [row for row in rows if row.expected is Expected.ANSWER]
    drawn = sorted(range(len(asked)), key=lambda i: (asked[i].fingerprint, asked[i].id))
    return [asked[i] for i in sorted(drawn[:MOST_ROWS])]
