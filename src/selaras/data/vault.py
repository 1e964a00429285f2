"""The sealed rows on disk. Only the opener and the split read them here.

What is wrong with the file is said by line and field, never with what stands there.
"""

from selaras.core.errors import InputError, SealError
from selaras.core.project import Project
from selaras.core.records import RECORDS, Query
from selaras.data.rows import read_rows
from selaras.data.seal import Seal, row_hash, rows_path

_FIELDS = {name for model in RECORDS.values() for name in model.model_fields}


def read_sealed(project: Project, seal: Seal) -> list[Query]:
    """Return the sealed rows in the seal's order.

    Raises SealError where the file is missing or broken, or a row was changed since it was sealed.
    """
    if not rows_path(project).is_file():
        raise SealError(
            f"{len(seal.rows)} rows are sealed, but their file is missing", path=rows_path(project),
            fix="put the file back, or run this where it lives",
        )  # fmt: skip
    rows = {row.id: row for row in stored_rows(project)}
    for sealed in seal.rows:
        row = rows.get(sealed.id)
        if row is None or row_hash(row, seal.salt) != sealed.row_hash:
            raise SealError(
                f"the sealed row {sealed.id!r} is missing or was changed", path=rows_path(project),
                fix="put the file back as it was sealed",
            )  # fmt: skip
    return [rows[sealed.id] for sealed in seal.rows]


def stored_rows(project: Project) -> list[Query]:
    """Return all rows of the file, which may hold more than the seal names; none without it.

    Raises SealError, without any text of a row, where the file cannot be read.
    """
    path = rows_path(project)
    if not path.is_file():
        return []
    try:
        return read_rows([path])[0]
    except InputError as error:
        # The error shows the value it stumbled on, and its cause the whole row.
        what = "a sealed row cannot be read" if error.line else error.what
        field = (error.field or "").partition(".")[0]
        raise SealError(
            what, path=path, line=error.line, field=field if field in _FIELDS else None,
            fix="put the file back as it was sealed",
        ) from None  # fmt: skip
