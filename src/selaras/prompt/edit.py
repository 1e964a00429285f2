"""One edit of a template's principles: add, edit, delete or none, checked before it is applied.

The model names a principle by its id, out of those that there are; anything else is told to it as
wrong and, in the end, a reason without an edit: never an IndexError, never the last rule instead.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from selaras.core.json_schema import Schema, a_text, an_object, one_of
from selaras.core.records import Record
from selaras.prompt.asking import text_field
from selaras.prompt.gates import author_text
from selaras.template import Principle, PromptTemplate, with_principles

Op = Literal["add", "edit", "delete", "none"]
OPS: tuple[Op, ...] = ("add", "edit", "delete", "none")
LONGEST_PRINCIPLE, LONGEST_REASON = 300, 600
_NUMBERED = re.compile(r"^(?:\W|\d+[.)])+(?=[A-Za-z])")


class PrincipleEdit(Record):
    """What is to be done to the principles; `principle_id` names the one for edit and delete."""

    op: Op
    principle_id: str | None = None
    text: str = ""
    reason: str = ""


def edit_schema(principles: Sequence[Principle], ops: Sequence[Op] = OPS) -> Schema:
    """Return the JSON Schema of an edit: ids are those of the principles that hold."""
    ids = [principle.id for principle in principles if principle.holds]
    possible = [op for op in ops if ids or op in {"add", "none"}]
    return an_object(
        op=one_of(*possible),
        principle_id={"enum": [*ids, None]},
        reason=a_text("what right responses have that the wrong ones lack, in a few words"),
        text=a_text("the rule, in one sentence"),
    )


def read_edit(value: Mapping[str, Any], template: PromptTemplate) -> PrincipleEdit:
    """Return the edit of a reply; raises ValueError with what is wrong with it."""
    holding = {p.id: p for p in template.front.selaras.principles if p.holds}
    op = str(value.get("op", "")).strip().casefold()
    if op not in OPS:
        raise ValueError(f'"op" is {op[:40]!r}, and has to be one of {", ".join(OPS)}')
    named = value.get("principle_id")
    reason = text_field(value, "reason", LONGEST_REASON, required=False)
    if op == "none":
        return PrincipleEdit(op="none", reason=reason)
    if op == "add":
        return PrincipleEdit(op="add", text=_principle(value, template), reason=reason)
    known = ", ".join(holding) or "there are none"
    if named is None or str(named) not in holding:
        raise ValueError(f'"principle_id" is {str(named)[:40]!r}, and there are: {known}')
    if op == "delete":
        return PrincipleEdit(op="delete", principle_id=str(named), reason=reason)
    text = _principle(value, template, besides=str(named))
    return PrincipleEdit(op="edit", principle_id=str(named), text=text, reason=reason)


def apply_edit(
    template: PromptTemplate,
    edit: PrincipleEdit,
    feedback: Sequence[str] = (),
    policy: str | None = None,
) -> PromptTemplate:
    """Return the template with the edit done and its block compiled anew.

    Everything outside the block stays byte for byte. A principle that is deleted stays on record.
    Raises InputError where the block was edited by hand since.
    """
    principles = list(template.front.selaras.principles)
    if edit.op == "add":
        taken = {principle.id for principle in principles}
        number = next(n for n in range(1, len(taken) + 2) if f"p{n}" not in taken)
        principles.append(
            Principle(id=f"p{number}", text=edit.text, feedback=tuple(feedback), policy=policy)
        )
    elif edit.op in {"edit", "delete"}:
        changes: dict[str, Any] = {"status": "edited" if edit.op == "edit" else "deleted"}
        if edit.op == "edit":
            changes["text"] = edit.text
        principles = [
            p.model_copy(
                update={**changes, "feedback": tuple(dict.fromkeys((*p.feedback, *feedback)))}
            )
            if p.id == edit.principle_id
            else p
            for p in principles
        ]
    else:
        return template
    return with_principles(template, principles)


def in_words(edit: PrincipleEdit) -> str:
    """Return the edit in a line.

    >>> in_words(PrincipleEdit(op="edit", principle_id="p2", text="Be brief."))
    'edit p2: Be brief.'
    """
    named = f" {edit.principle_id}" if edit.principle_id else ""
    return f"{edit.op}{named}" + (f": {edit.text}" if edit.text else "")


def _principle(value: Mapping[str, Any], template: PromptTemplate, besides: str = "") -> str:
    text = " ".join(text_field(value, "text", LONGEST_PRINCIPLE).split())
    text = _NUMBERED.sub("", text)
    if "{{" in text or "}}" in text or "<|" in text:
        raise ValueError('"text" holds marks such as {{ }} or <|; write plain words')
    if len(text.split()) < 3:
        raise ValueError(f'"text" is {text!r}: write the rule as a whole sentence')
    same = " ".join(text.casefold().split())
    for principle in template.front.selaras.principles:
        if principle.holds and principle.id != besides and principle.text.casefold() == same:
            raise ValueError(f'"text" says what {principle.id} says already')
    # Small models like to hand back a sentence of the instructions that they were shown.
    if same.rstrip(".!") in " ".join(author_text(template).casefold().split()):
        raise ValueError('"text" stands in the instructions already, word for word')
    return text
