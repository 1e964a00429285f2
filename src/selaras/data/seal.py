"""The seal: which rows are held out, and the record of every look at them.

Its purpose is to prevent accident and self-deception, not a malicious owner.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
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
from selaras.data.sketch import query_hash
from selaras.data.split import stratum


class SealedRow(Record):
    """What the seal knows of a held-out row: no text."""

    id: str
    group: str
    stratum: str
    query_hash: str


class Seal(Record):
    """holdout/seal.json. `development` are the ids on the other side when it was made."""

    generation: int
    created: str
    seed: int
    share: float
    salt: str
    embedder: str
    previous: str | None = None
    rows: tuple[SealedRow, ...]
    development: tuple[str, ...]

    @property
    def id(self) -> str:
        """The identity of the seal: its salt and rows."""
        return fingerprint([self.salt, [row.model_dump() for row in self.rows]])


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


@dataclass(frozen=True, slots=True)
class Sealing:
    """What a new seal is made of."""

    rows: Sequence[Query]
    groups: Sequence[str]
    development: Sequence[Query]
    embedder: str
    seed: int
    share: float


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


def new_seal(sealing: Sealing, previous: Seal | None, salt: str | None = None) -> Seal:
    """Return the seal of rows, with a salt of its own unless one is given."""
    salt = salt or secrets.token_hex(16)
    rows = tuple(
        SealedRow(id=row.id, group=group, stratum=stratum(row), query_hash=query_hash(row, salt))
        for row, group in zip(sealing.rows, sealing.groups, strict=True)
    )
    return Seal(
        generation=previous.generation + 1 if previous else 1,
        created=now(),
        seed=sealing.seed,
        share=sealing.share,
        salt=salt,
        embedder=sealing.embedder,
        previous=previous.id if previous else None,
        rows=rows,
        development=tuple(row.id for row in sealing.development),
    )


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
    """Return the looks at one seal."""
    return [look for look in read_looks(project) if look.seal == seal.id]


def record_look(project: Project, seal: Seal, system: System, run: str) -> list[Look]:
    """Record that a System is measured on the seal and return all looks at it.

    A System that has looked already looks again for free. Raises SealError when the budget is
    spent, before anything was measured.
    """
    path = project.holdout / "looks.jsonl"
    with lock(project.cache / "looks.lock"):
        looks = read_looks(project)
        mine = [look for look in looks if look.seal == seal.id]
        if any(look.system == system.fingerprint for look in mine):
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


def _chained(value: dict[str, Any]) -> str:
    return fingerprint({key: item for key, item in value.items() if key != "hash"}, 32)
