"""Rows are sealed by whole groups; afterwards even a copy of a sealed row is found and left out.

    python examples/data.py

It writes into a new temporary folder and reads sentence embeddings (the extra [local]), offline.
"""

import tempfile
from pathlib import Path

from selaras.core.errors import SealError
from selaras.data import load_rows, open_development, read_seal, split_project, write_rows
from selaras.starter import create_project

project = create_project(Path(tempfile.mkdtemp(prefix="selaras-")), "household-helper")
for path in project.data_files:  # the first rows of each file are enough here
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:24]))
rows = load_rows(project).kept

made = split_project(project)
print(f"sealed {made.held_out} of {len(rows)} rows; whole groups only, {made.groups} of them")

sealed = {row.id for row in read_seal(project).rows}
original = next(row for row in rows if row.id in sealed)
copy = original.model_copy(update={"id": "late-1", "query": original.query.upper() + "!"})
write_rows(project.root / "data" / "late.jsonl", [copy])
development = open_development(project)
for removal in development.removed:
    print(f"left out {removal.record}: {removal.reason} ({removal.matched})")
print(f"{len(development.rows)} rows to develop on, {len(sealed)} sealed")

try:
    split_project(project)
except SealError as error:
    print(error)
