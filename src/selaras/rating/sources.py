"""Where items come from: the project's rows, a System's outputs, a file of another tool.

Outputs on sealed rows make items that only name their row. One item is made for each policy of a
row where the task judges by policy.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.records import Example, Preference, Query
from selaras.data.formats.records import read_records
from selaras.data.rows import dump_row, parse_row
from selaras.rating.batches import NewItem
from selaras.rating.formats import from_argilla, from_label_studio
from selaras.rating.tasks import TASKS, Content

_ALIASES = {"prompt": "query", "question": "query", "instruction": "query",
            "completion": "response", "answer": "response", "output": "response",
            "response1": "response_a", "response2": "response_b"}  # fmt: skip
_KNOWN = ("row", "id", "key", "query", "turns", "context", "response", "response_a", "response_b",
          "policies", "system", "systems", "draft", "gold", "why", "votes", "source")  # fmt: skip


def items_of_rows(
    rows: Sequence[Query], task: str, policies: Collection[str] = ()
) -> tuple[list[NewItem], list[str]]:
    """Return the items that a project's rows make for a task, and the ids of those that make none.

    `policies` narrows to rows that name one of them. For `review` every row is a draft.
    """
    made: list[NewItem] = []
    left: list[str] = []
    for row in rows:
        names = [name for name in row.policies if not policies or name in policies]
        if policies and not names:
            left.append(row.id)
            continue
        shown: dict[str, Any] = {}
        if task == "review":
            shown = {"draft": dump_row(row), "query": None}
        elif task == "preference" and isinstance(row, Preference):
            shown = {"response_a": row.response_a, "response_b": row.response_b}
        elif task != "preference" and isinstance(row, Example) and row.response:
            shown = {"response": row.response}
        if not shown:
            left.append(row.id)
            continue
        base = {"query": row.query, "turns": row.turns, "context": row.context,
                "source": {"row": row.id, "row_fingerprint": row.fingerprint}, **shown}  # fmt: skip
        made += _by_policy(task, row.id, names, base)
    return made, left


def items_of_outputs(
    outputs: Mapping[str, Mapping[str, str]],
    rows: Mapping[str, Query],
    sealed: Mapping[str, Sequence[str]],
    task: str,
) -> list[NewItem]:
    """Return the items of Systems' outputs: {System's fingerprint: {row id: response}}.

    Two Systems make pairs for the preference task, on the rows that both answered. `sealed` maps
    the sealed rows to their policies: they are only named. Raises InputError for a row that is
    neither sealed nor among `rows`.
    """
    if task == "preference":
        if len(outputs) != 2:
            raise InputError(
                "a preference compares the outputs of two Systems", fix="give two runs"
            )
        first, second = outputs
        shared = [row for row in outputs[first] if row in outputs[second]]
        return [
            item
            for row in shared
            for item in _of_output(
                row, rows, sealed, task, f"{row}:{first[:8]}:{second[:8]}",
                {"response_a": outputs[first][row], "response_b": outputs[second][row],
                 "systems": (first, second)},
            )
        ]  # fmt: skip
    return [
        item
        for system, answers in outputs.items()
        for row, text in answers.items()
        if text
        for item in _of_output(
            row, rows, sealed, task, f"{row}:{system[:8]}", {"response": text, "system": system}
        )
    ]


def read_items(path: Path, task: str) -> tuple[list[NewItem], dict[str, list[dict[str, Any]]]]:
    """Return the items of a file, and the votes that stand in it, by item.

    JSON Lines and CSV with named columns, or the JSON that Argilla and Label Studio write. Raises
    InputError for a file that is none of these, and for the first wrong row.
    """
    records = _records(path)
    made: list[NewItem] = []
    votes: dict[str, list[dict[str, Any]]] = {}
    for number, record in enumerate(records, 1):
        for item in _item(record, task, path, number):
            made.append(item)
            if record.get("votes"):
                votes[item.key] = list(record["votes"])
    if not made:
        raise InputError("there is nothing to rate", path=path)
    return made, votes


def _records(path: Path) -> list[dict[str, Any]]:
    # An empty cell holds nothing; an empty field of JSON is what somebody wrote.
    cells = path.suffix.lower() in {".csv", ".tsv"}
    value = [
        {k: v for k, v in fields.items() if k and not (cells and v == "")}
        for _, fields in read_records(path)
    ]
    if value and "fields" in value[0]:
        return from_argilla(value)
    if value and "data" in value[0]:
        return from_label_studio(value)
    return value


def _item(record: Mapping[str, Any], task: str, path: Path, line: int) -> list[NewItem]:
    fields = {_ALIASES.get(name, name): value for name, value in record.items()}
    row = str(fields.get("row") or fields.get("id") or fields.get("key") or f"{path.stem}-{line}")
    policies = fields.get("policies") or ()
    names = policies.split() if isinstance(policies, str) else [str(name) for name in policies]
    gold = fields.get("gold") or ()
    accepted = tuple(gold.split("|")) if isinstance(gold, str) else tuple(map(str, gold))
    if task == "review":
        draft = fields.get("draft") or {
            k: v for k, v in record.items() if k not in ("gold", "why", "votes", "key")
        }
        try:
            parse_row(draft)
        except InputError as error:
            raise InputError(
                error.what, path=path, line=line, field=error.field, fix=error.fix
            ) from error
        shown: dict[str, Any] = {"draft": draft}
    else:
        wanted = {"query", "turns", "context", "system", "systems", *TASKS[task].sides}
        shown = {name: fields[name] for name in wanted if fields.get(name)}
    extra = {k: v for k, v in record.items() if k not in _KNOWN and k not in _ALIASES}
    shown["source"] = {
        "file": path.name,
        **({"fields": extra} if extra and task != "review" else {}),
    }
    try:
        made = _by_policy(task, row, names, shown)
    except ValueError as error:
        raise InputError(str(error).splitlines()[-1], path=path, line=line) from error
    return [NewItem(item.key, item.content, accepted, str(fields.get("why", ""))) for item in made]


def _of_output(
    row: str,
    rows: Mapping[str, Query],
    sealed: Mapping[str, Sequence[str]],
    task: str,
    key: str,
    shown: dict[str, Any],
) -> list[NewItem]:
    if row in sealed:
        names = list(sealed[row])
        return _by_policy(task, row, names, {**shown, "held_out": True}, key)
    if row not in rows:
        raise InputError(
            f"the output is of row {row!r}, which is not in the data",
            fix="rate a run on rows of this project",
        )
    found = rows[row]
    base = {"query": found.query, "turns": found.turns, "context": found.context,
            "source": {"row": row, "row_fingerprint": found.fingerprint}}  # fmt: skip
    return _by_policy(task, row, list(found.policies), {**base, **shown}, key)


def _by_policy(
    task: str, row: str, policies: Sequence[str], shown: dict[str, Any], key: str | None = None
) -> list[NewItem]:
    """Return one item for each policy where the task judges by policy, otherwise one."""
    key = key or row
    if task == "harm" and len(policies) > 1:
        return [
            NewItem(f"{key}:{name}", Content(row=row, policies=(name,), **shown))
            for name in policies
        ]
    return [NewItem(key, Content(row=row, policies=tuple(policies), **shown))]
