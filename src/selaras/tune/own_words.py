"""Replay: what the base model itself answers where it should go on answering.

Hand-written answers begin in many ways and flatten the distribution of first tokens, while refusals
begin in a few: after a short tuning the likeliest beginning of *any* response is then a refusal.
The base model's own answers keep its distribution where nothing is to change, so that the tuning
moves only what it should (self-distillation; compare replay against forgetting, 2309.07875).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Conversation, Example, Expected, Query
from selaras.core.system import Sampling
from selaras.evaluate.runner import Job, answer_rows
from selaras.judge import Judge
from selaras.models.protocol import Model

REPLAY_TOKENS = 24
OWN_WORDS = "own_words.jsonl"  # the journal, in the run's folder


@dataclass(frozen=True, slots=True)
class Replay:
    """Training rows, those of `own` with the model's own answer; `cut` ends in mid-sentence."""

    rows: tuple[Example, ...]
    cut: frozenset[str]
    own: frozenset[str]

    @property
    def replaced(self) -> int:
        """How many rows have the model's own answer."""
        return len(self.own)


def in_own_words(
    rows: Sequence[Example],
    model: Model,
    render: Callable[[Query], Conversation],
    judge: Judge,
    journal: Journal,
    progress: Progress = SILENT,
) -> Replay:
    """Return the rows with the model's own greedy answer where the product should answer.

    A row that the model itself does not answer (it refuses, or fails) keeps its written response,
    as do refusals and safe completions.
    """
    chosen = [row for row in rows if row.expected is Expected.ANSWER]
    sampling = Sampling(max_tokens=REPLAY_TOKENS)
    job = Job(fingerprint(model.identity), model, sampling, chosen, render)
    answers = answer_rows(job, journal, progress, "the base model's own answers")
    own = {
        row.id: answer
        for row, answer in zip(chosen, answers, strict=True)
        if answer.status == "ok" and judge.judge(row.query, answer.text).value == "none"
    }
    return Replay(
        tuple(
            row.model_copy(update={"response": own[row.id].text}) if row.id in own else row
            for row in rows
        ),
        frozenset(name for name, answer in own.items() if answer.finish != "stop"),
        frozenset(own),
    )
