"""Published sets with labels of harm: PKU-SafeRLHF, BeaverTails, DiaSafety, rule-based rewards.

What a set does not say is not made up: `kind` and `expected` are left out (or given by the person
who imports), except where the authors say what should have been answered.
"""

from collections.abc import Mapping
from typing import Any

from selaras.data.formats.chat import conversation
from selaras.data.formats.format import Fields, Format, RowFields, columns, dialogue, text_of

_SAFE = (("a", "is_response_0_safe"), ("b", "is_response_1_safe"))
_EXPECTED = {"comply": "answer", "hard refuse": "refuse", "safe refuse": "safe_completion"}


def harms(value: Any) -> str | None:
    """Return the categories that a set marks in a row, as one topic.

    >>> harms({"privacy_violation": True, "violence": False}), harms({})
    ('privacy_violation', None)
    """
    if not isinstance(value, Mapping):
        return None
    return "+".join(sorted(str(name) for name, marked in value.items() if marked is True)) or None


def _read_pku(fields: Fields) -> RowFields:
    """Return a preference for the *safer* response: alignment data, not helpfulness."""
    safer = fields.get("safer_response_id")
    if safer not in (0, 1):
        raise ValueError(f"'safer_response_id' is {safer!r}, not 0 or 1")
    found = [harms(fields.get(f"response_{i}_harm_category")) for i in (0, 1)]
    return _without_nothing({
        "query": text_of(fields, "prompt"), "response_a": text_of(fields, "response_0"),
        "response_b": text_of(fields, "response_1"), "best": "ab"[safer],
        **{f"label_{side}": _label(fields[name]) for side, name in _SAFE if name in fields},
        "topic": next((topic for topic in found if topic), None),
    })  # fmt: skip


def _read_beavertails(fields: Fields) -> RowFields:
    return _without_nothing({
        "query": text_of(fields, "prompt"), "response": text_of(fields, "response"),
        "response_label": _label(fields.get("is_safe")), "topic": harms(fields.get("category")),
    })  # fmt: skip


def _read_diasafety(fields: Fields) -> RowFields:
    label = text_of(fields, "label")
    if label not in {"Safe", "Unsafe"}:
        raise ValueError(f"a label of {label!r}, not Safe or Unsafe")
    return _without_nothing({
        "query": text_of(fields, "context"), "response": text_of(fields, "response"),
        "response_label": label.lower(), "topic": fields.get("category"),
    })  # fmt: skip


def _read_rbr(fields: Fields) -> RowFields:
    reply = conversation(fields.get("completion"))
    if len(reply) != 1:
        raise ValueError("'completion' is not one message")
    wanted = text_of(fields, "response_type").lower().rstrip(" 0123456789")
    if wanted not in _EXPECTED:
        raise ValueError(f"a response type of {fields['response_type']!r}")
    return {
        **dialogue([*conversation(fields.get("prompt")), *reply]),
        "expected": _EXPECTED[wanted], "topic": text_of(fields, "category"),
    }  # fmt: skip


def _label(value: Any) -> str:
    if not isinstance(value, bool):
        raise ValueError(f"a mark of safety is {value!r}, not true or false")
    return "safe" if value else "unsafe"


def _without_nothing(fields: RowFields) -> RowFields:
    return {name: value for name, value in fields.items() if value is not None}


PKU = Format("pku-saferlhf", "PKU-SafeRLHF: two responses, the safer one preferred",
             columns("prompt", "response_0", "safer_response_id"), _read_pku)  # fmt: skip
BEAVERTAILS = Format("beavertails", "BeaverTails: one response with fourteen marks of harm",
                     columns("prompt", "response", "is_safe"), _read_beavertails)  # fmt: skip
DIASAFETY = Format("diasafety", "DiaSafety: context and response, Safe or Unsafe",
                   columns("context", "response", "label"), _read_diasafety, None,
                   ".json")  # fmt: skip
RBR = Format("rbr", "OpenAI's rule-based rewards: the wanted kind of answer, graded completions",
             columns("response_type", "completion"), _read_rbr)  # fmt: skip
