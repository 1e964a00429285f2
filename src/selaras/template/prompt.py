"""`.prompt` files: YAML front matter and a body with roles and {{variables}}, and no logic.

The subset of dotprompt that Selaras reads: `{{role "system"}}`, `{{role "user"}}`,
`{{role "model"}}` start a message; `{{name}}` is a variable; `\\{{` is a literal `{{`;
`{{! words }}` is a comment, and some comments are marks (see `lex`). The special variable
`{{input}}` stands for the use case's own `input`. The body is parsed before any value is put in
and values are never scanned again, so that text from a row cannot become a role or a variable.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from typing import Literal as OneOf

import yaml

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.files import read_text
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Role
from selaras.template.front import FrontMatter
from selaras.template.lex import Token, lex

INPUT, QUERY, RESPONSE = "input", "query", "response"
_OPENED = re.compile(r"\A---[ \t]*$", re.MULTILINE)
_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$\n?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Literal:
    """Text of the template's author; `mark` names the marked span that it stands in."""

    text: str
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """A place for a value."""

    name: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A value that a few-shot example has put in a place; it is never scanned."""

    text: str
    mark: str


Piece = Literal | Variable | Filled


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a template."""

    role: Role
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """What stands between two marks: body[start:end], in a message of `role`."""

    kind: OneOf["frozen", "principles", "examples"]
    name: str
    role: Role
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A few-shot example: the values that the examples block is filled with."""

    id: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A parsed template. Its fingerprint is the identity of its turns, not of its file name.

    `head` and `body` are the file as it was written, `spans` its marked parts. `shown` are the
    few-shot examples in `turns`; `unfilled` the rows that are named as examples and were not read
    yet (see `with_examples`).
    """

    turns: tuple[Turn, ...]
    front: FrontMatter
    head: str = ""
    body: str = ""
    spans: tuple[Span, ...] = ()
    shown: tuple[Shown, ...] = ()

    @property
    def fingerprint(self) -> str:
        turns = [[turn.role, list(_merged(turn.pieces))] for turn in self.turns]
        form = self.front.selaras.form
        return fingerprint([*turns, *self.unfilled, *([form] if form != "chat" else [])])

    @property
    def variables(self) -> frozenset[str]:
        """The names that the template has a place for."""
        return frozenset(
            piece.name
            for turn in self.turns
            for piece in turn.pieces
            if isinstance(piece, Variable)
        )

    @property
    def unfilled(self) -> tuple[str, ...]:
        """The rows that are named as examples and whose text is not here."""
        known = {shown.id for shown in self.shown}
        return tuple(name for name in self.front.selaras.examples.rows if name not in known)

    def span(self, kind: str) -> Span | None:
        """Return the first marked span of a kind, or None."""
        return next((span for span in self.spans if span.kind == kind), None)


def load_prompt(path: Path) -> PromptTemplate:
    """Return the template in a file; raises InputError with the line that is wrong."""
    return parse_prompt(read_text(path), path)


