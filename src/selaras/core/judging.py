"""A judge as the project file names it."""

from typing import Literal

from pydantic import Field

from selaras.core.records import Identifier, Record


class JudgeSpec(Record):
    """One entry under `judges` in selaras.yaml: `{type: policy, by: "openai:NAME@URL"}`.

    `by` is what it judges by: a model string, or a file in the project. `policies` says which
    policies a row is judged against: those that it names, or all of the project's. `policy` is the
    one that a classifier or a file of scores is about; `threshold` the score from which it counts
    as violating; `baseline` the run that a pairwise judge compares with.
    """

    type: Identifier
    by: str = ""
    policies: Literal["rows", "all"] = "rows"
    policy: str | None = None
    threshold: float | None = Field(default=None)
    baseline: str | None = None
