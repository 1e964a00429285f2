"""What parts of a template do over rows: written by `selaras debug --rows`, read by `prompt`.

One finding a line of JSON (docs/debug.md has the form). A finding names its part as the template's
author wrote it and the version that was measured, so that nothing is changed after it by mistake.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.files import read_jsonl
from selaras.core.records import Record, Role
from selaras.template.prompt import PromptTemplate

FindingName = Literal["never_matters", "harms", "raises_over_refusal", "makes_it_refuse"]
AGAIN = "measure it: selaras debug --rows development --out FILE"


class FoundPart(Record):
    """A part of a prompt: `text` as it is rendered, [start, end) in the prompt of the first row.

    `name` is "example:ID" for a few-shot example and "principles" for a principle; `nth` counts
    earlier parts of the same words in messages of that role.
    """

    role: Role | Literal["template"]
    origin: Literal["system", "few_shot", "silent"]
    text: str = Field(min_length=1)
    message: int | None = None
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    name: str | None = None
    nth: int = Field(default=0, ge=0)

    @property
    def example(self) -> str | None:
        """The id of the few-shot example that it is, or None."""
        kind, _, name = (self.name or "").partition(":")
        return name if kind == "example" else None


class Finding(Record):
    """Something that a part does over `n` rows: a mean in `unit` with its simultaneous interval.

    `template` is the fingerprint of the template that was measured, `prompt` its file.
    """

    finding: FindingName
    segment: FoundPart
    n: int = Field(ge=1)
    mean: float
    low: float
    high: float
    unit: str
    proposed: str
    system: str
    prompt: str | None
    template: str
    model: str

    @property
    def figures(self) -> str:
        """The mean with interval, unit, rows and model, in words."""
        return (
            f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}] {self.unit}, n {self.n}, "
            f"{self.model}"
        )


def read_findings(path: Path) -> tuple[Finding, ...]:
    """Return the findings of a file in their order; raises InputError for a wrong line."""
    return tuple(checked(Finding, value, path=path, line=line) for line, value in read_jsonl(path))


def findings_on(
    found: Sequence[Finding], template: PromptTemplate, file: Path, source: Path
) -> tuple[Finding, ...]:
    """Return those that were measured on this very template, as it is in its file.

    Raises InputError where there are findings and all are of other versions or templates.
    """
    own = tuple(each for each in found if each.template == template.fingerprint)
    if found and not own:
        raise InputError(
            f"these findings are of {found[0].prompt or 'no template'} in version "
            f"{found[0].template}, and {file} is {template.fingerprint}",
            path=source, fix=AGAIN,
        )  # fmt: skip
    return own
