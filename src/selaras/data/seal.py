"""The seal: which rows are held out, and the record of every look at them.

Its purpose is to prevent accident and self-deception, not a malicious owner.
"""

from pathlib import Path
from typing import Any

from selaras.core.check import checked
from selaras.core.decisions import now
from selaras.core.errors import InputError, SealError
from selaras.core.files import append_jsonl, lock, read_json, read_jsonl, write_json
from selaras.core.fingerprint import fingerprint
from selaras.core.project import Project
from selaras.core.records import Query, Record
from selaras.core.system import System
from selaras.data.rows import dump_row
from selaras.data.sketch import query_hash
from selaras.data.split import stratum


class SealedRow(Record):
    """What the seal knows of a held-out row: no text.

    `row_hash` covers its labels and responses too; `file` is where it came from.
    """

    id: str
    group: str
    stratum: str
    query_hash: str
    row_hash: str
    file: str


class Seal(Record):
    """holdout/seal.json. `development` are the ids that have been on the other side.

    `extends` are the seals that this one added rows to: a look at them was a look at its rows.
    """

    generation: int
    created: str
    seed: int
    share: float
    salt: str
    embedder: str
    previous: str | None = None
    extends: tuple[str, ...] = ()
    rows: tuple[SealedRow, ...]
    development: tuple[str, ...]

    @property
    def id(self) -> str:
        """The identity of the seal: its salt and rows."""
        rows = [row.model_dump(exclude={"file"}) for row in self.rows]
        return fingerprint([self.salt, rows])


class Look(Record):
    """One System measured on one seal, chained to the look before it by `previous`."""

    number: int
    system: str
    name: str
    seal: str
    run: str
    at: str
    previous: str
    hash: str


def seal_path(project: Project) -> Path:
    return project.holdout / "seal.json"


def rows_path(project: Project) -> Path:
    return project.holdout / "rows.jsonl"


def sketch_path(project: Project) -> Path:
    return project.holdout / "sketch.npz"


def read_seal(project: Project) -> Seal | None:
    """Return the project's seal, or None where nothing is sealed."""
    path = seal_path(project)
    return checked(Seal, read_json(path), path=path) if path.is_file() else None


def sealed_row(row: Query, group: str, file: str, salt: str) -> SealedRow:
    """Return what the seal keeps of a row."""
    return SealedRow(
        id=row.id, group=group, stratum=stratum(row), query_hash=query_hash(row, salt),
        row_hash=row_hash(row, salt), file=file,
    )  # fmt: skip


def row_hash(row: Query, salt: str) -> str:
    """Return the salted hash of all that a row says, labels included."""
    return fingerprint([salt, dump_row(row)], 32)


def write_seal(project: Project, seal: Seal) -> None:
    """Write seal.json; this is the moment from which the rows count as sealed."""
    write_json(seal_path(project), seal.model_dump(mode="json"))


def read_looks(project: Project) -> list[Look]:
    """Return the looks in their order; raises InputError where the chain is broken."""
    path = project.holdout / "looks.jsonl"
    looks = []
    previous = ""
    for line, value in read_jsonl(path) if path.exists() else ():
        look = checked(Look, value, path=path, line=line)
        if look.previous != previous or look.hash != _chained(value):
            raise InputError(
                "the record of looks was changed", path=path, line=line,
                fix="take the file from version control again",
            )  # fmt: skip
        looks.append(look)
        previous = look.hash
    return looks


def looks_at(project: Project, seal: Seal) -> list[Look]:
    """Return the looks at a seal and at those it extends, whose rows are among its own."""
    return _of(seal, read_looks(project))


def record_look(project: Project, seal: Seal, system: System, run: str) -> list[Look]:
    """Record that a System is measured on the seal and return all looks at it.

    A System that has looked at this seal already looks again for free. Raises SealError when the
    budget is spent, before anything was measured.
    """
    path = project.holdout / "looks.jsonl"
    with lock(project.cache / "looks.lock"):
        looks = read_looks(project)
        mine = _of(seal, looks)
        if any((look.system, look.seal) == (system.fingerprint, seal.id) for look in mine):
            return mine
        if len(mine) >= project.file.look_budget:
            raise SealError(
                f"{len(mine)} Systems were measured on this hold-out, its budget is "
                f"{project.file.look_budget}",
                fix="measure on development rows, or renew: selaras data split --renew",
            )
        value: dict[str, Any] = {
            "number": len(looks) + 1, "system": system.fingerprint, "name": system.name,
            "seal": seal.id, "run": run, "at": now(),
            "previous": looks[-1].hash if looks else "",
        }  # fmt: skip
        value["hash"] = _chained(value)
        append_jsonl(path, [value])
        return [*mine, checked(Look, value)]


def _of(seal: Seal, looks: list[Look]) -> list[Look]:
    return [look for look in looks if look.seal in {seal.id, *seal.extends}]


def _chained(value: dict[str, Any]) -> str:
    return fingerprint({key: item for key, item in value.items() if key != "hash"}, 32)
