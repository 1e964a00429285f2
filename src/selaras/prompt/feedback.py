"""Feedback on single outputs: what was wrong, what was good, or how it should have read.

Kept beside the template as `NAME.feedback.jsonl`, one line each, appended and never edited, so that
every principle can name what it came from and every later template can be tried on all of it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from selaras.core.check import checked
from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.files import append_jsonl, read_jsonl
from selaras.core.records import Expected, Identifier, Query, Record
from selaras.judge.refusal import refusal_rules
from selaras.prompt.material import Case

FeedbackKind = Literal["critique", "kudos", "rewrite"]
LONGEST = 4000


class Feedback(Record):
    """What was said of the output of one development row under one version of a template.

    `text` is the critique or the kudos; of a `rewrite`, the response as it should have been. `by`
    is "person" or the name of the model that drafted it, `policy` what it serves.
    """

    id: Identifier
    row: Identifier
    kind: FeedbackKind
    text: str = Field(max_length=LONGEST)
    output: str = ""
    by: str = "person"
    policy: str | None = None
    template: str = ""
    at: str = ""

    @field_validator("text")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the feedback says nothing")
        return value.strip()


def feedback_path(prompt: Path) -> Path:
    """Return where the feedback on a template is kept: beside it."""
    return prompt.with_suffix(".feedback.jsonl")


def read_feedback(prompt: Path) -> tuple[Feedback, ...]:
    """Return the feedback on a template in its order; raises InputError for a wrong line."""
    path = feedback_path(prompt)
    if not path.exists():
        return ()
    found: dict[str, Feedback] = {}
    for line, value in read_jsonl(path):
        feedback = checked(Feedback, value, path=path, line=line)
        if feedback.id in found:
            raise InputError(f"the id {feedback.id!r} stands twice", path=path, line=line)
        found[feedback.id] = feedback
    return tuple(found.values())


def add_feedback(prompt: Path, feedback: Feedback) -> Feedback:
    """Append feedback under the next free id, and return it as it was written."""
    taken = {each.id for each in read_feedback(prompt)}
    number = next(n for n in range(1, len(taken) + 2) if f"f{n}" not in taken)
    named = feedback.model_copy(update={"id": f"f{number}", "at": now()})
    append_jsonl(feedback_path(prompt), [named.model_dump(mode="json", exclude_defaults=True)])
    return named


def against_expected(feedback: Feedback, row: Query) -> str | None:
    """Return why feedback asks for the opposite of what its row expects; None where it does not.

    A rule, not a model: a corrected response or praised output is looked at for a refusal.

    >>> row = Query(id="a", query="How?", expected="refuse")
    >>> against_expected(Feedback(id="f1", row="a", kind="rewrite", text="Mix the two."), row)
    'the row is to be refused, and the response that is asked for is no refusal'
    """
    wanted = {"rewrite": feedback.text, "kudos": feedback.output}.get(feedback.kind, "")
    if not wanted or row.expected is None:
        return None
    refused = refusal_rules.judge(row.query, wanted).value
    if row.expected is Expected.REFUSE and refused == "none":
        return "the row is to be refused, and the response that is asked for is no refusal"
    if row.expected is Expected.ANSWER and refused == "full":
        return "the row is to be answered, and the response that is asked for refuses"
    return None


def case_of(feedback: Feedback, row: Query) -> Case:
    """Return the case that a model is shown: the response, what was said of it, what it should be.

    >>> row = Query(id="a", query="Hi")
    >>> case_of(Feedback(id="f1", row="a", kind="critique", text="Too long."), row).found
    'The response was criticised: Too long.'
    """
    if feedback.kind == "rewrite":
        return Case(row, feedback.output, wanted=feedback.text)
    begun = {
        "critique": "The response was criticised",
        "kudos": "The response was praised, keep what earned it",
    }[feedback.kind]
    return Case(row, feedback.output, f"{begun}: {feedback.text}")


def about(feedback: Sequence[Feedback], row: str) -> tuple[Feedback, ...]:
    """Return the feedback on a row."""
    return tuple(each for each in feedback if each.row == row)
