"""Gates: what an edit of a template may not do, told before any call is made.

Each gate compares the parent with its child and says what is wrong, or nothing. They are cheap and
know no model; passing them says that an edit is safe to try, not that it helps.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from selaras.core.errors import InputError, one_line
from selaras.core.fingerprint import normalise
from selaras.core.late import resolve
from selaras.core.records import Example, Preference, Query
from selaras.policy import Policy
from selaras.prompt.policy_words import policies_named
from selaras.template import PromptTemplate, edited_by_hand, frozen_spans, parse_prompt
from selaras.template.lex import lex
from selaras.template.prompt import Filled, Literal

# Words in a row that make a copy of it: fewer are everyday phrases.
COPIED_WORDS = 8
# An instruction of a row is lifted where runs of so many of its words make so much of it.
LIFTED_WORDS, LIFTED_SHARE = 4, 0.5
CHARACTERS_A_TOKEN = 4.0
# What speaks to a model over its author's head. In a row it is data; in a template it is a mistake.
OVERRIDES = re.compile(
    r"\b(?:(?:ignore|disregard|forget|override|bypass)\s+(?:(?:all|any|the|your|my|these|those"
    r"|previous|prior|above|earlier|other)\s+){0,3}(?:above|instructions?|rules?|polic(?:y|ies)"
    r"|prompts?|guidelines?|everything|messages?|directions?)"
    r"|from now on\b|you are now\b|new (?:system )?(?:instructions?|rules?)\s*:"
    r"|(?:no|without) (?:rules|restrictions|limits|filters)\b|never refuse\b|do anything now\b"
    r"|(?:reveal|print|repeat|show) (?:your|the) (?:system )?(?:prompt|instructions))",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]+")
_INSTRUCTION = re.compile(
    r"^\W*(?:please\s+|you\s+(?:must|should|will|have to)\s+|always\s+|never\s+|do not\s+|don't\s+"
    r"|only\s+)?(?:answer|reply|respond|say|write|act|behave|pretend|assume|treat|call|end|begin|"
    r"start|include|mention|recommend|refuse|comply|obey|follow|ignore|forget|disregard|output)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What one gate says of an edit; `evidence` quotes what it found, cut short."""

    name: str
    passed: bool
    reason: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of a template, with what it is held against."""

    parent: PromptTemplate
    child: PromptTemplate
    rows: Sequence[Query] = field(default=(), repr=False)
    policies: Mapping[str, Policy] = field(default_factory=dict, repr=False)
    budget_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Objection:
    """What a gate found wrong."""

    reason: str
    evidence: tuple[str, ...] = ()


def gates(
    parent: PromptTemplate,
    child: PromptTemplate | str,
    *,
    rows: Sequence[Query] = (),
    policies: Mapping[str, Policy] | None = None,
    budget_tokens: int | None = None,
    allowed: Collection[str] = (),
) -> tuple[GateVerdict, ...]:
    """Return what every gate of `selaras.prompt.GATES` says of an edit, in their order.

    A child given as text is parsed first; where that fails, `parses` is the only verdict.
    `budget_tokens` is the template's own budget where it is None. What a gate in `allowed` objects
    to is said and passes.
    """
    from selaras.prompt import GATES

    if isinstance(child, str):
        try:
            child = parse_prompt(child)
        except InputError as error:
            return (GateVerdict("parses", False, str(error)),)
    edit = Edit(parent, child, rows, policies or {}, budget_tokens)
    verdicts = [GateVerdict("parses", True)]
    for name, target in GATES.items():
        found: Objection | None = resolve(target)(edit)
        if found is None:
            verdicts.append(GateVerdict(name, True))
        else:
            reason = f"allowed: {found.reason}" if name in allowed else found.reason
            quoted = tuple(one_line(text, 80) for text in found.evidence[:5])
            verdicts.append(GateVerdict(name, name in allowed, reason, quoted))
    return tuple(verdicts)


def passes(verdicts: Iterable[GateVerdict]) -> bool:
    """Return whether every gate passed."""
    return all(verdict.passed for verdict in verdicts)


def rough_tokens(text: str) -> int:
    """Return about how many tokens a text has, by its length; a tokenizer knows better.

    >>> rough_tokens("Be brief.")
    3
    """
    return -int(-len(text) // CHARACTERS_A_TOKEN)


def author_text(template: PromptTemplate) -> str:
    """Return what the template itself says, without values and few-shot examples."""
    return "\n".join(
        piece.text
        for turn in template.turns
        for piece in turn.pieces
        if isinstance(piece, Literal) and not (piece.mark or "").startswith("example:")
    )


def placeholders(edit: Edit) -> Objection | None:
    """The same variables in messages of the same roles, each as often."""
    before, after = _places(edit.parent), _places(edit.child)
    if before == after:
        return None
    lost = [f"lost {_place(one)}" for one in (before - after).elements()]
    new = [f"new {_place(one)}" for one in (after - before).elements()]
    return Objection("the places for values changed", (*lost, *new))


def frozen(edit: Edit) -> Objection | None:
    """Every frozen span is there, byte for byte, in a message of the same role."""
    after = {(span.name, span.role, span.text) for span in frozen_spans(edit.child)}
    broken = [span for span in frozen_spans(edit.parent)
              if (span.name, span.role, span.text) not in after]  # fmt: skip
    if not broken:
        return None
    return Objection("a frozen span was changed", tuple(f"{s.name}: {s.text}" for s in broken))


def roles(edit: Edit) -> Objection | None:
    """The same messages in the same order; a new system message may hold principles only."""
    before, after = _roles(edit.parent), _roles(edit.child)
    if before == after or (after == ["system", *before] and _only_principles(edit.child)):
        return None
    return Objection("the roles changed", (f"{' > '.join(before)} became {' > '.join(after)}",))


def output(edit: Edit) -> Objection | None:
    """The form of the reply and the declared inputs are the parent's."""
    parent, child = edit.parent.front, edit.child.front
    changed = [
        name for name in ("output", "input") if getattr(parent, name) != getattr(child, name)
    ]
    return Objection(f"the declared {' and '.join(changed)} changed") if changed else None


