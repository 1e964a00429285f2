"""Raters in and out as CSV: invitations with their background, links, completion codes."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from selaras.core.csv_cells import cell
from selaras.core.errors import InputError
from selaras.core.files import write_text
from selaras.data.formats.records import read_records
from selaras.rating.batch import BatchSpec
from selaras.rating.people import invite

_OWN = ("pseudonym", "external", "language", "consent")
_YES = {"yes", "y", "true", "1", "ya"}


def read_invitations(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV of raters; raises InputError for one without its columns."""
    rows: list[dict[str, str]] = []
    for line, row in read_records(path):
        if not rows and not {"pseudonym", "external"} & set(row):
            raise InputError("no column pseudonym or external", path=path, line=1)
        if row.get("language") and row["language"] not in ("en", "id"):
            raise InputError(
                f"no language {row['language']!r}", path=path, line=line, fix="en or id"
            )
        rows.append({k: text for k, v in row.items() if (text := str(v or "").strip())})
    return rows


def invite_all(
    connection: Connection, spec: BatchSpec, rows: Sequence[Mapping[str, str]], base: str
) -> list[dict[str, str]]:
    """Invite raters and return pseudonym, link, completion code and the platform's id of each.

    What else a row holds is background, stored only where its `consent` says yes.
    """
    made = []
    for row in rows:
        agreed = row.get("consent", "").lower() in _YES
        background = {k: v for k, v in row.items() if k not in _OWN} if agreed else {}
        one = invite(
            connection, spec, row.get("pseudonym"), background=background,
            external=row.get("external"), language=row.get("language"),
        )  # fmt: skip
        made.append({
            "pseudonym": one.pseudonym, "link": f"{base.rstrip('/')}/join/{one.token}",
            "code": one.code, "external": row.get("external", ""),
        })  # fmt: skip
    return made


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, whole or not at all; cells that a spreadsheet would run are quoted."""
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    write_text(path, text.getvalue())


def _cell(value: Any) -> Any:
    return cell(value) if isinstance(value, str) else value
