"""Rows in and out of JSON Lines, with the decisions of people applied."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.check import checked
from selaras.core.decisions import Removal, apply_decisions, read_decisions
from selaras.core.errors import InputError
from selaras.core.files import read_jsonl, replacing, write_jsonl
from selaras.core.project import FILE, Project
from selaras.core.records import Example, Preference, Query
from selaras.data.review import WAITS, in_use
from selaras.policy import check_overrides, check_rows, load_policies

Place = tuple[Path, int]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that stand, those taken out with reasons, and where each was read.

    `waiting` are the rows that a person has yet to approve; each is among the removals too.
    """

    kept: tuple[Query, ...]
    removed: tuple[Removal, ...]
    places: Mapping[str, Place]
    waiting: tuple[Query, ...] = ()


def parse_row(value: Mapping[str, Any], path: Path | None = None, line: int | None = None) -> Query:
    """Return the record that the fields make: two responses, one response, or none.

    >>> type(parse_row({"id": "a", "query": "Hi", "response": "Hello."})).__name__
    'Example'
    """
    model: type[Query] = Query
    if "response_a" in value or "response_b" in value or "best" in value:
        model = Preference
    elif "response" in value or "response_label" in value:
        model = Example
    return checked(model, value, path=path, line=line)


def read_rows(paths: Iterable[Path]) -> tuple[list[Query], dict[str, Place]]:
    """Return the rows of files in their order; raises InputError for a bad row or a repeated id."""
    rows: list[Query] = []
    places: dict[str, Place] = {}
    for path in paths:
        for line, value in read_jsonl(path):
            row = parse_row(value, path, line)
            if row.id in places:
                first, at = places[row.id]
                raise InputError(
                    f"the id {row.id!r} stands already in {first.name}, line {at}",
                    path=path, line=line, field="id", fix="give every row an id of its own",
                )  # fmt: skip
            rows.append(row)
            places[row.id] = (path, line)
    return rows, places


def load_rows(project: Project) -> Rows:
    """Return the project's rows with policies and use cases checked and decisions applied.

    Raises InputError where there are no rows at all.
    """
    rows, places = read_rows(project.data_files)
    if not rows:
        raise InputError(
            "no rows", path=project.root / FILE, field="data",
            fix=f"put JSON Lines where the patterns {list(project.file.data)} find them",
        )  # fmt: skip
    policies = load_policies(project)
    check_overrides(policies, project.file.use_cases, path=project.root / FILE)
    check_rows(rows, policies, project.file.use_cases, places=places)
    try:
        decisions = read_decisions(project.decisions)
        kept, removed = apply_decisions(rows, decisions)
        kept, waiting = in_use(kept, decisions, project.file.review)
        removed += [Removal(row.id, f"{WAITS} (origin: {row.origin})") for row in waiting]
        check_rows(kept, policies, project.file.use_cases)
    except InputError as error:
        raise InputError(
            error.what, path=project.decisions, line=error.line, field=error.field, fix=error.fix
        ) from error
    return Rows(tuple(kept), tuple(removed), places, tuple(waiting))


def write_rows(path: Path, rows: Iterable[Query]) -> None:
    """Write rows as JSON Lines without their empty fields; reading them gives the same rows."""
    write_jsonl(path, (dump_row(row) for row in rows))


def drop_lines(path: Path, lines: Collection[int]) -> None:
    """Take lines (counted from 1) out of a file; the others stay byte for byte."""
    with path.open("rb") as source:
        kept = [raw for number, raw in enumerate(source, 1) if number not in lines]
    with replacing(path, "wb") as sink:
        sink.writelines(kept)


def dump_row(row: Query) -> dict[str, Any]:
    """Return the JSON value of a row, without the fields that hold nothing."""
    value = row.model_dump(mode="json", exclude_defaults=True)
    if isinstance(row, Example):
        # An empty response is what makes the row an example rather than a query.
        value["response"] = row.response
    # The kind is what audits and figures speak of: it is always written.
    return {"id": row.id, "kind": row.kind.value, **value}