def length(edit: Edit) -> Objection | None:
    """The text without values keeps to its budget of tokens."""
    budget = edit.budget_tokens or edit.parent.front.selaras.budget_tokens
    used = sum(rough_tokens(piece.text) for turn in edit.child.turns for piece in turn.pieces
               if isinstance(piece, Literal | Filled))  # fmt: skip
    if budget is None or used <= budget:
        return None
    return Objection(f"about {used} tokens of text, and the budget is {budget}")


def principles(edit: Edit) -> Objection | None:
    """The principles block says what the front matter's principles say."""
    if not edited_by_hand(edit.child):
        return None
    return Objection("the principles block is not what its principles compile to")


def copies(edit: Edit) -> Objection | None:
    """Nothing new in the text repeats eight words in a row of any row."""
    new = _new_runs(edit, COPIED_WORDS)
    found = [
        f"{row.id}: {run}"
        for row in edit.rows
        for run in [next((run for run in _runs(_row_text(row), COPIED_WORDS) if run in new), None)]
        if run is not None
    ]
    return Objection("text was copied from rows", tuple(found)) if found else None


def lifted(edit: Edit) -> Objection | None:
    """No instruction inside a row's text, and no word over the author's head, became the text's."""
    before = author_text(edit.parent)
    after = author_text(edit.child)
    own = [m.group() for m in OVERRIDES.finditer(after) if m.group() not in before]
    if own:
        return Objection("the text gives orders against itself", tuple(own))
    new = _new_runs(edit, LIFTED_WORDS)
    found = [
        f"{row.id}: {sentence.strip()}"
        for row in edit.rows
        for sentence in _instructions(row)
        if _share_of(sentence, new) >= LIFTED_SHARE
    ]
    return Objection("an instruction inside a row was taken over", tuple(found)) if found else None


def coverage(edit: Edit) -> Objection | None:
    """Every policy that the parent's principles, list or words are about is still covered."""
    held = {p.policy for p in edit.child.front.selaras.principles if p.holds}
    listed = set(edit.child.front.selaras.policies)
    lost = [f"the policy {name} has no principle any more"
            for name in dict.fromkeys(p.policy for p in edit.parent.front.selaras.principles
                                      if p.holds and p.policy)
            if name not in held]  # fmt: skip
    lost += [f"{name} is not listed any more"
             for name in edit.parent.front.selaras.policies if name not in listed]  # fmt: skip
    said = policies_named(author_text(edit.child), edit.policies)
    lost += [
        f"nothing is said about {name} any more ({', '.join(words[:4])})"
        for name, words in policies_named(author_text(edit.parent), edit.policies).items()
        if name not in said and name not in held
    ]
    return Objection("a policy is not covered any more", tuple(lost)) if lost else None


def _places(template: PromptTemplate) -> Counter[tuple[str, str]]:
    role, found, inside = "user", Counter[tuple[str, str]](), False
    for token in lex(template.body):
        if token.text == "examples" and token.kind in {"open", "close"}:
            inside = token.kind == "open"
        elif token.kind == "role" and not inside:
            role = token.text
        elif token.kind == "variable":
            found[("example" if inside else role, token.text)] += 1
    return found


def _place(place: tuple[str, str]) -> str:
    return f"{{{{{place[1]}}}}} ({place[0]})"


def _roles(template: PromptTemplate) -> list[str]:
    """Return the roles of the messages that are the author's own, not those of examples."""
    return [
        turn.role
        for turn in template.turns
        if any(
            not (getattr(piece, "mark", None) or "").startswith("example:") for piece in turn.pieces
        )
    ]


def _only_principles(child: PromptTemplate) -> bool:
    return all(
        isinstance(piece, Literal) and piece.mark == "principles" for piece in child.turns[0].pieces
    )


def _row_text(row: Query) -> str:
    said = [turn.content for turn in row.turns] + [row.query, *row.context.values()]
    if isinstance(row, Example):
        said.append(row.response)
    if isinstance(row, Preference):
        said += [row.response_a, row.response_b]
    return "\n".join(said)


def _instructions(row: Query) -> list[str]:
    given = "\n".join([t.content for t in row.turns] + [row.query, *row.context.values()])
    sentences = _SENTENCE.findall(given)
    return [s for s in sentences if _INSTRUCTION.match(s.strip()) or OVERRIDES.search(s)]


def _share_of(sentence: str, runs: Collection[str]) -> float:
    """Return the share of a sentence's words that stand in one of the runs."""
    own = _runs(sentence, LIFTED_WORDS)
    words = {j for i, run in enumerate(own) if run in runs for j in range(i, i + LIFTED_WORDS)}
    return len(words) / (len(own) + LIFTED_WORDS - 1) if own else 0.0


def _runs(text: str, words: int) -> list[str]:
    said = normalise(text).split()
    return [" ".join(said[i : i + words]) for i in range(len(said) - words + 1)]


def _new_runs(edit: Edit, words: int) -> frozenset[str]:
    before = set(_runs(author_text(edit.parent), words))
    policy_words = {
        run for policy in edit.policies.values() for run in _runs(policy.statement, words)
    }
    inline = "\n".join(
        text
        for values in edit.child.front.selaras.examples.inline
        if values not in edit.parent.front.selaras.examples.inline
        for text in values.values()
    )
    after = [*_runs(author_text(edit.child), words), *_runs(inline, words)]
    return frozenset(after) - before - policy_words
