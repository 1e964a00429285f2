"""A batch: what is rated, how often and by whom, and what that will take before anybody begins.

Quotas say how many ratings each group of raters gives an item; what `overlap` leaves over is open
to everybody. Gold items are asked of every rater among the others, own earlier items come a second
time (hidden repeats), and a qualification asks gold items first.
"""

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from selaras.core.records import Identifier, Record
from selaras.rating.tasks import TASKS, Content, Task

Share = Annotated[float, Field(ge=0, le=0.5)]
Language = Literal["en", "id"]

# Brysbaert (2019), J. Mem. Lang. 109:104047: silent reading of English non-fiction, words a minute.
WORDS_A_MINUTE = 238.0
# A group is told apart from others in an output only where it has this many raters or more.
LEAST_RATERS = 5
_WORD = re.compile(r"\w+")


class BatchSpec(Record):
    """What the person who opens a batch decides.

    `group_by` names a field of the raters' background and `quotas` how many ratings of each item
    its values give ("woman": 2). `repeats` and `gold` are shares of a rater's items.
    `qualification` is the number of gold items that come first, of which `pass_share` must be
    right. `most` bounds what one rater may rate, `places` how many join by the batch's own link;
    `completion` is the code that a crowd platform expects: one for each rater where it is empty.
    `minimum_seconds` is the time under which a vote counts as hasty; 0 takes a third of what
    reading takes. `break_after` is in minutes, `least_raters` the smallest group that is reported.
    """

    id: Identifier
    title: str = Field(min_length=1, max_length=200)
    task: str
    overlap: int = Field(default=3, ge=1, le=50)
    group_by: str | None = None
    quotas: dict[str, Annotated[int, Field(ge=1, le=50)]] = Field(default_factory=dict)
    repeats: Share = 0.05
    gold: Share = 0.05
    qualification: int = Field(default=0, ge=0, le=100)
    pass_share: float = Field(default=0.7, ge=0, le=1)
    most: int | None = Field(default=None, ge=1)
    places: int = Field(default=0, ge=0, le=100_000)
    completion: str = Field(default="", max_length=100)
    language: Language = "en"
    warning: str = Field(default="", max_length=2_000)
    blur: bool = True
    minimum_seconds: float = Field(default=0.0, ge=0, le=600)
    break_after: int = Field(default=40, ge=5, le=240)
    least_raters: int = Field(default=LEAST_RATERS, ge=2, le=100)
    seed: int = 0

    @field_validator("task")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in TASKS:
            raise ValueError(f"no task of that name; there are {', '.join(TASKS)}")
        return value

    @model_validator(mode="after")
    def _adds_up(self) -> "BatchSpec":
        if self.quotas and not self.group_by:
            raise ValueError("quotas need group_by: the background field that they are about")
        if sum(self.quotas.values()) > self.overlap:
            raise ValueError("the quotas ask for more ratings than overlap")
        return self

    @property
    def needs(self) -> dict[str, int]:
        """Ratings of one item by group; the group "" is open to everybody."""
        rest = self.overlap - sum(self.quotas.values())
        return {**self.quotas, **({"": rest} if rest else {})}


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a batch will take. `seconds` are for one vote; hours are of all raters together.

    `measured` says whether the seconds are the median of votes that were given, or reading time at
    238 words a minute and the task's own seconds.
    """

    items: int
    votes: int
    extra_votes: int
    seconds: float
    hours: float
    raters: int
    measured: bool


def forecast(
    spec: BatchSpec,
    contents: Sequence[Content],
    measured: Sequence[float] = (),
    hours_each: float = 1.5,
) -> Forecast:
    """Return the rater hours of a batch, and how many raters give them at `hours_each`.

    `measured` are the seconds of earlier votes of the same task; at least 30 take the place of the
    reading time. Extra votes are repeats, gold and the qualification.
    """
    task = TASKS[spec.task]
    base = len(contents) * spec.overlap
    known = len(measured) >= 30
    each = statistics.median(measured) if known else _typical(task, contents)
    regular = 1 - spec.repeats - spec.gold
    asked = base / regular if regular > 0 else base * 2.0
    hours = asked * each / 3600
    raters = max(spec.overlap, math.ceil(hours / hours_each)) if contents else 0
    if spec.most:
        raters = max(raters, math.ceil(asked / spec.most))
    votes = math.ceil(asked) + raters * spec.qualification
    return Forecast(
        items=len(contents), votes=votes, extra_votes=votes - base, seconds=round(each, 1),
        hours=round(votes * each / 3600, 2), raters=raters, measured=known,
    )  # fmt: skip


def expected_seconds(task: Task, content: Content) -> float:
    """Return the reading time of an item plus the task's own seconds."""
    return reading_seconds(content) + task.seconds


def reading_seconds(content: Content) -> float:
    """Return how long an item takes to read at 238 words a minute; its query once.

    >>> round(reading_seconds(Content(row="r", query="word " * 238)))
    60
    """
    texts = [content.query, content.response, content.response_a, content.response_b]
    texts += [turn.content for turn in content.turns] + list(content.context.values())
    texts += [value for value in (content.draft or {}).values() if isinstance(value, str)]
    words = sum(len(_WORD.findall(text)) for text in texts if text)
    return words / WORDS_A_MINUTE * 60


def hasty_under(spec: BatchSpec, content: Content) -> float:
    """Return the seconds under which a vote on an item counts as hasty.

    A second at least; a third of the reading time where the batch sets none, at most 20 seconds,
    since practised raters skim and long responses are decided early.
    """
    return spec.minimum_seconds or max(1.0, min(20.0, reading_seconds(content) / 3))


def _typical(task: Task, contents: Sequence[Content]) -> float:
    if not contents:
        return task.seconds
    return statistics.mean(expected_seconds(task, content) for content in contents)
