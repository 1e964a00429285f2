"""What a mix of training rows is, under `mixes` in selaras.yaml."""

from typing import Annotated

from pydantic import Field

from selaras.core.records import Identifier, Kind, Origin, Record


class MixPart(Record):
    """One part of a mix: which rows it takes (all, where nothing is named) and their weight.

    `cap` is the most rows of one cell (policy x use case x kind), so that a large set does not
    drown the others. A row belongs to the first part that takes it.
    """

    name: Identifier
    weight: float = Field(gt=0)
    kinds: tuple[Kind, ...] = ()
    policies: tuple[str, ...] = ()
    use_cases: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    sources: tuple[str, ...] = ()
    cap: int | None = Field(default=None, ge=1)


class Mix(Record):
    """Parts by weight. `size` is the number of rows; as many as the parts allow if left out."""

    parts: Annotated[tuple[MixPart, ...], Field(min_length=1)]
    size: int | None = Field(default=None, ge=1)
