"""Checks of what a template says: vague or contradicting words, no form, orders to refuse."""

import re
from collections.abc import Iterator

from selaras.prompt.gates import OVERRIDES, author_text, rough_tokens
from selaras.prompt.lint import Linted, Remark
from selaras.prompt.policy_words import policies_named

_VAGUE = re.compile(
    r"\b(?:appropriate(?:ly)?|as (?:needed|necessary|appropriate)|if (?:possible|needed|necessary)"
    r"|etc\.?|and so on|properly|reasonabl[ey]|suitabl[ey]|relevant enough|good quality"
    r"|fairly (?:short|long)|not too (?:long|short|much)|some kind of|sort of|try to|maybe"
    r"|when it makes sense|use (?:common sense|your (?:own )?judge?ment))(?=\W|$)",
    re.IGNORECASE,
)
_FORM = re.compile(
    r"\b(?:sentences?|words?|paragraphs?|bullets?|lists?|table|json|xml|yaml|markdown|headings?"
    r"|format|characters|lines?|steps?|brief(?:ly)?|concise(?:ly)?|short|one word|label|number"
    r"|translation|summary|code|plain text)\b",
    re.IGNORECASE,
)
_CONTRADICTIONS = (
    ("short and long",
     r"\b(?:brief(?:ly)?|concise(?:ly)?|short answers?|as short as|in one sentence)\b",
     r"\b(?:in (?:great |full )?detail|detailed|comprehensive(?:ly)?|thorough(?:ly)?"
     r"|exhaustive)\b"),
    ("JSON only and prose", r"\bonly (?:in |with |valid )?json\b|\bjson only\b",
     r"\b(?:explain your (?:reasoning|answer)|markdown"
     r"|add a (?:short )?(?:comment|note|explanation))\b"),
    ("answer everything and refuse", r"\b(?:answer (?:every|any|all) questions?|never refuse"
     r"|always (?:help|comply))\b", r"\b(?:refuse|decline|do not (?:answer|help)|can't help)\b"),
    ("never ask and ask", r"\b(?:never|do not|don't) ask\b", r"\bask (?:the user|for|a) "),
    ("formal and casual", r"\bformal(?:ly)?\b",
     r"\b(?:casual(?:ly)?|informal(?:ly)?|slang|emojis?)\b"),
    ("only from the text and from knowledge", r"\bonly (?:use|from|on) the (?:text|article|context|"
     r"document|information)", r"\b(?:your own knowledge|general knowledge|what you know)\b"),
)  # fmt: skip
_ALWAYS = re.compile(r"\b(always|never)\s+((?:\w+\s+){0,2}\w+)", re.IGNORECASE)
_NEGATED = re.compile(r"\b(?:do not|don't|never|must not|avoid|cannot|can't)\b", re.IGNORECASE)
_INSTEAD = re.compile(
    r"\b(?:instead|offer|point (?:them |the user )?to|suggest|refer|but (?:you may|do)|rather)\b",
    re.IGNORECASE,
)
_REFUSE_WIDELY = re.compile(
    r"\b(?:(?:when|if) (?:in doubt|unsure|uncertain),?\s+(?:refuse|decline)"
    r"|(?:refuse|decline|reject) (?:any|every|all|anything)\b[^.]{0,60}?\b(?:related|about"
    r"|concerning|mention|involving|sensitive|topic)|refuse to (?:discuss|talk about)"
    r"|do not (?:discuss|talk about|mention) (?:any|anything))",
    re.IGNORECASE,
)
_SHOUTING = re.compile(r"\b[A-Z]{4,}(?:[ ,]+[A-Z]{2,}){2,}\b|!{2,}")
LEAST_PROHIBITIONS, LONG_TOKENS = 3, 2000


def ambiguity(linted: Linted) -> Iterator[Remark]:
    """Words that everybody fills differently are filled differently at every call."""
    yield from _each(linted, _VAGUE, "ambiguity", "note", "is vague",
                     "say what counts: a number, a case, an example")  # fmt: skip


def no_output_form(linted: Linted) -> Iterator[Remark]:
    """Where nothing is said of the reply's form, its length and form vary from row to row."""
    template = linted.template
    said = template.front.output or template.shown or template.span("examples")
    if not said and template.front.selaras.form == "chat" and not _FORM.search(linted.text):
        yield Remark("no-output-form", "warning", "nothing says what the reply should look like",
                     "length and form will vary: name them, or show an example", 0, 0)  # fmt: skip


