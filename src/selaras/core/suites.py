"""A suite as the project file names it: a file of rows, and the variants that are made of them."""

from pydantic import Field

from selaras.core.records import Identifier, Record


class SuiteSpec(Record):
    """One entry under `suites` in selaras.yaml.

    `format` is `rows` (the project's own JSONL or YAML) or the name of a public set. `attacks` are
    names out of ATTACKS, joined by + where several are applied; each makes a variant of every row
    that is not ordinary, in the query or `into` a variable such as `article`. `paraphrases` names a
    file of other wordings; `paraphrase_by` a model that writes `wordings` of each row. `repeats`
    asks every row so often, each time with a seed of its own.
    """

    file: str = Field(min_length=1)
    format: str = "rows"
    policies: tuple[str, ...] = ()
    use_case: Identifier | None = None
    attacks: tuple[str, ...] = ()
    into: str | None = None
    paraphrases: str | None = None
    paraphrase_by: str | None = None
    wordings: int = Field(default=2, ge=1, le=20)
    repeats: int = Field(default=1, ge=1, le=100)
    rows: int | None = Field(default=None, ge=1)
