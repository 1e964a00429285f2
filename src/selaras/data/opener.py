"""The door to the sealed rows. Only `evaluate` and `rating` may import this module.

An import contract holds it: whatever else needs rows takes a `Development`.
"""

from collections.abc import Iterable

from selaras.core.errors import SealError
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data.seal import Seal, read_seal, seal_path
from selaras.data.vault import read_sealed


class HeldOut:
    """The sealed rows, closed: it can be counted and named, not iterated or printed."""

    __slots__ = ("_rows", "seal")

    def __init__(self, rows: Iterable[Query], seal: Seal) -> None:
        self._rows = tuple(rows)
        self.seal = seal

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"HeldOut({len(self)} rows, seal {self.seal.id})"

    def __iter__(self) -> None:
        raise SealError("sealed rows cannot be iterated", fix="take a Development")

    def __reduce__(self) -> str:
        raise SealError("sealed rows cannot be copied into a file")


def open_held_out(project: Project) -> HeldOut:
    """Return the project's sealed rows, checked against the seal.

    Raises SealError where nothing is sealed, the file is missing, or a row was changed.
    """
    seal = read_seal(project)
    if seal is None:
        raise SealError(
            "nothing is sealed yet", path=seal_path(project), fix="run: selaras data split"
        )
    return HeldOut(read_sealed(project, seal), seal)


def reveal(held_out: HeldOut) -> tuple[Query, ...]:
    """Return the rows themselves, for a System to answer."""
    return held_out._rows
