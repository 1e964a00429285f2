"""Rows side by side as files: LLM Comparator JSON, CSV, Parquet.

As on the page, only open rows have text. LLM Comparator shows two models and needs text, so rows
without it are left out there, and counted.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selaras.core.csv_cells import cell
from selaras.core.errors import InputError, MissingExtraError
from selaras.core.files import replacing, write_json, write_text
from selaras.core.late import resolve
from selaras.evaluate import Evaluation
from selaras.evaluate.flips import rank_of
from selaras.report.model import measured
from selaras.report.side_by_side import SideRow

# The name of a format's file ends so; each takes a path, the Systems' labels and rows.
FORMATS = {
    ".json": "selaras.report.export:write_llm_comparator",
    ".csv": "selaras.report.export:write_csv",
    ".parquet": "selaras.report.export:write_parquet",
}
_SCHEMA = (
    ("row", "string"), ("kind", "category"), ("expected", "category"), ("use_case", "category"),
    ("change", "category"), ("verdict", "per_model_category"),
)  # fmt: skip


def export(path: Path, evaluations: Sequence[Evaluation], rows: Sequence[SideRow]) -> int:
    """Write the rows in the format that the file's name ends in; return how many were left out.

    Raises InputError for an ending that is not known, or for what the format cannot hold.
    """
    if path.suffix not in FORMATS:
        raise InputError(
            f"no format ends in {path.suffix or 'nothing'}", path=path,
            fix=f"end the name in one of {', '.join(FORMATS)}",
        )  # fmt: skip
    write: Callable[..., int] = resolve(FORMATS[path.suffix])
    return write(path, evaluations, rows)


def write_llm_comparator(
    path: Path, evaluations: Sequence[Evaluation], rows: Sequence[SideRow]
) -> int:
    """Write two Systems in the format of PAIR-code/llm-comparator; return how many were left out.

    The score is the judge's, from -1 (the second is as the row wishes) to 1 (the first is); it is
    0 where both are alike or the row says nothing.
    """
    if len(evaluations) != 2:
        raise InputError(
            f"LLM Comparator compares two models, not {len(evaluations)}",
            path=path, fix="name two runs, or write a .csv",
        )  # fmt: skip
    first, second = evaluations
    judge = str(first.manifest.config.get("judge", {}).get("judge", "judge"))
    shown = [row for row in rows if row.query is not None]
    value = {
        "metadata": {
            "source_path": f"{first.manifest.id} {second.manifest.id}",
            "custom_fields_schema": [{"name": name, "type": kind} for name, kind in _SCHEMA],
        },
        "models": [{"name": first.name}, {"name": second.name}],
        "examples": [_example(row, judge) for row in shown],
    }
    write_json(path, value)
    return len(rows) - len(shown)


def write_csv(path: Path, evaluations: Sequence[Evaluation], rows: Sequence[SideRow]) -> int:
    """Write one line a row, with verdict and answer of each System; nothing is left out.

    Text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    told = [_flat(evaluations, row) for row in rows]
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(_names(evaluations))
    writer.writerows([cell(value) for value in line.values()] for line in told)
    write_text(path, sink.getvalue())
    return 0


def write_parquet(path: Path, evaluations: Sequence[Evaluation], rows: Sequence[SideRow]) -> int:
    """Write the same columns as the CSV; needs pyarrow. Nothing is left out."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("pyarrow", "data") from error
    told = [_flat(evaluations, row) for row in rows]
    columns = {name: [line[name] for line in told] for name in _names(evaluations)}
    table = pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})
    with replacing(path, "wb") as sink:
        pq.write_table(table, sink)
    return 0


def _example(side: SideRow, judge: str) -> dict[str, Any]:
    row, query = side.row, side.query
    first, second = map(rank_of, side.judged)
    # A response that breaks a policy ranks below all others; the scale ends at 1 all the same.
    score = 0.0
    if first is not None and second is not None:
        score = max(-1.0, min(1.0, (first - second) / 2))
    better = "same" if score == 0 else f"{'A' if score > 0 else 'B'} is better"
    said = [answer.text if answer else "" for answer in side.answers]
    return {
        "input_text": query.query if query else "",
        "tags": [*row.policies, row.kind],
        "output_text_a": said[0],
        "output_text_b": said[1],
        "score": score,
        "individual_rater_scores": [
            {"score": score, "rating_label": better, "is_flipped": False,
             "rationale": f"{judge}: {side.values[0]} against {side.values[1]}, "
             f"expected: {row.expected or 'not said'}"}
        ],
        "custom_fields": {
            "row": row.row, "kind": row.kind, "expected": row.expected or "-",
            "use_case": row.use_case or "-", "change": side.change or "none",
            "verdict": list(side.values),
        },
    }  # fmt: skip


def _names(evaluations: Sequence[Evaluation]) -> list[str]:
    systems = [line.label for line in measured(evaluations).lines]
    per_system = [f"{part}:{name}" for name in systems for part in ("verdict", "answer")]
    return ["row", "kind", "expected", "policies", "use_case", "change", "query", *per_system]


def _flat(evaluations: Sequence[Evaluation], side: SideRow) -> Mapping[str, str | None]:
    row = side.row
    values: list[str | None] = [
        row.row, row.kind, row.expected, " ".join(row.policies), row.use_case, side.change,
        side.query.query if side.query else None,
    ]  # fmt: skip
    answers = side.answers or (None,) * len(side.values)
    for verdict, answer in zip(side.values, answers, strict=True):
        values += [verdict, answer.text if answer else None]
    return dict(zip(_names(evaluations), values, strict=True))
