"""Argilla's and Label Studio's JSON, in and out, by way of plain records.

A record is {"key", "row", "query", "response" (or both sides), "policies", "votes": [{"rater",
"value", "note", "seconds"}]}. Argilla: the records of a 2.x dataset (`fields`, `responses`, one
question named "rating"). Label Studio: tasks with `data` and `annotations`, choices named "rating".
What another question or control says is not a vote and is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

QUESTION = "rating"
_FIELDS = ("query", "response", "response_a", "response_b")


def to_argilla(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return records as Argilla 2.x writes them with `records.to_json`."""
    return [
        {
            "id": record["key"],
            "status": "completed" if record["votes"] else "pending",
            "fields": {name: record[name] for name in _FIELDS if record.get(name)},
            "metadata": _metadata(record),
            "suggestions": {},
            "responses": {
                QUESTION: [{"value": v["value"], "user_id": v["rater"]} for v in record["votes"]]
            },
            "vectors": {},
        }
        for record in records
    ]


def from_argilla(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of an Argilla export; its first question with answers holds the votes."""
    records = []
    for value in values:
        answers = value.get("responses") or {}
        name = QUESTION if QUESTION in answers else next(iter(answers), None)
        metadata = value.get("metadata") or {}
        records.append({
            **(value.get("fields") or {}),
            "key": str(value.get("id", "")),
            "row": str(metadata.get("row") or value.get("id", "")),
            "policies": str(metadata.get("policies") or "").split(),
            "votes": [
                {"rater": str(one.get("user_id", "argilla")), "value": str(one.get("value"))}
                for one in (answers.get(name) or [])
            ],
        })  # fmt: skip
    return records


def to_label_studio(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return records as Label Studio tasks with their annotations."""
    return [
        {
            "data": {
                **{name: record[name] for name in _FIELDS if record.get(name)},
                "key": record["key"],
                **_metadata(record),
            },
            "annotations": [
                {
                    "completed_by": {"email": vote["rater"]},
                    "lead_time": vote.get("seconds"),
                    "was_cancelled": False,
                    "result": [_choice(vote), *([_comment(vote)] if vote.get("note") else [])],
                }
                for vote in record["votes"]
            ],
        }
        for record in records
    ]


def from_label_studio(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of a Label Studio export; cancelled annotations are no votes."""
    records = []
    for value in values:
        data = dict(value.get("data") or {})
        key = str(data.pop("key", "") or value.get("id", ""))
        policies = str(data.pop("policies", "") or "").split()
        votes = [
            vote
            for annotation in value.get("annotations") or ()
            if not annotation.get("was_cancelled")
            for vote in _votes(annotation)
        ]
        row = str(data.pop("row", "") or key)
        records.append({**data, "key": key, "row": row, "policies": policies, "votes": votes})
    return records


def _metadata(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"row": record["row"], "policies": " ".join(record.get("policies", ()))}


def _choice(vote: Mapping[str, Any]) -> dict[str, Any]:
    return {"from_name": QUESTION, "to_name": "response", "type": "choices",
            "value": {"choices": [vote["value"]]}}  # fmt: skip


def _comment(vote: Mapping[str, Any]) -> dict[str, Any]:
    return {"from_name": "note", "to_name": "response", "type": "textarea",
            "value": {"text": [vote["note"]]}}  # fmt: skip


def _votes(annotation: Mapping[str, Any]) -> list[dict[str, Any]]:
    by = annotation.get("completed_by", "label-studio")
    rater = str(by.get("email") or by.get("id")) if isinstance(by, dict) else str(by)
    results = annotation.get("result") or []
    chosen = [r for r in results if r.get("type") == "choices"]
    named = [r for r in chosen if r.get("from_name") == QUESTION] or chosen
    notes = [
        text
        for r in results
        if r.get("type") == "textarea"
        for text in (r.get("value") or {}).get("text", ())
    ]
    if not named:
        return []
    value = (named[0].get("value") or {}).get("choices") or [""]
    found = {"rater": rater, "value": str(value[0]), "note": " ".join(map(str, notes))}
    if isinstance(annotation.get("lead_time"), int | float):
        found["seconds"] = annotation["lead_time"]
    return [found]
