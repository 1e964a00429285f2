"""Texts brought to one form before rules read them, and how much of a growing text that takes.

NFKC, then case, accents, look-alike letters of other scripts, invisible characters and runs of
spaces are folded (after Unicode TS 39's skeletons, with the part of its table that people write
words in). It is for matching only: nobody is shown this form.
"""

import re
import unicodedata

# Letters that look like a Latin one, script by script; NFKC has dealt with full-width, circled and
# mathematical letters before.
_LOOK_ALIKES = {
    "a": "аɑαа̇ᴀ",
    "b": "Ьвʙьƅ",
    "c": "сϲᴄↄ",
    "d": "ԁɗᴅժ",
    "e": "еєҽεᴇ",
    "f": "ғƒꜰ",
    "g": "ɡցɢԍ",
    "h": "һհʜн",
    "i": "іıιɩɪӏⅰ",
    "j": "јϳᴊ",
    "k": "кκᴋĸ",
    "l": "ⅼʟꓲ׀",
    "m": "мᴍⅿ",
    "n": "ոռɴп",
    "o": "оοσօᴏөჿ",
    "p": "рρᴘ",
    "q": "ԛգɋ",
    "r": "гʀɾꭇ",
    "s": "ѕꜱʂ",
    "t": "тτᴛ",
    "u": "սυᴜʋц",
    "v": "νѵᴠⅴ",
    "w": "ԝωᴡшա",
    "x": "хχ×ⅹ",
    "y": "уүγʏყ",
    "z": "ᴢʐⲍ",
}


class _Fold(dict[int, str | int | None]):
    """What stands for a character; filled as characters are met."""

    def __missing__(self, code: int) -> str | int | None:
        character = chr(code)
        kept: str | int | None = code
        if _is_invisible(character):
            kept = None
        elif character.isspace() or unicodedata.category(character) == "Cc":
            kept = " "
        self[code] = kept
        return kept


def fold(text: str) -> str:
    """Return the form in which rules read a text.

    >>> fold("  Ｋ\\u200bіll   ÉLAN ")
    'kill elan'
    """
    return " ".join(letters(text).split())


def letters(text: str) -> str:
    """Return the text with its letters folded and its spaces as they stand."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
        text = unicodedata.normalize("NFC", text.translate(_FOLD))
    return text.lower()


def fold_pattern(pattern: str) -> str:
    """Return a pattern whose letters are folded as a text's are; its ASCII part stays as it is."""
    return "".join(c if c.isascii() else fold(c) for c in pattern)


def visible_tail(text: str, count: int) -> int:
    """Return where the last `count` visible characters begin; a run of spaces is one of them.

    >>> visible_tail("a b\\u200b\\u200b   c", 3), visible_tail("abc", 0), visible_tail("abc", 9)
    (2, 3, 0)
    """
    place, spaced = len(text), False
    while place > 0 and (count > 0 or spaced or _FOLD[ord(text[place - 1])] is None):
        kept = _FOLD[ord(text[place - 1])]
        if kept is not None:
            space = kept == " "
            if space and spaced:
                place -= 1
                continue
            if count <= 0:
                break
            spaced = space
            count -= 1
        place -= 1
        if count <= 0 and not spaced:
            break
    return place


def _is_invisible(character: str) -> bool:
    category = unicodedata.category(character)
    return category in ("Cf", "Me", "Cs") or _MARK.match(character) is not None


# Accents and strokes set over Latin letters, variation selectors, fillers that show nothing; the
# vowel signs of other scripts are letters and stay.
_MARK = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f"
                   "\ufe20-\ufe2f\u115f\u1160\u3164\uffa0\U000e0100-\U000e01ef\u034f]")  # fmt: skip
_FOLD = _Fold()
_FOLD.update({ord(alike): letter for letter, those in _LOOK_ALIKES.items() for alike in those})
