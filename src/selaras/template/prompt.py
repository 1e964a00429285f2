"""`.prompt` files: YAML front matter and a body with roles and {{variables}}, and no logic.

The subset of dotprompt that Selaras reads: `{{role "system"}}`, `{{role "user"}}`,
`{{role "model"}}` start a message; `{{name}}` is a variable; `\\{{` is a literal `{{`. The special
variable `{{input}}` stands for the use case's own `input`. The body is parsed before any value is
put in and values are never scanned again, so that text from a row cannot become a role or a
variable.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.files import read_text
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Record, Role
from selaras.core.system import Sampling

ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "model": "assistant",
    "assistant": "assistant",
}
INPUT, QUERY = "input", "query"
_OPENED = re.compile(r"\A---[ \t]*$", re.MULTILINE)
_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_TAG = re.compile(r"\\\{\{|\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")
_ROLE = re.compile(r"""role\s+["'](\w+)["']""")


@dataclass(frozen=True, slots=True)
class Literal:
    """Text of the template's author."""

    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A place for a value."""

    name: str


Piece = Literal | Variable


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a template."""

    role: Role
    pieces: tuple[Piece, ...]


class FrontMatter(Record):
    """The front matter that Selaras understands; `selaras` is the block for its own stages."""

    name: str | None = None
    model: str | None = None
    config: Sampling | None = None
    input: dict[str, Any] = Field(default_factory=dict)
    selaras: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A parsed template. Its fingerprint is the identity of its turns, not of its file name."""

    turns: tuple[Turn, ...]
    front: FrontMatter

    @property
    def fingerprint(self) -> str:
        turns = [
            [turn.role, [[type(p).__name__, _content(p)] for p in turn.pieces]]
            for turn in self.turns
        ]
        return fingerprint(turns)

    @property
    def variables(self) -> frozenset[str]:
        """The names that the template has a place for."""
        return frozenset(
            piece.name
            for turn in self.turns
            for piece in turn.pieces
            if isinstance(piece, Variable)
        )


PLAIN = PromptTemplate((Turn("user", (Variable(INPUT),)),), FrontMatter(name="plain"))


def load_prompt(path: Path) -> PromptTemplate:
    """Return the template in a file; raises InputError with the line that is wrong."""
    return parse_prompt(read_text(path), path)


def parse_prompt(text: str, path: Path | None = None) -> PromptTemplate:
    """Return the template of a text.

    Raises InputError for an unknown tag (there is no logic), an unknown role, front matter or a tag
    that is not closed, an empty body.

    >>> template = parse_prompt('{{role "system"}}Be brief.{{role "user"}}{{article}} Summary:')
    >>> [turn.role for turn in template.turns], sorted(template.variables)
    (['system', 'user'], ['article'])
    """
    text = text.replace("\r\n", "\n")
    match = _FRONT.match(text)
    if match is None and _OPENED.match(text):
        raise InputError(
            "the front matter has no end", path=path, line=1, fix="close it with a line ---"
        )
    front = _front(match.group(1), path) if match else FrontMatter()
    body = text[match.end() :] if match else text
    first_line = text[: match.end()].count("\n") + 1 if match else 1
    turns: list[Turn] = []
    role: Role = "user"
    pieces: list[Piece] = []
    for piece in _pieces(body, path, first_line):
        if isinstance(piece, Turn):
            turns += _turn(role, pieces)
            role, pieces = piece.role, []
        else:
            pieces.append(piece)
    turns += _turn(role, pieces)
    if not turns:
        raise InputError("the template has no text", path=path)
    return PromptTemplate(tuple(turns), front)


def parse_pieces(text: str, path: Path | None = None) -> tuple[Piece, ...]:
    """Return the pieces of a text without roles (a use case's `input`)."""
    pieces = []
    for piece in _pieces(text, path, 1):
        if isinstance(piece, Turn):
            raise InputError("a role has no place here", path=path, field="input")
        pieces.append(piece)
    return tuple(pieces)


def _content(piece: Piece) -> str:
    return piece.text if isinstance(piece, Literal) else piece.name


def _front(text: str, path: Path | None) -> FrontMatter:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, KeyError, IndexError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else None
        raise InputError("broken YAML in the front matter", path=path, line=line) from error
    if not isinstance(value, dict | None):
        raise InputError("the front matter holds no fields", path=path, fix="write name: value")
    return checked(FrontMatter, value or {}, path=path)


def _pieces(body: str, path: Path | None, line: int) -> Iterator[Piece | Turn]:
    position = 0
    for match in _TAG.finditer(body):
        if match.start() > position:
            yield Literal(body[position : match.start()])
        position = match.end()
        tag = match.group(1)
        if tag is None:
            yield Literal("{{")
            continue
        yield _tag(tag.strip(), path, line + body.count("\n", 0, match.start()))
    rest = body[position:]
    if "{{" in rest:
        at = line + body.count("\n", 0, position + rest.index("{{"))
        raise InputError(
            "a {{ is not closed",
            path=path,
            line=at,
            fix="close it with }}, or write \\{{ for braces",
        )
    if rest:
        yield Literal(rest)


def _tag(tag: str, path: Path | None, line: int) -> Variable | Turn:
    if _NAME.fullmatch(tag):
        return Variable(tag)
    if match := _ROLE.fullmatch(tag):
        if role := ROLES.get(match.group(1)):
            return Turn(role, ())
        raise InputError(
            f"unknown role {match.group(1)!r}", path=path, line=line,
            fix=f"use one of: {', '.join(ROLES)}",
        )  # fmt: skip
    raise InputError(
        f"unknown tag {{{{{tag[:40]}}}}}", path=path, line=line,
        fix='use {{role "…"}} and {{variables}} only; write \\{{ for literal braces',
    )  # fmt: skip


def _turn(role: Role, pieces: list[Piece]) -> list[Turn]:
    """Return the turn without the blank space around it, or nothing where it says nothing."""
    merged: list[Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if isinstance(piece, Literal) and isinstance(last, Literal):
            merged[-1] = Literal(last.text + piece.text)
        else:
            merged.append(piece)
    if merged and isinstance(merged[0], Literal):
        merged[0] = Literal(merged[0].text.lstrip())
    if merged and isinstance(merged[-1], Literal):
        merged[-1] = Literal(merged[-1].text.rstrip())
    kept = tuple(p for p in merged if isinstance(p, Variable) or p.text)
    return [Turn(role, kept)] if kept else []