def parse_prompt(text: str, path: Path | None = None) -> PromptTemplate:
    """Return the template of a text.

    Raises InputError for an unknown tag (there is no logic), an unknown role, front matter, a tag
    or a mark that is not closed, a frozen text that is not in the body, an empty body.

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
    head, body = (text[: match.end()], text[match.end() :]) if match else ("", text)
    tokens = list(lex(body, path, head.count("\n") + 1))
    spans = _spans(tokens, body, path, head.count("\n") + 1)
    _frozen_texts_are_there(front, body, path)
    inline = front.selaras.examples.inline
    shown = tuple(Shown(f"inline-{i}", values) for i, values in enumerate(inline, 1))
    examples = front.selaras.examples
    if (examples.rows or inline) and not any(span.kind == "examples" for span in spans):
        raise InputError(
            "there are few-shot examples and no place for them", path=path,
            field="selaras.examples", fix="mark it with {{! examples }}…{{! /examples }}",
        )  # fmt: skip
    turns = _turns(tokens, shown, path)
    if not turns and not examples.rows:
        raise InputError("the template has no text", path=path)
    template = PromptTemplate(turns, front, head, body, spans, shown)
    if front.selaras.form == "raw" and [turn.role for turn in turns] != ["user"]:
        raise InputError(
            "a raw template is one text without roles", path=path, field="selaras.form",
            fix='take the {{role "…"}} tags out, or write form: chat',
        )  # fmt: skip
    return template


def parse_pieces(text: str, path: Path | None = None) -> tuple[Piece, ...]:
    """Return the pieces of a text without roles (a use case's `input`)."""
    pieces: list[Piece] = []
    for token in lex(text, path):
        if token.kind in {"role", "open", "close"}:
            raise InputError("a role has no place here", path=path, field="input")
        pieces += _piece(token, None)
    return tuple(pieces)


def filled_with(template: PromptTemplate, shown: Sequence[Shown]) -> PromptTemplate:
    """Return the template with these few-shot examples and no others.

    Raises InputError for an example that lacks a value of the examples block.
    """
    return replace(template, shown=tuple(shown), turns=_turns(lex(template.body), shown, None))


def _front(text: str, path: Path | None) -> FrontMatter:
    try:
        value: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, KeyError, IndexError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else None
        raise InputError("broken YAML in the front matter", path=path, line=line) from error
    if not isinstance(value, dict | None):
        raise InputError("the front matter holds no fields", path=path, fix="write name: value")
    given = {name: field for name, field in (value or {}).items() if field is not None}
    return checked(FrontMatter, given, path=path)


def _spans(
    tokens: Iterable[Token], body: str, path: Path | None, first_line: int
) -> tuple[Span, ...]:
    spans: list[Span] = []
    opened: Token | None = None
    role: Role = "user"
    role_at_opening: Role = role

    def wrong(token: Token, what: str, fix: str) -> InputError:
        line = first_line + body.count("\n", 0, token.start)
        return InputError(what, path=path, line=line, fix=fix)

    for token in tokens:
        if token.kind == "role":
            role = token.text  # type: ignore[assignment]
        elif token.kind == "open":
            if opened is not None:
                raise wrong(token, f"{token.text} is marked inside {opened.text}",
                            f"close {opened.text} first")  # fmt: skip
            opened, role_at_opening = token, role
        elif token.kind == "close":
            if opened is None or opened.text != token.text:
                raise wrong(token, f"the mark {token.text} is closed and was not opened",
                            f"write {{{{! {token.text} }}}} before it")  # fmt: skip
            kind, _, name = token.text.partition(":")
            if any((span.kind, span.name) == (kind, name) for span in spans):
                raise wrong(token, f"{token.text} is marked twice", "mark it once")
            spans.append(Span(kind, name, role_at_opening, opened.end, token.start))  # type: ignore[arg-type]
            opened = None
    if opened is not None:
        raise wrong(opened, f"the mark {opened.text} is not closed",
                    f"close it with {{{{! /{opened.text} }}}}")  # fmt: skip
    return tuple(spans)


def _frozen_texts_are_there(front: FrontMatter, body: str, path: Path | None) -> None:
    for name, text in front.selaras.frozen.items():
        if text not in body:
            raise InputError(
                f"the frozen text {name!r} is not in the body", path=path, field="selaras.frozen",
                fix="write it into the body as it stands here, or take it out here",
            )  # fmt: skip


def _turns(tokens: Iterable[Token], shown: Sequence[Shown], path: Path | None) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    role: Role = "user"
    pieces: list[Piece] = []
    for item in _items(tokens, shown, path):
        if isinstance(item, str):
            turns += _turn(role, pieces)
            role, pieces = item, []
        else:
            pieces.append(item)
    return (*turns, *_turn(role, pieces))


def _items(
    tokens: Iterable[Token], shown: Sequence[Shown], path: Path | None
) -> Iterator[Piece | Role]:
    """Yield pieces and the roles between them, the examples block once an example."""
    mark: str | None = None
    skeleton: list[Token] = []
    for token in tokens:
        if token.kind == "open":
            mark = token.text
        elif token.kind == "close":
            for example in shown if token.text == "examples" else ():
                for inner in skeleton:
                    yield from _example_item(inner, example, path)
            mark, skeleton = None, []
        elif mark == "examples":
            skeleton.append(token)
        elif token.kind == "role":
            yield token.text  # type: ignore[misc]
        else:
            yield from _piece(token, mark)


def _example_item(token: Token, example: Shown, path: Path | None) -> Iterator[Piece | Role]:
    mark = f"example:{example.id}"
    if token.kind == "role":
        yield token.text  # type: ignore[misc]
    elif token.kind != "variable":
        yield from _piece(token, mark)
    elif token.text in example.values:
        yield Filled(example.values[token.text], mark)
    else:
        raise InputError(
            f"the example {example.id} has no value for {{{{{token.text}}}}}", path=path,
            field="selaras.examples", fix=f"give it one, or take {{{{{token.text}}}}} out",
        )  # fmt: skip


def _piece(token: Token, mark: str | None) -> list[Piece]:
    if token.kind == "variable":
        return [Variable(token.text)]
    return [Literal(token.text, mark)] if token.kind == "text" else []


def _merged(pieces: Iterable[Piece]) -> Iterator[list[str]]:
    """Yield [kind, content]: how text is divided by marks is no part of what a model reads."""
    text = ""
    for piece in pieces:
        if not isinstance(piece, Variable):
            text += piece.text
            continue
        if text:
            yield ["Literal", text]
        text = ""
        yield ["Variable", piece.name]
    if text:
        yield ["Literal", text]


def _turn(role: Role, pieces: Sequence[Piece]) -> list[Turn]:
    """Return the turn without the blank space around it, or nothing where it says nothing."""
    merged: list[Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if isinstance(piece, Literal) and isinstance(last, Literal) and piece.mark == last.mark:
            merged[-1] = Literal(last.text + piece.text, last.mark)
        else:
            merged.append(piece)
    while merged and isinstance(merged[0], Literal):
        merged[0] = replace(merged[0], text=merged[0].text.lstrip())
        if merged[0].text:
            break
        del merged[0]
    while merged and isinstance(merged[-1], Literal):
        merged[-1] = replace(merged[-1], text=merged[-1].text.rstrip())
        if merged[-1].text:
            break
        del merged[-1]
    kept = tuple(p for p in merged if isinstance(p, Variable) or p.text)
    return [Turn(role, kept)] if kept else []


PLAIN = parse_prompt("---\nname: plain\n---\n{{input}}\n")
