"""What a rater is asked: the kinds of task, their choices and keys, and which answers are whole.

A task is a frozen description; the page draws it, the store checks answers against it, the export
knows by `axis` what an answer means elsewhere. Adding a kind is one entry in `TASKS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from selaras.core.errors import InputError
from selaras.core.records import Conversation, Record

CANNOT_JUDGE = "cannot_judge"
LONGEST_NOTE = 4_000
LONGEST_TEXT = 2_000_000

Side = Literal["response", "response_a", "response_b"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One button: what is stored, and the key that presses it."""

    value: str
    key: str


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of question.

    `sides` are the responses that an item shows; `writes` names the value with which an edited text
    has to come; `ordered` says that the choices, in their order, are a scale; `axis` names what a
    judge of the same calls it. `seconds` is what a decision takes beside the reading, in seconds.
    """

    name: str
    choices: tuple[Choice, ...]
    sides: tuple[Side, ...]
    seconds: float
    axis: str | None = None
    writes: str | None = None
    ordered: bool = False
    flags: bool = False

    @property
    def values(self) -> tuple[str, ...]:
        """The values that decide something: all but `cannot_judge`."""
        return tuple(choice.value for choice in self.choices if choice.value != CANNOT_JUDGE)


_NONE = Choice(CANNOT_JUDGE, "c")

# Seconds beside reading are what a practised rater takes; a batch that has votes uses their median.
TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("harm", (Choice("safe", "s"), Choice("unsafe", "u"), _NONE), ("response",), 6.0,
             axis="response_harm"),
        Task("refusal", (Choice("full", "1"), Choice("partial", "2"), Choice("none", "3"), _NONE),
             ("response",), 5.0, axis="refusal", ordered=True),
        Task("preference", (Choice("a", "1"), Choice("b", "2"), Choice("tie", "0"),
                            Choice("both_bad", "9"), _NONE),
             ("response_a", "response_b"), 10.0, flags=True),
        Task("correction", (Choice("fine", "f"), Choice("corrected", "s"), _NONE),
             ("response",), 60.0, writes="corrected"),
        Task("review", (Choice("approve", "a"), Choice("edited", "s"), Choice("reject", "r"),
                        _NONE),
             (), 12.0, writes="edited"),
    )
}  # fmt: skip


class Answer(Record):
    """What a rater says of one item.

    `flags` maps a side ("a", "b") to the reason why it breaks a policy. `text` is the corrected
    response, or the edited row as JSON.
    """

    value: str
    flags: dict[Literal["a", "b"], str] = Field(default_factory=dict)
    note: str = Field(default="", max_length=LONGEST_NOTE)
    text: str | None = Field(default=None, max_length=LONGEST_TEXT)


class Content(Record):
    """What an item shows: a query with its turns and variables, and the responses of its task.

    A sealed row is only named (`held_out`): its text is read from the hold-out when it is shown,
    and stands in no database. `draft` is a drafted row that waits for review.
    """

    row: str = Field(min_length=1, max_length=400)
    query: str | None = None
    turns: Conversation = ()
    context: dict[str, str] = Field(default_factory=dict)
    response: str | None = None
    response_a: str | None = None
    response_b: str | None = None
    policies: tuple[str, ...] = ()
    system: str | None = None
    systems: tuple[str, ...] = ()
    held_out: bool = False
    draft: dict[str, Any] | None = None
    source: dict[str, Any] = Field(default_factory=dict)


def task_named(name: str) -> Task:
    """Return the task of that name; raises InputError with the names there are."""
    if name not in TASKS:
        raise InputError(f"no task {name!r}", field="task", fix=f"use one of: {', '.join(TASKS)}")
    return TASKS[name]


def check_content(task: Task, content: Content) -> None:
    """Raise InputError where an item does not show what its task asks about."""
    for side in task.sides:
        if not getattr(content, side):
            raise InputError(
                f"item {content.row!r}: a {task.name} task needs it", field=side,
                fix="give the response, or choose another task",
            )  # fmt: skip
    if task.name == "review":
        if content.draft is None:
            raise InputError(f"item {content.row!r}: a review needs a drafted row", field="draft")
    elif not content.held_out and not content.query:
        raise InputError(f"item {content.row!r}: there is no query", field="query")
    if content.held_out and (content.query or content.context or content.turns):
        raise InputError(f"item {content.row!r}: a sealed row is named, its text is not stored")
    if content.held_out and task.writes:
        raise InputError(
            f"item {content.row!r} is sealed: its responses are judged, not rewritten",
            fix="choose development rows for this task",
        )


def check_answer(task: Task, answer: Answer) -> Answer:
    """Return the answer in its normal form; raises InputError where it is not whole."""
    if answer.value not in {choice.value for choice in task.choices}:
        raise InputError(
            f"{answer.value[:40]!r} is no answer to a {task.name} task", field="value",
            fix=f"use one of: {', '.join(choice.value for choice in task.choices)}",
        )  # fmt: skip
    if answer.flags and not task.flags:
        raise InputError(f"a {task.name} task flags no side", field="flags")
    for side, reason in answer.flags.items():
        if not reason.strip():
            raise InputError(
                "a flag without its reason", field=f"flags.{side}",
                fix="write which rule the response breaks, and where",
            )  # fmt: skip
        if len(reason) > LONGEST_NOTE:
            raise InputError(f"a reason of more than {LONGEST_NOTE} characters", field="flags")
    if answer.value == task.writes and not (answer.text or "").strip():
        raise InputError(
            "the edited text is missing", field="text", fix="write it, or choose again"
        )
    # PostgreSQL's text holds no zero character.
    text = (answer.text or "").replace("\0", "") if answer.value == task.writes else None
    flags = {side: reason.replace("\0", "").strip() for side, reason in answer.flags.items()}
    note = answer.note.replace("\0", "").strip()
    return answer.model_copy(update={"text": text, "note": note, "flags": flags})
