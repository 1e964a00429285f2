"""What language a text is in, offline, by py3langid's n-gram model (97 languages, 4.6 MB)."""

from functools import cache
from typing import Any

from selaras.core.errors import MissingExtraError

PACKAGE = "py3langid"
LONGEST = 2000
FEWEST_LETTERS = 30
SURE = 0.8


def language(text: str) -> str | None:
    """Return the ISO 639-1 code of a text's language, or None where the text is no sure sign of it.

    Short texts, code and lists of names say little: under 30 letters, or under a probability of .8,
    nothing is said. Only the first 2,000 characters are read. Raises MissingExtraError.
    """
    head = text[:LONGEST]
    if sum(c.isalpha() for c in head) < FEWEST_LETTERS and not _dense(head):
        return None
    code, probability = _identifier().classify(head)
    # "zxx" is the code for what is no language: numbers, formulas, code.
    return str(code) if float(probability) >= SURE and code != "zxx" else None


def _dense(text: str) -> bool:
    # In scripts without spaces a word is a character or two: ten of them are a sentence.
    return sum(c >= "\u2e80" for c in text) >= FEWEST_LETTERS // 3


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise MissingExtraError(PACKAGE, "data") from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
