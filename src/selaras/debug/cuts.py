"""Where a text may be cut: tokens, words, sentences, lines, paragraphs, sections, or any regex.

A cut is the place where a new unit begins; white space belongs to the unit that follows it, as the
leading space of a token does. Every coarser unit is also a border of the finer ones, so that the
units are nested (lines and sentences both lie in paragraphs, and hold words).

Rules by characters only, for any language: a word is what white space divides, and in scripts
without spaces each Han or Kana character; sentences end with the terminators of the scripts listed
below, or where a line ends that is not merely wrapped. Thai, Lao and Khmer have neither: their runs
stay whole.
"""

import re
from collections.abc import Callable, Iterator

from selaras.core.errors import InputError

Cutter = Callable[[str], Iterator[int]]
UNITS = (
    "token", "word", "sentence", "line", "paragraph", "section", "message", "example", "regex",
)  # fmt: skip

_WORD = re.compile(r"\s*(?:[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|"
                   r"[^\s\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)")  # fmt: skip
_CLOSING = "[\"'”’»)\\]}]*"
_SENTENCE_END = re.compile(f"[.!?…؟۔।॥]+{_CLOSING}(?=\\s)|[。！？｡]+[」』”’）]*")
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|e\.g|i\.e|cf|vs|etc|approx|no|nr|mr|mrs|ms|dr|prof|st|fig)\.$",
    re.IGNORECASE,
)
# In wrapped prose a sentence goes on over a line end: the line is long and ends in no terminator,
# and what follows is no item of a list.
_WRAPPED = re.compile(
    r"(?<=[^\n]{40})(?<![.!?…:;。！？؟।])[ \t]*\n(?=[^\n]*\S)"
    r"(?![ \t]*(?:[-*•>#|]|\(?\w{1,2}[.)]\s))"
)
_LINE_END = re.compile(r"\n(?=[^\n]*\S)")
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*(?=\S)")
# A heading, an opening tag on its own line, a line in capitals or one that ends with a colon.
_SECTION_START = re.compile(
    r"^(?:#{1,6}[ \t]+\S|<[A-Za-z][\w-]*>[ \t]*$|[A-Z][A-Z0-9 /&-]{3,60}:?[ \t]*$"
    r"|[A-Z][\w /&-]{2,60}:[ \t]*$)",
    re.MULTILINE,
)


def words(text: str) -> Iterator[int]:
    """Yield where words begin, the white space before each with it.

    >>> list(words("Be brief. 你好")), list(words("é 👍🏽 x"))
    ([0, 2, 9, 11], [0, 1, 4])
    """
    return (match.start() for match in _WORD.finditer(text))


def sentences(text: str) -> Iterator[int]:
    """Yield where sentences begin. An abbreviation's or an initial's full stop ends none.

    >>> sorted({*sentences("See Dr. Who. Then go.")}), sorted({*sentences("好。不好。")})
    ([0, 12], [0, 2])
    """
    yield 0
    for match in _SENTENCE_END.finditer(text):
        after = match.end()
        if after < len(text) and not _ABBREVIATED.search(text, max(0, after - 12), after):
            yield after
    wrapped = {match.end() - 1 for match in _WRAPPED.finditer(text)}
    yield from (match.start() for match in _LINE_END.finditer(text) if match.start() not in wrapped)
    yield from paragraphs(text)


def lines(text: str) -> Iterator[int]:
    """Yield where lines begin that are not blank, their line end before them."""
    yield 0
    yield from (match.start() for match in _LINE_END.finditer(text))
    yield from paragraphs(text)


def paragraphs(text: str) -> Iterator[int]:
    """Yield where paragraphs begin: after an empty line."""
    yield 0
    yield from (match.start() for match in _PARAGRAPH_END.finditer(text))
    yield from sections(text)


def sections(text: str) -> Iterator[int]:
    """Yield where sections begin: at headings of Markdown, tags, capitals, lines with a colon."""
    yield 0
    for match in _SECTION_START.finditer(text):
        yield match.start()


def by_regex(pattern: str) -> Cutter:
    r"""Return the cutter that begins a unit at every match and again after it.

    Raises InputError for a pattern that is not a regular expression.

    >>> list(by_regex(r"\[\d\]")("[1] yes [2] no"))
    [0, 0, 3, 8, 11]
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"the regex {pattern!r} is broken ({error})", field="regex") from error

    def cut(text: str) -> Iterator[int]:
        yield 0
        for match in compiled.finditer(text):
            if match.end() > match.start():
                yield match.start()
                yield match.end()

    return cut


CUTTERS: dict[str, Cutter] = {
    "word": lambda text: iter({*words(text), *sentences(text), *lines(text)}),
    "sentence": sentences,
    "line": lines,
    "paragraph": paragraphs,
    "section": sections,
}
