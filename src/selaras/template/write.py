"""Templates back to text, and the edits that keep everything else byte for byte."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.files import write_text
from selaras.core.records import Role
from selaras.template.front import Principle
from selaras.template.front_edit import edit_front
from selaras.template.lex import escape, lex, unescape
from selaras.template.prompt import PromptTemplate, filled_with, parse_prompt

_EXAMPLES = ("open", "examples")
OPENING, CLOSING = "{{! principles }}", "{{! /principles }}"


@dataclass(frozen=True, slots=True)
class Frozen:
    """A text that no edit may change, in a message of `role`."""

    name: str
    role: Role
    text: str


def write_prompt(template: PromptTemplate) -> str:
    """Return the text of a template; parsing it gives the template again.

    >>> text = '---\\nname: a # mine\\n---\\n{{role "system"}}Be brief.  \\n'
    >>> write_prompt(parse_prompt(text)) == text
    True
    """
    return template.head + template.body


def save_prompt(path: Path, template: PromptTemplate) -> None:
    """Write a template to a file, whole or not at all."""
    write_text(path, write_prompt(template))


def with_body(template: PromptTemplate, body: str) -> PromptTemplate:
    """Return the template with another body and the same front matter; raises InputError."""
    return _again(template, template.head + body)


def with_front(template: PromptTemplate, changes: Mapping[str, Any]) -> PromptTemplate:
    """Return the template with fields of its `selaras` block set (None takes one out)."""
    return _again(template, edit_front(template.head, changes) + template.body)


def with_principles(template: PromptTemplate, principles: Iterable[Principle]) -> PromptTemplate:
    """Return the template with these principles, and its marked block compiled from them.

    Nothing outside the block changes. Where there is no block yet it stands at the end of the
    system message, which is made where there is none. Raises InputError where the block was edited
    by hand since it was compiled: `adopted` takes such edits over first.
    """
    if edited_by_hand(template):
        raise InputError(
            "the principles block was edited by hand, and the edit would be lost",
            field="selaras.principles", fix="take the edit over first: selaras prompt adopt FILE",
        )  # fmt: skip
    principles = tuple(principles)
    body = _with_block(template, compile_principles(principles))
    values = [p.model_dump(mode="json", exclude_defaults=True) for p in principles]
    return _again(template, edit_front(template.head, {"principles": values or None}) + body)


def compile_principles(principles: Iterable[Principle]) -> str:
    """Return the text of the principles that hold, one a line, in their order.

    >>> compile_principles([Principle(id="a", text="Be brief."),
    ...                     Principle(id="b", text="Shout.", status="deleted")])
    '- Be brief.'
    """
    lines = [" ".join(principle.text.split()) for principle in principles if principle.holds]
    return "\n".join(f"- {escape(line)}" for line in lines)


def edited_by_hand(template: PromptTemplate) -> bool:
    """Return whether the marked block says something else than the front matter's principles."""
    span = template.span("principles")
    if span is None:
        return False
    compiled = compile_principles(template.front.selaras.principles)
    return template.body[span.start : span.end].strip() != compiled


def adopted(template: PromptTemplate) -> PromptTemplate:
    """Return the template with edits that people made inside the principles block taken over.

    A line that says what a principle says is that principle; the closest other line is the same
    principle, edited; what is left over is a new one, and a principle without a line is deleted.
    """
    span = template.span("principles")
    if span is None or not edited_by_hand(template):
        return template
    inner = template.body[span.start : span.end]
    lines = [unescape(line.strip().removeprefix("- ")) for line in inner.splitlines()]
    principles = _matched(template.front.selaras.principles, [line for line in lines if line])
    body = _inside(template.body[: span.start], compile_principles(principles))
    values = [p.model_dump(mode="json", exclude_defaults=True) for p in principles]
    head = edit_front(template.head, {"principles": values})
    return _again(template, head + body + template.body[span.end :])


def frozen_spans(template: PromptTemplate) -> tuple[Frozen, ...]:
    """Return the texts that no edit may change: those marked in the body, then the listed ones."""
    marked = [
        Frozen(span.name, span.role, template.body[span.start : span.end])
        for span in template.spans
        if span.kind == "frozen"
    ]
    listed = [
        Frozen(name, _role_at(template.body, template.body.index(text)), text)
        for name, text in template.front.selaras.frozen.items()
    ]
    return (*marked, *listed)


def _again(template: PromptTemplate, text: str) -> PromptTemplate:
    made = parse_prompt(text)
    named = set(made.front.selaras.examples.rows)
    kept = [shown for shown in template.shown if shown.id in named]
    return filled_with(made, [*made.shown, *kept]) if kept else made


def _with_block(template: PromptTemplate, compiled: str) -> str:
    body, span = template.body, template.span("principles")
    if span is not None:
        return _inside(body[: span.start], compiled) + body[span.end :]
    if not compiled:
        return body
    block = f"{OPENING}\n{compiled}\n{CLOSING}\n"
    if template.front.selaras.form == "raw":
        return f"{block}\n{body}"
    roles = [token for token in lex(body) if token.kind == "role"]
    system = next((i for i, token in enumerate(roles) if token.text == "system"), None)
    if system is None:
        # Text before the first role is the user's and has to stay so.
        before = body[: roles[0].start] if roles else body
        user = '{{role "user"}}\n' if before.strip() else ""
        return f'{{{{role "system"}}}}\n{block}{user}{body}'
    end = roles[system + 1].start if system + 1 < len(roles) else len(body)
    # The examples' own roles stand inside their marks, where no other mark may.
    examples = [token.start for token in lex(body) if (token.kind, token.text) == _EXAMPLES]
    end = min([end, *(start for start in examples if start > roles[system].start)])
    said = body[:end].rstrip()
    return f"{said}\n{block}{body[end:]}"


def _inside(before: str, compiled: str) -> str:
    """Return the text before a block with the lines in it; its closing mark is on a new line."""
    first = "" if before.endswith("\n") else "\n"
    return before + first + (f"{compiled}\n" if compiled else "")


def _matched(old: tuple[Principle, ...], lines: list[str]) -> tuple[Principle, ...]:
    by_text = {" ".join(p.text.split()): p for p in old if p.holds}
    taken: dict[str, Principle] = {line: by_text[line] for line in lines if line in by_text}
    free = {p.id: p for p in by_text.values() if p not in taken.values()}
    for line in lines:
        if line in taken:
            continue
        close = difflib.get_close_matches(line, [p.text for p in free.values()], n=1, cutoff=0.5)
        found = next((p for p in free.values() if [p.text] == close), None)
        if found is not None:
            taken[line] = found.model_copy(update={"text": line, "status": "edited"})
            del free[found.id]
    ids = {principle.id for principle in old}
    for line in lines:
        if line not in taken:
            name = next(f"hand-{n}" for n in range(1, len(ids) + 2) if f"hand-{n}" not in ids)
            ids.add(name)
            taken[line] = Principle(id=name, text=line)
    now = list(dict.fromkeys(lines))
    gone = [p if not p.holds else p.model_copy(update={"status": "deleted"})
            for p in old if not p.holds or p.id in free]  # fmt: skip
    return (*(taken[line] for line in now), *gone)


def _role_at(body: str, place: int) -> Role:
    roles = [token.text for token in lex(body) if token.kind == "role" and token.start <= place]
    return roles[-1] if roles else "user"  # type: ignore[return-value]
