"""The rows that everything else is about: queries, SFT examples, preferences.

Each is a frozen pydantic model: it is checked where it enters (a file, an endpoint) and cannot
change afterwards. Policy, use case and the other metadata travel with the row for audits, splits
and figures, and are dropped before training.
"""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from selaras.core.fingerprint import fingerprint, normalise

Identifier = Annotated[str, StringConstraints(pattern=r"^[\w][\w.:+-]{0,127}$")]
Role = Literal["system", "user", "assistant"]
# Who wrote a row: a person of the project, a model, or the authors of a public set.
Origin = Literal["person", "model", "public"]


class Kind(StrEnum):
    """What a query is to the policies, whatever it looks like."""

    ORDINARY = "ordinary"
    LOOK_ALIKE = "look_alike"
    INADVERTENT = "inadvertent"
    MALICIOUS = "malicious"


class Expected(StrEnum):
    """What the product should do with a query."""

    ANSWER = "answer"
    SAFE_COMPLETION = "safe_completion"
    REFUSE = "refuse"


class Record(BaseModel):
    """A frozen model that knows no field but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Message(Record):
    """One turn, as in HF `messages`."""

    role: Role
    content: str


Conversation = tuple[Message, ...]


class Making(Record):
    """How a model wrote a row: which one, under which instructions (their hash), for which cell."""

    model: str
    prompt: str
    cell: str = ""


class Query(Record):
    """A query without a response, with what is known of it.

    `context` holds the values of a template's other variables ({"article": "…"}); `turns` the
    messages before the query. `cluster` names the rows that must stay on one side of a split (a
    malicious row and its look-alike, paraphrases of one seed); `topic` what the row is about or how
    it is made, so that a topic can be left out of development. `licence` and `source` travel with
    the row; `parents` are the ids of the rows it was made from. `origin` is who wrote it, which
    decides how much of it people review, and `made` how, where a model did.
    """

    record: ClassVar[str] = "query"

    id: Identifier
    query: str = Field(min_length=1)
    kind: Kind = Kind.ORDINARY
    expected: Expected | None = None
    policies: tuple[str, ...] = ()
    use_case: str | None = None
    context: dict[str, str] = Field(default_factory=dict)
    turns: Conversation = ()
    source: str | None = None
    licence: str | None = None
    parents: tuple[str, ...] = ()
    cluster: str | None = None
    topic: str | None = None
    origin: Origin = "person"
    made: Making | None = None

    @field_validator("query")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the query is empty")
        return value

    @property
    def fingerprint(self) -> str:
        """Identity of the row's content; metadata that a person may mend is not part of it."""
        return fingerprint([self.record, *self._content()])

    @property
    def query_key(self) -> str:
        """Normal form of all that the user gives (earlier turns, query, variables)."""
        parts = [turn.content for turn in self.turns] + [self.query]
        return normalise("\n".join(parts + [self.context[name] for name in sorted(self.context)]))

    def _content(self) -> list[Any]:
        turns = [[turn.role, turn.content] for turn in self.turns]
        return [turns, self.query, dict(sorted(self.context.items()))]


class Example(Query):
    """An SFT row: a query and one response, labelled safe or unsafe."""

    record: ClassVar[str] = "example"

    response: str = ""
    response_label: Literal["safe", "unsafe"] | None = None

    def _content(self) -> list[Any]:
        return [*super()._content(), self.response]


class Preference(Query):
    """An RL row: a query, two responses and which is better (`tie` where neither is).

    `label_a` and `label_b` say which side keeps the policies, where that is known: the better of
    two may be unsafe, the worse of two safe.
    """

    record: ClassVar[str] = "preference"

    response_a: str = Field(min_length=1)
    response_b: str = Field(min_length=1)
    best: Literal["a", "b", "tie"]
    label_a: Literal["safe", "unsafe"] | None = None
    label_b: Literal["safe", "unsafe"] | None = None

    def _content(self) -> list[Any]:
        return [*super()._content(), self.response_a, self.response_b]


RECORDS: dict[str, type[Query]] = {model.record: model for model in (Query, Example, Preference)}
