"""The front matter of a `.prompt` file: what dotprompt knows, and the block for our own stages."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator

from selaras.core.records import Identifier, Record
from selaras.core.system import Sampling

Form = Literal["chat", "raw"]
PrincipleStatus = Literal["active", "edited", "deleted"]
Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Principle(Record):
    """A rule in words, learnt from feedback and compiled into the template's principles block.

    `feedback` names the feedback it came from, `policy` what it serves. An `edited` one was changed
    by hand or by a later edit; a `deleted` one stays on record and says nothing to the model.
    """

    id: Identifier
    text: Said
    feedback: tuple[str, ...] = ()
    policy: str | None = None
    status: PrincipleStatus = "active"

    @property
    def holds(self) -> bool:
        """Whether the model is told it."""
        return self.status != "deleted"


class ExampleSource(Record):
    """The few-shot examples: development rows by id, and values written here."""

    rows: tuple[Identifier, ...] = ()
    inline: tuple[dict[str, str], ...] = ()


class SelarasBlock(Record):
    """What our own stages keep in a template.

    `frozen` holds exact texts that must stay in the body, by name; `{{! frozen:NAME }}` marks them
    in the body itself. `parent` is the content hash of the version that this one came from.
    """

    form: Form = "chat"
    policies: tuple[str, ...] = ()
    principles: tuple[Principle, ...] = ()
    frozen: dict[Identifier, str] = Field(default_factory=dict)
    examples: ExampleSource = ExampleSource()
    budget_tokens: int | None = Field(default=None, ge=1)
    parent: str | None = None

    @field_validator("principles")
    @classmethod
    def _told_apart(cls, value: tuple[Principle, ...]) -> tuple[Principle, ...]:
        ids = [principle.id for principle in value]
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"two principles have the id '{name}'")
        return value

    @field_validator("frozen")
    @classmethod
    def _frozen_text(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not text.strip():
                raise ValueError(f"the frozen span '{name}' says nothing")
        return value


class InputSpec(Record):
    """The variables: `schema` names them (Picoschema or JSON Schema), `default` fills them."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    fields: dict[str, Any] = Field(default_factory=dict, alias="schema")
    default: dict[str, str] = Field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The declared variables (`topic?` and `topic, what it is about` are dotprompt's)."""
        if self.fields.get("type") == "object" and isinstance(self.fields.get("properties"), dict):
            return frozenset(self.fields["properties"])
        return frozenset(name.split("(")[0].split(",")[0].rstrip("?") for name in self.fields)


class FrontMatter(Record):
    """The front matter that Selaras understands.

    `model` names what the prompt was written for: a System may run it on another, which is said.
    `config` is the sampling where the System sets none. `output` is what a reply has to look like.
    """

    name: str | None = None
    description: str | None = None
    model: str | None = None
    config: Sampling | None = None
    input: InputSpec = InputSpec()
    output: dict[str, Any] = Field(default_factory=dict)
    selaras: SelarasBlock = SelarasBlock()
