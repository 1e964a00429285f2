"""The body of a template as tokens: text, variables, roles and marks, each with its place.

Marks are Handlebars comments, so that a dotprompt reader that knows nothing of them renders the
same text: `{{! frozen:NAME }}…{{! /frozen:NAME }}` is text that no edit may change,
`{{! principles }}…{{! /principles }}` what is compiled from the front matter's principles,
`{{! examples }}…{{! /examples }}` what is repeated once a few-shot example. They decide nothing at
rendering: there is still no logic. A comment that is alone on its line takes the line with it, as
in Handlebars.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal as OneOf

from selaras.core.errors import InputError
from selaras.core.records import Role

ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "model": "assistant",
    "assistant": "assistant",
}
TokenKind = OneOf["text", "variable", "role", "open", "close", "comment"]
# No comment runs over its own end, however far a line's end may be.
_COMMENT = r"\{\{!(?:--(?P<%sl>(?:(?!--\}\}).)*)--|(?P<%ss>(?!--)(?:(?!\}\}).)*))\}\}"
_TAG = re.compile(
    r"(?P<escape>\\\{\{)"
    r"|^[ \t]*" + _COMMENT % ("a", "a") + r"[ \t]*(?:\n|\Z)"
    r"|" + _COMMENT % ("b", "b") + r"|\{\{(?P<tag>.*?)\}\}",
    re.DOTALL | re.MULTILINE,
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_ROLE = re.compile(r"""role\s+["'](\w+)["']""")
_MARK = re.compile(r"(?P<close>/?)(?P<kind>frozen:(?P<name>\w[\w.-]*)|principles|examples)")


@dataclass(frozen=True, slots=True)
class Token:
    """A stretch [start, end) of the body; `text` is what it says (a name, a role, the text)."""

    kind: TokenKind
    text: str
    start: int
    end: int


def escape(text: str) -> str:
    r"""Return text so that it stands in a body as it is.

    >>> escape("{{x}}")
    '\\{{x}}'
    """
    return text.replace("{{", r"\{{")


def unescape(source: str) -> str:
    """Return the text that an escaped source stands for."""
    return source.replace(r"\{{", "{{")


def lex(body: str, path: Path | None = None, line: int = 1) -> Iterator[Token]:
    """Yield the tokens of a body; raises InputError at a tag that is unknown or not closed."""
    position = 0
    for match in _TAG.finditer(body):
        yield from _text(body, position, match.start(), path, line)
        position = match.end()
        at = line + body.count("\n", 0, match.start())
        kind, text = _read(match, path, at)
        yield Token(kind, text, match.start(), match.end())
    yield from _text(body, position, len(body), path, line)


def _text(body: str, start: int, end: int, path: Path | None, line: int) -> Iterator[Token]:
    opened = body.find("{{", start, end)
    if opened >= 0:
        raise InputError(
            "a {{ is not closed", path=path, line=line + body.count("\n", 0, opened),
            fix="close it with }}, or write \\{{ for braces",
        )  # fmt: skip
    if end > start:
        yield Token("text", body[start:end], start, end)


def _read(match: re.Match[str], path: Path | None, line: int) -> tuple[TokenKind, str]:
    if match["escape"]:
        return "text", "{{"
    if match["tag"] is None:
        said = next(match[name] for name in ("al", "as", "bl", "bs") if match[name] is not None)
        mark = _MARK.fullmatch(said.strip())
        if mark is None:
            return "comment", said.strip()
        return ("close" if mark["close"] else "open"), mark["kind"]
    tag = match["tag"].strip()
    if _NAME.fullmatch(tag):
        return "variable", tag
    if role := _ROLE.fullmatch(tag):
        if role[1] in ROLES:
            return "role", ROLES[role[1]]
        raise InputError(
            f"unknown role {role[1]!r}", path=path, line=line,
            fix=f"use one of: {', '.join(ROLES)}",
        )  # fmt: skip
    raise InputError(
        f"unknown tag {{{{{tag[:40]}}}}}", path=path, line=line,
        fix='use {{role "…"}} and {{variables}} only; write \\{{ for literal braces',
    )  # fmt: skip