def contradictions(linted: Linted) -> Iterator[Remark]:
    """Of two orders that cannot both be kept, a model keeps now one and now the other."""
    for name, one, other in _CONTRADICTIONS:
        first, second = (_found(linted, pattern) for pattern in (one, other))
        if first and second:
            late = max(first, second)
            quoted = f"{first[2]!r} and {second[2]!r}"
            yield Remark("contradiction", "warning", f"{name}: {quoted}",
                         "newer models follow both to the letter and satisfy neither; say which "
                         "holds when", late[0], late[1])  # fmt: skip
    said: dict[str, tuple[str, int, int]] = {}
    for passage in linted.passages:
        for match in _ALWAYS.finditer(passage.text):
            word, rest = match[1].lower(), match[2].lower()
            place = (word, passage.start + match.start(), passage.start + match.end())
            if rest in said and said[rest][0] != word:
                yield Remark("contradiction", "warning", f"always and never {rest!r}",
                             "say which holds when", place[1], place[2])  # fmt: skip
            said.setdefault(rest, place)


def only_prohibitions(linted: Linted) -> Iterator[Remark]:
    """A model that is told only what not to do has to guess what to do instead."""
    found = [(p.start + m.start(), p.start + m.end())
             for p in linted.passages for m in _NEGATED.finditer(p.text)]  # fmt: skip
    if len(found) >= LEAST_PROHIBITIONS and not _INSTEAD.search(linted.text):
        yield Remark("only-prohibitions", "note", f"{len(found)} prohibitions and no way out",
                     "say what to do instead: bare refusals are the cheapest way to obey",
                     *found[0])  # fmt: skip


def refuses_widely(linted: Linted) -> Iterator[Remark]:
    """An order to refuse a topic takes its safe look-alikes with it."""
    yield from _each(linted, _REFUSE_WIDELY, "refuses-widely", "warning", "refuses a whole topic",
                     "questions that only sound alike will be refused too: name the harm, and say "
                     "that look-alikes are answered")  # fmt: skip


def shouting(linted: Linted) -> Iterator[Remark]:
    """Capitals make a model apply a rule where it was not meant."""
    yield from _each(
        linted,
        _SHOUTING,
        "shouting",
        "note",
        "is shouted",
        "current models over-apply what is in capitals; say why it matters instead",
    )


def override_words(linted: Linted) -> Iterator[Remark]:
    """Words that attackers use teach a model that such words are obeyed."""
    yield from _each(linted, OVERRIDES, "override-words", "warning", "is how attackers speak",
                     "a prompt that gives orders against orders invites more of them")  # fmt: skip


def too_long(linted: Linted) -> Iterator[Remark]:
    """Every token of the prompt is read again for every row."""
    budget = linted.template.front.selaras.budget_tokens
    used = rough_tokens(author_text(linted.template))
    if used > (budget or LONG_TOKENS):
        what = f"about {used} tokens" + (f", and the budget is {budget}" if budget else "")
        yield Remark("length", "error" if budget else "note", what,
                     "long prompts cost at every call, and rules in their middle are followed "
                     "least", 0, 0)  # fmt: skip


def policy_unsaid(linted: Linted) -> Iterator[Remark]:
    """A policy that the prompt is said to enforce and does not speak about."""
    named = set(policies_named(linted.text, linted.policies)) if linted.policies else set()
    named |= {p.policy for p in linted.template.front.selaras.principles if p.policy and p.holds}
    for policy in linted.template.front.selaras.policies:
        if policy in linted.policies and policy not in named:
            yield Remark("policy-unsaid", "note", f"no words of the policy {policy}",
                         "it is listed under selaras.policies, and the model is not told of it",
                         0, 0)  # fmt: skip


def _each(
    linted: Linted, pattern: re.Pattern[str], check: str, severity: str, says: str, why: str
) -> Iterator[Remark]:
    for passage in linted.passages:
        for match in pattern.finditer(passage.text):
            start = passage.start + match.start()
            end = start + len(match.group())
            yield Remark(check, severity, f"{match.group()!r} {says}", why, start, end)  # type: ignore[arg-type]


def _found(linted: Linted, pattern: str) -> tuple[int, int, str] | None:
    for passage in linted.passages:
        if match := re.search(pattern, passage.text, re.IGNORECASE):
            return passage.start + match.start(), passage.start + match.end(), match.group()
    return None
