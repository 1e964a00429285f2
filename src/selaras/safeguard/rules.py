"""The rules tier: patterns of each policy over the views of a text, and personal data.

Patterns run in RE2, whose time is linear in the text whatever the pattern; each has a greatest
length of match, so that a stream knows how much to hold back. Personal data is told by the form and
checksums of `selaras.data.personal`, with wide and raised characters made plain.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from selaras.core.errors import InputError, MissingExtraError
from selaras.data.personal import WORDS, Personal, personal_spans
from selaras.safeguard.normal import fold_pattern
from selaras.safeguard.outcome import SIDES, Material, Score, Side
from selaras.safeguard.squeezed import squeezed
from selaras.safeguard.views import EXPANSION, decodings, quoted, readings, spelled_out

LONGEST_MATCH = 400
# An address of e-mail is the longest thing that is told by its form.
LONGEST_PERSONAL = 360
RULES_VERSION = 2  # raised when views or personal data are read otherwise


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern (RE2's syntax, case ignored) that is against a policy on some sides.

    `longest` is the most characters that a match may have.
    """

    policy: str
    pattern: str
    sides: tuple[Side, ...]
    longest: int
    name: str


@dataclass(frozen=True, slots=True)
class PersonalRule:
    """Kinds of personal data that are against a policy on some sides."""

    policy: str
    kinds: tuple[Personal, ...] = ("email", "phone", "card", "iban", "secret")
    sides: tuple[Side, ...] = ("response",)
    regions: tuple[str, ...] = ("US", "GB")


@dataclass(frozen=True)
class Rules:
    """Rules as a stage. A match scores 1 against a threshold of 1."""

    rules: tuple[Rule, ...] = ()
    personal: tuple[PersonalRule, ...] = ()
    only_unsure: bool = field(default=False, init=False)
    quick: bool = field(default=True, init=False)

    @property
    def name(self) -> str:
        return "rules"

    @property
    def sides(self) -> frozenset[Side]:
        own = [rule.sides for rule in self.rules] + [rule.sides for rule in self.personal]
        return frozenset(side for sides in own for side in sides)

    @property
    def hold(self) -> int:
        own = [rule.longest * EXPANSION for rule in self.rules if "response" in rule.sides]
        own += [LONGEST_PERSONAL for rule in self.personal if "response" in rule.sides]
        return max(own, default=0)

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "stage": "rules",
            "version": RULES_VERSION,
            "rules": [[rule.policy, rule.pattern, list(rule.sides)] for rule in self.rules],
            "personal": [
                [rule.policy, list(rule.kinds), list(rule.sides), list(rule.regions)]
                for rule in self.personal
            ],
        }

    def check(self, materials: Sequence[Material]) -> list[tuple[Score, ...]]:
        """Return a score of 1 for each policy that a text matches; of the others nothing."""
        return [tuple(self._matched(material)) for material in materials]

    def _matched(self, material: Material) -> Iterator[Score]:
        found: dict[str, str] = {}
        own = tuple(rule for rule in self.rules if material.side in rule.sides)
        if own:
            # What is encoded has an end of its own: the text may go on, and its match has ended.
            seen = [(view, material.final) for view in readings(material.text)]
            seen += [(view, True) for view in decodings(material.text)]
            if material.side == "query":
                seen += [(view, True) for text in quoted(material.text) for view in readings(text)]
            for view, final in seen:
                for rule in _hits(own, view, final):
                    found.setdefault(rule.policy, f"matches the rule {rule.name}")
            for run in spelled_out(material.text):
                for rule in _hits(_without_gaps(own), run, material.final):
                    found.setdefault(rule.policy, f"matches the rule {rule.name}")
        for personal in self.personal:
            if kind := _holds(personal, material):
                found.setdefault(personal.policy, f"holds {WORDS[kind]}")
        for policy, reason in found.items():
            yield Score("rules", policy, 1.0, 1.0, reason)


def rule(policy: str, pattern: str, sides: Sequence[Side] = SIDES, name: str | None = None) -> Rule:
    """Return a checked rule; raises InputError for a pattern that RE2 cannot read or that has no
    greatest length, with what to write instead.

    >>> rule("weapons", r"pipe ?bombs?").longest
    10
    """
    folded = fold_pattern(pattern)
    _compiled(folded)
    longest = longest_match(folded)
    if longest is None or longest > LONGEST_MATCH:
        limit = "no limit" if longest is None else f"up to {longest} characters"
        raise InputError(
            f"the pattern {pattern[:80]!r} matches {limit}",
            field="pattern",
            fix=f"bound its repeats to {LONGEST_MATCH} characters in all: .{{0,40}} instead of .*",
        )
    if longest == 0 or _compiled(folded).search("") is not None:
        raise InputError(
            f"the pattern {pattern[:80]!r} matches nothing at all, so every text",
            field="pattern", fix="write what must be there",
        )  # fmt: skip
    return Rule(policy, folded, tuple(sides), longest, name or pattern[:60])


def longest_match(pattern: str) -> int | None:
    """Return the most characters that a match may have, None where nothing bounds it.

    >>> longest_match("ab{2,5}c?"), longest_match("a+")
    (7, None)
    """
    # RE2's classes of Unicode are one character wide; Python's parser does not know them.
    plain = re.sub(r"\\[pP](?:\{\^?\w+\}|\w)", r"\\w", pattern).replace(r"\z", r"\Z")
    try:
        _, longest = re._parser.parse(plain, re.IGNORECASE).getwidth()  # type: ignore[attr-defined]
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"the pattern {pattern[:80]!r}: {error}", field="pattern") from error
    return int(longest) if longest < 1 << 31 else None


def _hits(rules: tuple[Rule, ...], view: str, final: bool) -> Iterator[Rule]:
    for number in _one_pass(rules).Match(view) or ():
        if final or _ends_inside(rules[number].pattern, view):
            yield rules[number]


def _ends_inside(pattern: str, view: str) -> bool:
    """Return whether a match ends before the text does: at its end it may become another word."""
    return any(found.end() < len(view) for found in _compiled(pattern).finditer(view))


def _holds(rule: PersonalRule, material: Material) -> Personal | None:
    if material.side not in rule.sides:
        return None
    text = unicodedata.normalize("NFKC", material.text)
    for span in personal_spans(text, rule.regions):
        if span.kind in rule.kinds and (material.final or span.end < len(text)):
            return span.kind
    return None


@cache
def _without_gaps(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return the rules as they read joined runs; one that would match every text is left out."""
    read = [replace(each, pattern=squeezed(each.pattern)) for each in rules]
    return tuple(each for each in read if _compiled(each.pattern).search("") is None)


@cache
def _one_pass(rules: tuple[Rule, ...]) -> Any:
    """Return all patterns as one automaton: which of them match, in one pass over the text."""
    together = _re2().Set.SearchSet(_options())
    for own in rules:
        together.Add(own.pattern)
    together.Compile()
    return together


@cache
def _compiled(pattern: str) -> Any:
    engine = _re2()
    try:
        return engine.compile(pattern, _options())
    except engine.error as error:
        said = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise InputError(
            f"the pattern {pattern[:80]!r} is not RE2's: {said}", field="pattern",
            fix="leave out look-around and back-references",
        ) from error  # fmt: skip


def _options() -> Any:
    options = _re2().Options()
    options.case_sensitive = False
    options.log_errors = False
    return options


def _re2() -> Any:
    try:
        import re2
    except ImportError as error:
        raise MissingExtraError("google-re2", "guard") from error
    return re2
