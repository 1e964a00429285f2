"""Labels on their way back into the loop: rows, preferences, calibration, other tools.

No format but `labels_for_calibration` ever names a sealed row, and that one holds ids and values
alone. Every row that is made says which batch, votes and decision it came from.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from selaras.core.decisions import Removal
from selaras.core.records import Example, Preference, Query
from selaras.data.rows import dump_row, parse_row
from selaras.rating import schema
from selaras.rating.agreement import Truth, truths
from selaras.rating.batches import Item, items_of, read_batch
from selaras.rating.formats import to_argilla, to_label_studio
from selaras.rating.results import Vote, current_votes
from selaras.rating.tasks import CANNOT_JUDGE, TASKS


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds, and what it leaves out with reasons; sealed rows are only counted."""

    values: tuple[Mapping[str, Any], ...]
    removed: tuple[Removal, ...]
    sealed: int


def export(connection: Connection, batch: str, form: str) -> Exported:
    """Return a batch in one of `FORMS`; raises KeyError for another name."""
    return FORMS[form](connection, batch)


def labels_for_calibration(connection: Connection, batch: str) -> list[dict[str, Any]]:
    """Return one line a vote for `selaras calibrate`: ids and values, sealed rows among them.

    Votes that answer nothing ("cannot judge"), and items that are no System's output, have none.
    """
    spec, _ = read_batch(connection, batch)
    axis = TASKS[spec.task].axis
    names = _names(connection)
    items = {item.id: item for item in items_of(connection, batch)}
    return [
        {"rater": names[vote.rater], "row": item.content.row, "system": item.content.system,
         "axis": axis, "value": vote.value, "batch": batch, "instructions": vote.instructions,
         **({"policy": item.content.policies[0]} if axis == "response_harm"
            and item.content.policies else {})}
        for vote in current_votes(connection, batch)
        if vote.purpose == "work" and vote.value != CANNOT_JUDGE and axis
        if (item := items[vote.item]).content.system
    ]  # fmt: skip


def records(connection: Connection, batch: str) -> Exported:
    """Return every item with its raw votes and truth, sealed rows left out."""
    items, sealed = _open_items(connection, batch)
    votes = _votes_by_item(connection, batch)
    found = truths(connection, batch)
    names = _names(connection)
    values = []
    for item in items:
        content = item.content.model_dump(mode="json", exclude_defaults=True)
        truth = found.get(item.id)
        values.append({
            "key": item.key, **content,
            "votes": [_vote(vote, names) for vote in votes.get(item.id, ())],
            "truth": truth.value if truth else None,
            "how": truth.how if truth else "no votes",
            "soft": dict(truth.soft) if truth else {},
        })  # fmt: skip
    return Exported(tuple(values), (), sealed)


def as_csv(connection: Connection, batch: str) -> Exported:
    """Return one flat line a vote, for a table."""
    whole = records(connection, batch)
    lines = [
        {"key": r["key"], "row": r["row"], "policies": " ".join(r.get("policies", ())),
         "truth": r["truth"], "how": r["how"], **vote, "flags": json.dumps(vote["flags"])}
        for r in whole.values
        for vote in r["votes"]
    ]  # fmt: skip
    return Exported(tuple(lines), (), whole.sealed)


def as_argilla(connection: Connection, batch: str) -> Exported:
    """Return the batch as Argilla's records."""
    whole = records(connection, batch)
    return Exported(tuple(to_argilla(whole.values)), (), whole.sealed)


def as_label_studio(connection: Connection, batch: str) -> Exported:
    """Return the batch as Label Studio's tasks."""
    whole = records(connection, batch)
    return Exported(tuple(to_label_studio(whole.values)), (), whole.sealed)


def as_ratings(connection: Connection, batch: str) -> Exported:
    """Return one line a vote for the judge of stored ratings (`ratings:FILE`)."""
    whole = records(connection, batch)
    lines = [
        {"row": r["row"], "response": r["response"], "value": vote["value"],
         "rater": vote["rater"], **({"policy": r["policies"][0]} if r.get("policies") else {})}
        for r in whole.values if r.get("response")
        for vote in r["votes"] if vote["value"] != CANNOT_JUDGE
    ]  # fmt: skip
    return Exported(tuple(lines), (), whole.sealed)


def as_rows(connection: Connection, batch: str) -> Exported:
    """Return rows for the data files, with their provenance; what was not decided stays out.

    Examples with their label from harm, corrected examples from corrections, preferences from
    pairs (reward-model data), approved and edited drafts from reviews.
    """
    spec, _ = read_batch(connection, batch)
    items, sealed = _open_items(connection, batch)
    found, votes = truths(connection, batch), _votes_by_item(connection, batch)
    by_row: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_row[_group(item)].append(item)
    values: list[Mapping[str, Any]] = []
    removed: list[Removal] = []
    for same in by_row.values():
        known = [(item, found[item.id]) for item in same if item.id in found]
        given = [vote for item, _ in known for vote in votes.get(item.id, ())]
        made = _MAKERS.get(spec.task, _no_row)(batch, known, given)
        if isinstance(made, Query):
            values.append(dump_row(made))
        else:
            removed.append(Removal(same[0].key, made if known else "no votes"))
    return Exported(tuple(values), tuple(removed), sealed)


