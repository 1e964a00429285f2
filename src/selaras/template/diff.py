"""What changed between two templates: line by line, and stretch by stretch with role and mark."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal as OneOf

from selaras.core.records import Role
from selaras.template.prompt import PromptTemplate, Variable
from selaras.template.write import write_prompt

Kind = OneOf["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """A line of a message that was added, removed or changed; `mark` names its marked span."""

    kind: Kind
    role: Role
    mark: str | None
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class _Line:
    role: Role
    mark: str | None
    text: str


def text_diff(before: PromptTemplate, after: PromptTemplate, names: tuple[str, str]) -> str:
    """Return the unified diff of two templates as they are written."""
    lines = difflib.unified_diff(
        write_prompt(before).splitlines(), write_prompt(after).splitlines(), *names, lineterm=""
    )
    return "\n".join(lines)


def segment_diff(before: PromptTemplate, after: PromptTemplate) -> list[Change]:
    """Return what changed in what the model is told, in order; comments and front matter are not.

    >>> from selaras.template.prompt import parse_prompt
    >>> old, new = parse_prompt("Be brief. {{x}}"), parse_prompt("Be very brief. {{x}}")
    >>> [(c.kind, c.role, c.after) for c in segment_diff(old, new)]
    [('changed', 'user', 'Be very brief. {{x}}')]
    """
    first, second = _lines(before), _lines(after)
    changes: list[Change] = []
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind != "equal":
            changes += _paired(first[i:j], second[k:m])
    return changes


def _paired(old: Sequence[_Line], new: Sequence[_Line]) -> list[Change]:
    """Return changed lines side by side where role and mark agree, the rest as gone or new."""
    changes: list[Change] = []
    left = list(new)
    for line in old:
        place = [(each.role, each.mark) for each in left]
        if (line.role, line.mark) in place:
            other = left.pop(place.index((line.role, line.mark)))
            changes.append(Change("changed", line.role, line.mark, line.text, other.text))
        else:
            changes.append(Change("removed", line.role, line.mark, line.text, ""))
    return changes + [Change("added", each.role, each.mark, "", each.text) for each in left]


def _lines(template: PromptTemplate) -> list[_Line]:
    found: list[_Line] = []
    for turn in template.turns:
        lines = [_Line(turn.role, None, "")]
        for piece in turn.pieces:
            text = f"{{{{{piece.name}}}}}" if isinstance(piece, Variable) else piece.text
            mark = None if isinstance(piece, Variable) else piece.mark
            for number, part in enumerate(text.split("\n")):
                # A line may be of several pieces; a mark begins one of its own.
                if number or lines[-1].mark != mark:
                    lines.append(_Line(turn.role, mark, part))
                else:
                    lines[-1] = _Line(turn.role, mark, lines[-1].text + part)
        found += [line for line in lines if line.text.strip()]
    return found
