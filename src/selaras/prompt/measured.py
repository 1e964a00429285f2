"""Parts of a template that were measured: where they stand, and the template without or reworded.

`selaras debug --rows` says what a part does as it was rendered. Here it is found again in the body
as its author wrote it: text by its words, a principle in its record, a few-shot example by its id.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from selaras.core.errors import InputError
from selaras.prompt.edit import PrincipleEdit, apply_edit
from selaras.template import Principle, PromptTemplate, with_body, with_front
from selaras.template.finding import Finding
from selaras.template.lex import escape, lex

Change = Literal["delete", "reword"]


@dataclass(frozen=True, slots=True)
class _Run:
    """Text of the author without a tag in it; character i stands at body[at[i] : at[i + 1]]."""

    role: str
    mark: str | None
    text: str
    at: tuple[int, ...]


def changes_for(finding: Finding, among: Sequence[Finding]) -> tuple[Change, ...]:
    """Return what a finding asks for, the likeliest first; nothing for what works or is not ours.

    What makes the model refuse what it has to refuse is never deleted for another finding's sake.
    """
    if finding.finding == "makes_it_refuse" or finding.segment.origin == "silent":
        return ()
    works = any(
        each.finding == "makes_it_refuse" and each.segment == finding.segment for each in among
    )
    if finding.segment.origin == "few_shot":
        return () if works else ("delete",)
    if finding.finding == "never_matters":
        return ("delete",)
    if works:
        return ("reword",)
    return ("delete", "reword") if finding.finding == "harms" else ("reword", "delete")


def place_of(template: PromptTemplate, finding: Finding) -> tuple[int, int] | None:
    """Return [start, end) of a finding's part in the body, or None where it does not stand there.

    A few-shot example stands where its block is.
    """
    part = finding.segment
    if part.origin == "silent":
        return None
    if part.origin == "few_shot":
        span = template.span("examples") if part.example else None
        if span is not None:
            return span.start, span.end
        return next((_trimmed(run) for run in _runs(template) if _begins(run, part.text)), None)
    left = part.nth
    for run in _runs(template):
        if run.role != part.role:
            continue
        found = run.text.find(part.text)
        while found >= 0:
            if not left:
                return run.at[found], run.at[found + len(part.text)]
            left -= 1
            found = run.text.find(part.text, found + len(part.text))
    return None


def without(template: PromptTemplate, finding: Finding) -> PromptTemplate:
    """Return the template without the part; raises InputError where that cannot be done."""
    part = finding.segment
    if part.origin == "few_shot":
        return _without_example(template, finding)
    start, end, principle = _placed(template, finding)
    if principle is not None:
        return _principle(template, principle, part.text, "")
    run = next(run for run in _runs(template) if run.at[0] <= start < run.at[-1])
    body = template.body
    # The white space before a part goes with it, and what follows the first one of its message.
    before = body[run.at[0] : start]
    if before.strip():
        start -= len(before) - len(before.rstrip())
    else:
        after = body[end : run.at[-1]]
        end += len(after) - len(after.lstrip())
    return with_body(template, body[:start] + body[end:])


def reworded(template: PromptTemplate, finding: Finding, text: str) -> PromptTemplate:
    """Return the template with other words in the part's place; raises InputError as `without`."""
    if finding.segment.origin == "few_shot":
        raise InputError(
            "a few-shot example is not written anew", fix="delete it, or choose others"
        )
    start, end, principle = _placed(template, finding)
    if principle is not None:
        return _principle(template, principle, finding.segment.text, text)
    return with_body(template, template.body[:start] + escape(text) + template.body[end:])


def _placed(template: PromptTemplate, finding: Finding) -> tuple[int, int, Principle | None]:
    """Return where the part stands, and the principle that it is of, if it is of one."""
    place = place_of(template, finding)
    if place is None:
        raise InputError(f"this does not stand in the template: {finding.segment.text[:80]!r}")
    span = template.span("principles")
    if span is None or not span.start <= place[0] < span.end:
        return *place, None
    said = _bare(finding.segment.text)
    for principle in template.front.selaras.principles:
        if principle.holds and said in " ".join(principle.text.split()):
            return *place, principle
    raise InputError(f"no principle says {said[:80]!r}", fix="see: selaras prompt adopt FILE")


def _principle(
    template: PromptTemplate, principle: Principle, part: str, text: str
) -> PromptTemplate:
    """Return the template with a part of a principle reworded, or (no text) taken out."""
    whole = " ".join(principle.text.split())
    left = " ".join(whole.replace(_bare(part), " ".join(_bare(text).split()), 1).split())
    edit = PrincipleEdit(op="edit", principle_id=principle.id, text=left)
    if not left:
        edit = PrincipleEdit(op="delete", principle_id=principle.id)
    return apply_edit(template, edit)


def _without_example(template: PromptTemplate, finding: Finding) -> PromptTemplate:
    name, text = finding.segment.example, finding.segment.text
    if name is None:
        raise InputError(
            "this example is written as messages of its own, which no edit takes out",
            fix="mark the examples with {{! examples }}, or delete it by hand",
        )
    examples = template.front.selaras.examples
    rows = [row for row in examples.rows if row != name]
    inline = list(map(dict, examples.inline))
    if len(rows) == len(examples.rows):
        # Inline examples are numbered anew when one goes: it is told by what it says.
        said = [i for i, values in enumerate(inline) if _is_said(template, values, text)]
        if not said:
            raise InputError(f"the few-shot example {name!r} is not in the template any more")
        number = int(name.removeprefix("inline-")) - 1 if name.startswith("inline-") else -1
        del inline[number if number in said else said[0]]
    kept = {key: items for key, items in (("rows", rows), ("inline", inline)) if items}
    return with_front(template, {"examples": kept or None})


def _is_said(template: PromptTemplate, values: dict[str, str], text: str) -> bool:
    span = template.span("examples")
    block = template.body[span.start : span.end] if span else ""
    used = {token.text for token in lex(block) if token.kind == "variable"}
    return all(value.strip() in text for name, value in values.items() if name in used)


def _runs(template: PromptTemplate) -> Iterator[_Run]:
    """Yield the author's text outside the examples block, cut at variables, marks and roles."""
    role, mark, text, at, end = "user", None, "", list[int](), 0
    for token in [*lex(template.body), None]:
        if token is not None and token.kind == "comment":
            continue
        if token is None or token.kind != "text":
            if text.strip() and mark != "examples":
                yield _Run(role, mark, text, (*at, end))
            text, at = "", []
        if token is None or token.kind == "variable":
            continue
        if token.kind == "text":
            source = token.end - token.start
            plain = source == len(token.text)
            # Both braces of an escape stand where the escape does.
            at += range(token.start, token.end) if plain else [token.start] * len(token.text)
            text, end = text + token.text, token.end
        elif token.kind == "role":
            role = token.text
        else:
            mark = token.text if token.kind == "open" else None


def _begins(run: _Run, text: str) -> bool:
    return run.role == "user" and run.mark is None and text.startswith(run.text.strip())


def _trimmed(run: _Run) -> tuple[int, int]:
    first = len(run.text) - len(run.text.lstrip())
    return run.at[first], run.at[len(run.text.rstrip())]


def _bare(text: str) -> str:
    """Return a principle's words without the dash of its line."""
    return " ".join(text.strip().removeprefix("- ").split())
