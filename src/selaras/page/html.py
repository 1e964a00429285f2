"""HTML that the text in it cannot break: escaped unless it says otherwise.

`Markup` is text that is already HTML; every other string is escaped where it enters. What a page of
evidence never needs (scripts, frames, event handlers, other schemes) cannot be written at all, so a
model's output cannot bring it in. Control characters, lone surrogates and the characters that
reorder or hide text are made visible: a reviewer must see what a row really holds.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Attribute", "Child", "Markup", "element", "escape", "join", "untrusted", "visible"]


class Markup(str):
    """Text that is HTML already. Joining it to a plain string gives a plain string: not trusted."""

    __slots__ = ()


Child = str | int | None
Attribute = str | int | float | None

# Elements whose content a browser does not read as escaped text, or that load, run or redirect.
# fmt: off
_REFUSED = frozenset({
    "animate", "animatemotion", "animatetransform", "applet", "base", "embed", "foreignobject",
    "frame", "frameset", "iframe", "link", "meta", "noembed", "noframes", "noscript", "object",
    "plaintext", "script", "set", "style", "template", "use", "xmp",
})
# fmt: on
_VOID = frozenset({"area", "br", "col", "hr", "img", "input", "source", "track", "wbr"})
_URLS = frozenset({"action", "cite", "formaction", "href", "src", "xlink:href"})
_NO_URLS = frozenset({"background", "data", "manifest", "ping", "poster", "srcdoc", "srcset"})

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-:][A-Za-z0-9]+)*")
_IMAGE = re.compile(r"data:image/(?:gif|jpeg|png|webp);base64,[A-Za-z0-9+/]*={0,2}")
_STYLE = re.compile(r"[\w\s.:;,%#()+*/-]*", re.ASCII)
# What reads otherwise than it looks: control characters, what XML does not allow, overrides,
# embeddings and isolates (they reorder what follows), and tag characters and runs of variation
# selectors (invisible: they carry text to a model past its readers; flags are spelled with them).
_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
_HIDDEN = re.compile(
    f"{_FLAG}|(?P<hidden>"
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
    "|[\u202a-\u202e\u2066-\u2069]"
    "|[\U000e0000-\U000e007f]+"
    "|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,})"
)


def visible(text: str) -> str:
    r"""Return the text with its control, reordering and hidden characters made visible.

    Line ends become a line feed; tabs and joiners stay. What is left is legal in HTML and XML.

    >>> visible("a\x00b"), visible("fdp.\u202eexe")
    ('a[U+0000]b', 'fdp.[U+202E]exe')
    """
    return _HIDDEN.sub(
        lambda found: f"[{_named(found['hidden'])}]" if found["hidden"] else found[0],
        text.replace("\r\n", "\n"),
    )


def escape(text: str) -> Markup:
    """Return plain text as HTML, for a place between tags or within quotes.

    >>> escape('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return Markup(html.escape(visible(text)))


def join(children: Iterable[Child], separator: Child = None) -> Markup:
    """Return the children one after the other; strings are escaped, Markup is kept, None dropped.

    >>> join(["a < b", Markup("<br>"), None, 3])
    'a &lt; b<br>3'
    """
    return Markup(_html(separator).join(_html(child) for child in children if child is not None))


def element(tag: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return one element. Attribute names lose a trailing `_`; other `_` become `-`.

    True writes an empty attribute (`aria-…="true"`); False and None leave it out. Raises
    ValueError for elements and attributes that run or load something, and for links that are not
    http(s), relative or `#`; raises TypeError for children that are not text or whole numbers.

    >>> element("a", "see <this>", href="#rows", class_="more", data_n=3)
    '<a href="#rows" class="more" data-n="3">see &lt;this&gt;</a>'
    """
    if not _NAME.fullmatch(tag) or tag.lower() in _REFUSED:
        raise ValueError(f"the element {tag!r} is not allowed on a page")
    written = "".join(
        _attribute(name, value)
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID:
        if children:
            raise ValueError(f"<{tag}> has no content")
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{join(children)}</{tag}>")


def untrusted(text: str, limit: int | None = 2000, marks: Sequence[tuple[int, int]] = ()) -> Markup:
    """Return a row's text for showing: apart from its surroundings, its hidden characters marked.

    `marks` are (start, end) of characters to highlight. Text over `limit` characters is cut, and
    says how many were cut.

    >>> untrusted("abcdef", limit=4, marks=[(1, 2)])
    '<bdi class="untrusted">a<mark>b</mark>cd</bdi><span class="cut"> … 2 characters cut</span>'
    """
    if limit is not None and limit < 1:
        raise ValueError("limit must be 1 or more")
    end = len(text) if limit is None or len(text) <= limit else _boundary(text, limit)
    shown = element("bdi", *_highlighted(text[:end], marks), class_="untrusted")
    if end == len(text):
        return shown
    cut = len(text) - end
    note = f" … {cut:,} character{'s' if cut > 1 else ''} cut"
    return join([shown, element("span", note, class_="cut")])


def _html(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return escape(child)
    if isinstance(child, int) and not isinstance(child, bool):
        return str(child)
    raise TypeError(f"a page holds text, not {type(child).__name__}: format it first")


def _attribute(name: str, value: Attribute) -> str:
    name = name.removesuffix("_").replace("_", "-")
    low = name.lower()
    if not _NAME.fullmatch(name) or low.startswith("on") or low in _NO_URLS:
        raise ValueError(f"the attribute {name!r} is not allowed on a page")
    if value is True:
        return f' {name}="{"true" if low.startswith("aria-") else ""}"'
    text = str(value)
    if low in _URLS:
        _check_url(text, image=low == "src")
    if low == "style" and ("url" in text.lower() or not _STYLE.fullmatch(text)):
        raise ValueError(f"the style {text!r} is not allowed on a page")
    return f' {name}="{escape(text)}"'


def _check_url(url: str, *, image: bool) -> None:
    if image and _IMAGE.fullmatch(url):
        return
    # Browsers drop white space and read "\" as "/", so either could hide another scheme or host.
    if any(c.isspace() or c == "\\" or not c.isprintable() for c in url) or url.startswith("//"):
        raise ValueError(f"the address {url!r} is not allowed on a page")
    before_path = re.split(r"[/?#]", url, maxsplit=1)[0]
    if ":" in before_path and not re.match(r"https?://[^/?#]", url, re.IGNORECASE):
        raise ValueError(f"the address {url!r} is neither http(s) nor relative")


def _named(hidden: str) -> str:
    """Return what a hidden character is, or what a run of tag characters spells."""
    if 0xE0000 <= ord(hidden[0]) < 0xE0080:
        spelled = (chr(ord(c) - 0xE0000) for c in hidden)
        return "hidden text: " + "".join(c if c.isprintable() else "?" for c in spelled)
    if len(hidden) > 1:
        return f"{len(hidden)} variation selectors"
    return f"U+{ord(hidden):04X}"


def _highlighted(text: str, marks: Sequence[tuple[int, int]]) -> Iterator[Child]:
    done = 0
    for start, end in sorted(marks):
        start, end = max(start, done), min(end, len(text))
        if start < end:
            yield from _marked(text[done:start])
            yield element("mark", *_marked(text[start:end]))
            done = end
    yield from _marked(text[done:])


def _marked(text: str) -> Iterator[Child]:
    text = text.replace("\r\n", "\n")
    start = 0
    for found in _HIDDEN.finditer(text):
        if found["hidden"]:
            yield text[start : found.start()]
            title = unicodedata.name(found["hidden"][0], "hidden character").lower()
            yield element("span", _named(found["hidden"]), class_="hidden-character", title=title)
            start = found.end()
    yield text[start:]


def _boundary(text: str, limit: int) -> int:
    """Return where to cut so that no accent, emoji sequence or line end is cut in two."""
    for end in range(limit, max(limit - 16, 0), -1):
        before, after = text[end - 1], text[end]
        joined = unicodedata.category(after) in {"Mn", "Me", "Mc"} or "\u200d" in (before, after)
        tone = "\U0001f3fb" <= after <= "\U0001f3ff"
        if not (joined or tone or before + after == "\r\n"):
            return end
    return limit
