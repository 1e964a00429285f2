"""Sealed rows that were opened to be read: from then on they are spent and count in no figure.

Which rows are opened next follows from the seal's salt alone, and whole groups are opened together:
nobody chooses them, so the rest stays a fair sample. Opening ten rows and then twenty opens ten
more.
"""

from selaras.core.check import checked
from selaras.core.decisions import now
from selaras.core.errors import SealError
from selaras.core.files import append_jsonl, lock, read_jsonl
from selaras.core.fingerprint import fingerprint
from selaras.core.project import Project
from selaras.core.records import Record
from selaras.data.seal import Seal

FILE = "opened.jsonl"


class Opening(Record):
    """One row that was opened, under which seal and when."""

    row: str
    seal: str
    at: str


def spent_rows(project: Project) -> frozenset[str]:
    """Return the ids of all rows that were ever opened."""
    path = project.holdout / FILE
    lines = read_jsonl(path) if path.exists() else ()
    return frozenset(checked(Opening, value, path=path, line=line).row for line, value in lines)


def record_opening(project: Project, seal: Seal, count: int) -> frozenset[str]:
    """Record that `count` rows of the seal are opened, or a few more, and return all opened ones.

    Rows that were opened before count among them. Raises SealError where no row would be left to
    decide anything.
    """
    groups: dict[str, list[str]] = {}
    for row in seal.rows:
        groups.setdefault(row.group, []).append(row.id)
    with lock(project.cache / "opened.lock"):
        spent = set(spent_rows(project))
        sealed = {row.id for row in seal.rows}
        new: list[str] = []
        for group in sorted(groups, key=lambda name: fingerprint([seal.salt, "open", name])):
            if len(spent & sealed) + len(new) >= count:
                break
            new += [name for name in groups[group] if name not in spent]
        if len(spent & sealed) + len(new) >= len(sealed):
            raise SealError(
                f"opening {count} of {len(sealed)} sealed rows leaves none to decide anything",
                fix="open fewer, or measure on development rows",
            )
        if new:
            at = now()
            append_jsonl(
                project.holdout / FILE, ({"row": name, "seal": seal.id, "at": at} for name in new)
            )
    return frozenset(spent | set(new))
