"""Personal data and secrets in a text: where they are, and the text with them masked.

E-mail addresses, telephone numbers (by the library phonenumbers, where it is installed), payment
cards (Luhn's checksum), IBANs (ISO 7064 modulus 97) and secrets with a telling form (keys of
services, private keys, tokens). Left out: names and addresses, which need a model and more context
than a row has. Reserved examples (example.com, 555-01xx) are no personal data and are passed over.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

Personal = Literal["email", "phone", "card", "iban", "secret"]
WORDS: dict[Personal, str] = {
    "email": "an e-mail address",
    "phone": "a telephone number",
    "card": "a payment card number",
    "iban": "a bank account number (IBAN)",
    "secret": "a secret (key or token)",
}

# Bounded repeats: a row of a megabyte must not make a pattern go over it again and again.
_EMAIL = re.compile(
    r"(?<![\w.+-])[\w][\w.+-]{0,63}@(?:[\w](?:[\w-]{0,61}[\w])?\.){1,4}[a-zA-Z]{2,24}(?![\w@])"
)
_RESERVED = re.compile(r"@(?:[\w-]+\.)*(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$")
_DIGITS = re.compile(r"(?<![\w.,])\d(?:[ -]?\d){12,18}(?![\w]|[.,]\d)")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?!\w)")
_CARD_STARTS = re.compile(r"4|5[1-5]|2[2-7]|3[47]|3(?:0[0-5]|[68])|6(?:011|5|4[4-9])|35|62")
_PHONE = re.compile(r"(?<![\w.,/-])\+?\(?\d(?:[\s().-]{0,2}\d){6,16}(?![\w]|[.,/]\d)")
_DATE = re.compile(r"\d{4}[.-]\d\d[.-]\d\d(?!\d)|\d\d[.-]\d\d[.-]\d{4}(?!\d)")
_FICTION = re.compile(r"555\D?01\d\d$")
_SECRETS = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"
    r"|(?<![\w-])(?:"
    r"(?:AKIA|ASIA)[A-Z0-9]{16}"  # Amazon
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,}"
    r"|glpat-[\w-]{20,}"
    r"|sk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}"  # OpenAI, Anthropic
    r"|sk_live_[A-Za-z0-9]{20,}|rk_live_[A-Za-z0-9]{20,}"  # Stripe
    r"|AIza[\w-]{35}"  # Google
    r"|xox[abprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|hf_[A-Za-z0-9]{34}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"  # a JSON web token
    r")(?![\w-])"
)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters `start` to `end` of a text that hold personal data of a kind."""

    start: int
    end: int
    kind: Personal


def personal_spans(text: str, regions: Sequence[str] = ()) -> list[Span]:
    """Return what the text holds, in its order and without overlaps.

    `regions` are the countries whose national telephone numbers count; international ones ("+…")
    always do. Without the library phonenumbers no telephone number is found (see `knows_phones`).

    >>> [span.kind for span in personal_spans("ana@mail.org paid with 4111 1111 1111 1111")]
    ['email', 'card']
    """
    found: list[Span] = []
    end = 0
    for span in sorted(_spans(text, regions)):
        if span.start >= end:
            found.append(span)
            end = span.end
    return found


def masked(text: str, regions: Sequence[str] = ()) -> str:
    """Return the text with personal data covered: its length stays, so spans still fit.

    >>> masked("write to ana@mail.org")
    'write to ████████████'
    """
    for span in personal_spans(text, regions):
        cover = "█" * (span.end - span.start)
        text = text[: span.start] + cover + text[span.end :]
    return text


def luhn(digits: str) -> bool:
    """Return whether the digits end in their checksum (ISO/IEC 7812-1, annex B).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban(text: str) -> bool:
    """Return whether the text is an account number whose check digits fit (ISO 13616).

    >>> iban("GB82 WEST 1234 5698 7654 32"), iban("GB83 WEST 1234 5698 7654 32")
    (True, False)
    """
    flat = text.replace(" ", "")
    moved = flat[4:] + flat[:4]
    return 15 <= len(flat) <= 34 and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def knows_phones() -> bool:
    """Return whether the library that knows telephone numbers is installed."""
    return _phonenumbers() is not None


def _spans(text: str, regions: Sequence[str]) -> Iterator[Span]:
    for found in _EMAIL.finditer(text) if "@" in text else ():
        if not _RESERVED.search(found[0].casefold()):
            yield Span(*found.span(), "email")
    for found in _SECRETS.finditer(text):
        yield Span(*found.span(), "secret")
    if not any(c.isdigit() for c in text):
        return
    yield from _checked(text, _IBAN, "iban", iban)
    yield from _checked(text, _DIGITS, "card", _is_card)
    yield from _checked(text, _PHONE, "phone", lambda number: _is_phone(number, tuple(regions)))


def _checked(
    text: str, pattern: re.Pattern[str], kind: Personal, check: Callable[[str], bool]
) -> Iterator[Span]:
    for found in pattern.finditer(text):
        if check(found[0]):
            yield Span(*found.span(), kind)


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    # A row of one digit passes the checksum now and then, and is nobody's card.
    return bool(_CARD_STARTS.match(digits)) and len(set(digits)) > 1 and luhn(digits)


@cache
def _is_phone(text: str, regions: tuple[str, ...]) -> bool:
    library = _phonenumbers()
    if library is None or _FICTION.search(text) or _DATE.match(text):
        return False
    separated = any(not c.isdigit() for c in text)
    # Ten digits in a row are an order number as often as a telephone's.
    for region in (None,) if text.startswith("+") else regions if separated else ():
        try:
            if library.is_valid_number(library.parse(text, region)):
                return True
        except library.NumberParseException:
            continue
    return False


@cache
def _phonenumbers() -> Any:
    try:
        import phonenumbers
    except ImportError:
        return None
    return phonenumbers