FORMS: Mapping[str, Callable[[Connection, str], Exported]] = {
    "jsonl": records,
    "csv": as_csv,
    "argilla": as_argilla,
    "label-studio": as_label_studio,
    "ratings": as_ratings,
    "rows": as_rows,
}

_Known = list[tuple[Item, Truth]]


def _example(batch: str, known: _Known, _: list[Vote]) -> Query | str:
    """An answer is unsafe where it breaks any of the policies it was judged by, safe where none."""
    values = [truth.value for _, truth in known]
    if not values or None in values or CANNOT_JUDGE in values:
        return (
            "the raters do not agree on every policy"
            if "unsafe" not in values
            else _labelled(batch, known, "unsafe")
        )
    return _labelled(batch, known, "unsafe" if "unsafe" in values else "safe")


def _labelled(batch: str, known: _Known, label: str) -> Query:
    item = known[0][0]
    names = [name for one, _ in known for name in one.content.policies]
    return Example.model_validate({
        **_base(batch, item, names), "response": item.content.response, "response_label": label,
    })  # fmt: skip


def _corrected(batch: str, known: _Known, votes: list[Vote]) -> Query | str:
    if not known or known[0][1].value is None:
        return "the raters do not agree whether it needs a correction"
    item, truth = known[0]
    text = item.content.response
    if truth.value == "corrected":
        edited = [vote.edited for vote in votes if vote.edited]
        if not edited:
            return "no correction is left"
        # The newest correction: each was written with the response, not with the others, in view.
        text = edited[-1]
    return Example.model_validate({
        **_base(batch, item, item.content.policies), "response": text, "response_label": "safe",
    })  # fmt: skip


def _preferred(batch: str, known: _Known, _: list[Vote]) -> Query | str:
    if not known or known[0][1].value is None:
        return "the raters do not agree"
    item, truth = known[0]
    if truth.value not in ("a", "b", "tie"):
        return "both responses are bad" if truth.value == "both_bad" else "it cannot be judged"
    return Preference.model_validate({
        **_base(batch, item, item.content.policies), "best": truth.value,
        "response_a": item.content.response_a, "response_b": item.content.response_b,
    })  # fmt: skip


def _reviewed(batch: str, known: _Known, votes: list[Vote]) -> Query | str:
    if not known or known[0][1].value is None:
        return "the reviewers do not agree"
    item, truth = known[0]
    if truth.value == "reject":
        reasons = " ".join(vote.note for vote in votes if vote.value == "reject" and vote.note)
        return f"rejected in review{': ' + reasons if reasons else ''}"
    draft = dict(item.content.draft or {})
    if truth.value == "edited":
        edited = [vote.edited for vote in votes if vote.edited]
        draft = json.loads(edited[-1]) if edited else draft
    return parse_row({**draft, "source": _source(batch, draft.get("source"))})


def _no_row(_: str, __: _Known, ___: list[Vote]) -> Query | str:
    return "this task makes no rows: export labels for calibration"


_MAKERS = {
    "harm": _example,
    "correction": _corrected,
    "preference": _preferred,
    "review": _reviewed,
}


def _base(batch: str, item: Item, policies: Any) -> dict[str, Any]:
    content = item.content
    known = content.source.get("row")
    return {
        "id": f"{content.row}.{batch}"[:128] if known else content.row,
        "query": content.query, "turns": content.turns, "context": content.context,
        "policies": tuple(dict.fromkeys(policies)), "source": _source(batch, None),
        **({"parents": (known,)} if known else {}),
    }  # fmt: skip


def _source(batch: str, before: Any) -> str:
    return f"rated in {batch}" + (f"; {before}" if before else "")


def _group(item: Item) -> str:
    """Items of one response (one a policy) make one row."""
    content = item.content
    return json.dumps([content.row, content.system, content.response, content.systems])


def _open_items(connection: Connection, batch: str) -> tuple[list[Item], int]:
    items = [item for item in items_of(connection, batch) if item.gold is None]
    kept = [item for item in items if not item.content.held_out]
    return kept, len(items) - len(kept)


def _votes_by_item(connection: Connection, batch: str) -> dict[int, list[Vote]]:
    votes: dict[int, list[Vote]] = defaultdict(list)
    for vote in current_votes(connection, batch):
        if vote.purpose == "work":
            votes[vote.item].append(vote)
    return votes


def _names(connection: Connection) -> dict[int, str]:
    return {row.id: row.pseudonym for row in connection.execute(select(schema.raters))}


def _vote(vote: Vote, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "rater": names[vote.rater], "value": vote.value, "flags": vote.flags, "note": vote.note,
        "order": vote.order, "seconds": vote.seconds, "instructions": vote.instructions,
        **({"edited": vote.edited} if vote.edited else {}),
    }  # fmt: skip


def removal_lines(exported: Exported) -> Iterator[dict[str, Any]]:
    """Yield what an export left out, as JSON values."""
    for removal in exported.removed:
        yield {"record": removal.record, "reason": removal.reason}
