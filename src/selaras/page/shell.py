"""The document around every report and studio page: one file that loads nothing.

The style is in `style.css` beside this module and is written into the page, so a report can be
mailed, archived and opened years later. A strict Content-Security-Policy stands behind the escaping
of `selaras.page.html`: nothing runs, and nothing is fetched, whatever a row holds.

Classes that a body may use: `lede` (first paragraph), `stamp` (how to take the figures), `note`,
`warning`, `good`, `bad`, `muted`. `nav` lists, `dl` facts, `details` and forms need no class.
"""

import base64
import functools
import hashlib
import importlib.resources
import json
import re
from dataclasses import dataclass
from typing import Any

from selaras.page.html import Child, Markup, element, escape, join

__all__ = ["Program", "page", "read_again"]

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'self'"
)
# Two arcs that meet: it keeps a browser from asking a server for an icon.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath "
    "d='M2 11a6 6 0 0 1 12 0M2 6a6 6 0 0 0 12 0' fill='none' stroke='%230072b2' "
    "stroke-width='2'/%3E%3C/svg%3E"
)


@dataclass(frozen=True, slots=True)
class Program:
    """The one script that may run on a page, with the JSON value that it finds in #data.

    The Content-Security-Policy names the script's hash: nothing else runs. `live` lets it ask the
    server that the page came from.
    """

    script: str
    data: Any
    live: bool = False

    @property
    def policy(self) -> str:
        """The page's Content-Security-Policy."""
        digest = base64.b64encode(hashlib.sha256(self.script.encode()).digest()).decode()
        connect = " connect-src 'self';" if self.live else ""
        return f"{_POLICY}; script-src 'sha256-{digest}';{connect}".rstrip(";")


def page(
    title: str,
    body: Child,
    *,
    language: str = "en",
    lede: Child = None,
    nav: Child = None,
    footer: Child = None,
    style: str = "",
    program: Program | None = None,
) -> str:
    """Return a complete HTML5 document. The title is its only h1; `body` starts at h2.

    `lede` stands under the title; `nav` holds a list of links. `style` are further rules, which
    hold no text of a row. Raises ValueError for a language that is not a BCP 47 tag, and for a
    style that could end its element or load something.

    >>> page("A & B", "text").startswith('<!doctype html>')
    True
    """
    if not _LANGUAGE.fullmatch(language):
        raise ValueError(f"the language {language!r} is not a tag like 'en' or 'id'")
    if "<" in style or "url" in style.lower() or "@" in style:
        raise ValueError("a page's style holds rules only")
    direction = "rtl" if language.partition("-")[0].lower() in _RIGHT_TO_LEFT else "ltr"
    parts = [
        element("a", "Skip to the content", class_="skip", href="#content"),
        element(
            "header",
            element("h1", title),
            None if lede is None else element("p", lede, class_="lede"),
        ),
        None if nav is None else element("nav", nav, aria_label="Contents"),
        element("main", body, id="content", tabindex=-1),
        None if footer is None else element("footer", footer),
    ]
    return _DOCUMENT.format(
        language=language,
        direction=direction,
        policy=program.policy if program else _POLICY,
        icon=_ICON,
        title=escape(title),
        style=_style() + style,
        body=join([*parts, _program(program)], Markup("\n")),
    )


def read_again(document: str, seconds: int) -> str:
    """Return a page that the browser reads anew after so many seconds, without a script.

    >>> 'http-equiv="refresh" content="3"' in read_again(page("A", "text"), 3)
    True
    """
    mark = '<meta charset="utf-8">'
    return document.replace(mark, f'{mark}\n<meta http-equiv="refresh" content="{seconds}">', 1)


def _program(program: Program | None) -> Markup | None:
    if program is None:
        return None
    if "</script" in program.script.lower() or "<!--" in program.script:
        raise ValueError("a page's script cannot hold the end of its own element")
    # JSON has no need of "<" outside strings, and within them an escape says the same.
    data = json.dumps(program.data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return Markup(
        f'<script type="application/json" id="data">{data}</script>\n'
        f"<script>{program.script}</script>"
    )


_DOCUMENT = """<!doctype html>
<html lang="{language}" dir="{direction}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="{icon}">
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


@functools.cache
def _style() -> str:
    return (importlib.resources.files("selaras.page") / "style.css").read_text(encoding="utf-8")
