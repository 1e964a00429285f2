"""Stable identities: the same content has the same fingerprint on every machine and day."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN.

    >>> canonical_json({"b": 1, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def fingerprint(value: Any, length: int = 16) -> str:
    """Return the first `length` hex digits of the sha256 of a JSON value (64 bits by default).

    >>> fingerprint({"a": 1}) == fingerprint({"a": 1}), len(fingerprint("x"))
    (True, 16)
    """
    text = canonical_json(value).encode("utf-8", errors="surrogatepass")
    return hashlib.sha256(text).hexdigest()[:length]


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes; raises InputError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as source:
            while block := source.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"cannot read the file ({error.strerror})", path=path) from error
    return digest.hexdigest()


def normalise(text: str) -> str:
    """Return text for comparing: NFKC, case-folded, punctuation off, single spaces.

    Identity of *words*, not of bytes: two rows with equal normal forms are exact duplicates.
    Invisible characters (soft hyphens, zero-width spaces) are left out, not turned into spaces.

    >>> normalise("  How do I KILL a process?! ")
    'how do i kill a process'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = folded.translate(_WORDS)
    # Text made of symbols alone (emoji, "???") would vanish and make unlike rows alike. NUL is no
    # symbol: it is what shorter texts are filled up with where n-grams are hashed.
    return " ".join(words.split()) or " ".join(folded.replace("\0", " ").split())


def seed_from(*parts: Any) -> int:
    """Return a 32-bit seed made from the parts, so that each use of chance has its own stream.

    >>> seed_from("split", 0) == seed_from("split", 0) != seed_from("tune", 0)
    True
    """
    return int(fingerprint(list(parts), 8), 16)


def plain(value: Any) -> Any:
    """Return a value made of JSON types only (mappings to dicts, sequences to lists)."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if isinstance(value, Path):
        return str(value)
    return value


class _Words(dict[int, str | int]):
    """What stands for a character in words; filled as characters are met."""

    def __missing__(self, code: int) -> str | int:
        character = chr(code)
        category = unicodedata.category(character)
        kept = character.isalnum() or category[0] == "M"
        self[code] = code if kept else ("" if category == "Cf" else " ")
        return self[code]


_WORDS = _Words()
