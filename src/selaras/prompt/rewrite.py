"""Method B: feedback leads to the instructions written anew, by a diff with gate verdicts.

Only the longest stretch of the author's own text is given out and taken back: variables, frozen
spans, principles and few-shot examples stay where they are by construction, and the gates look at
the whole once more. Nothing is written until somebody accepts it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selaras.core.errors import InputError
from selaras.core.json_schema import a_text, an_object
from selaras.core.records import Query
from selaras.policy import Policy
from selaras.prompt.asking import Editor, Told, ask_json, text_field
from selaras.prompt.feedback import Feedback, against_expected, case_of
from selaras.prompt.gates import gates
from selaras.prompt.material import (
    Case,
    cases_text,
    policies_text,
    refuse_marks,
    refuse_tried,
    tried_text,
)
from selaras.prompt.principles import Proposed
from selaras.template import PromptTemplate, with_body
from selaras.template.lex import lex

LONGEST = 4000
# What is said before the text makes a small model look at the cases: asked for the text alone it
# gives back the one that it was shown.
SCHEMA = an_object(
    form=a_text("what form every right response has"),
    depends_on=a_text("what in the query decides which response is right"),
    text=a_text("the whole new instructions, which say both in full sentences"),
)
_TASK = """\
You improve the instructions of an assistant.

THE INSTRUCTIONS NOW
{text}
{kept}{policy}{tried}
RESPONSES THAT IT GAVE
{cases}

Write new instructions, whole, with which it responds rightly to these queries and to all like them,
and no worse to others. Do not quote the cases."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The characters [start, end) of a body that may be written anew.

    `frozen` maps texts in it that must stay to the marked source that they stand in.
    """

    start: int
    end: int
    text: str
    variables: tuple[str, ...]
    frozen: Mapping[str, str]


def editable(template: PromptTemplate) -> Stretch:
    """Return the longest stretch of the author's own text in one message.

    Raises InputError where the template has none.
    """
    tokens = list(lex(template.body))
    borders = [0]
    fixed = False
    stretches: list[tuple[int, int]] = []
    for token in [*tokens, None]:
        compiled = token is not None and token.text in {"principles", "examples"}
        opens = token is not None and token.kind == "open" and compiled
        closes = token is not None and token.kind == "close" and compiled
        if token is None or token.kind == "role" or opens or closes:
            end = len(template.body) if token is None else token.start
            if not fixed:
                stretches.append((borders[-1], end))
            borders.append(end if token is None else token.end)
            fixed = opens or (fixed and not closes)
    found = [_stretch(template, start, end) for start, end in stretches]
    found = [each for each in found if any(c.isalpha() for c in _bare(each.text))]
    if not found:
        raise InputError("the template has no text of its own to write anew")
    return max(found, key=lambda each: len(_bare(each.text)))


def propose_text(
    editor: Editor,
    template: PromptTemplate,
    cases: Sequence[Case],
    policies: Mapping[str, Policy],
    tried: Sequence[str] = (),
) -> Told[tuple[PromptTemplate, str]]:
    """Return the template with the instructions that the model wrote anew, and its reason.

    `tried` are texts that are not wanted again: the model is shown the last of them, but for the
    one that stands now, and asked again where it comes back with one.
    """
    stretch = editable(template)
    named = list(dict.fromkeys(name for case in cases for name in case.row.policies))
    policy = policies_text(policies, named[:2])
    kept = [f"Keep the place {{{{{name}}}}}, once, as it is." for name in stretch.variables]
    kept += [f"Keep these words exactly: {text}" for text in stretch.frozen]
    text = _TASK.format(
        text=stretch.text,
        kept="".join(f"\n{line}" for line in kept) + "\n" * bool(kept),
        policy=f"\nTHE POLICY (nothing may go against it)\n{policy}\n" if policy else "",
        tried=tried_text([text for text in tried if text != stretch.text.strip()]),
        cases=cases_text(cases),
    )

    def read(value: Mapping[str, object]) -> tuple[PromptTemplate, str]:
        written = text_field(value, "text", LONGEST)
        refuse_marks(written)
        refuse_tried(written, tried)
        reason = text_field(value, "form", 600, required=False)
        return rewritten(template, stretch, written), reason

    return ask_json(editor, text, SCHEMA, read)


def rewritten(template: PromptTemplate, stretch: Stretch, text: str) -> PromptTemplate:
    """Return the template with a stretch written anew; raises ValueError where it may not be so.

    A variable that is lost, twice or new, a role, a mark and a frozen text that was changed are
    each said, so that the model can be asked again.
    """
    try:
        tokens = list(lex(text))
    except InputError as error:
        raise ValueError(f"the text cannot be a template: {error.what}") from error
    if wrong := [token.text for token in tokens if token.kind in {"role", "open", "close"}]:
        raise ValueError(f"the text starts a message or a mark ({wrong[0]}), which it may not")
    found = Counter(token.text for token in tokens if token.kind == "variable")
    wanted = Counter(stretch.variables)
    if found != wanted:
        lost = ", ".join(f"{{{{{name}}}}}" for name in (wanted - found).elements())
        new = ", ".join(f"{{{{{name}}}}}" for name in (found - wanted).elements())
        raise ValueError(
            "; ".join(filter(None, (lost and f"{lost} is missing", new and f"{new} is new")))
        )
    for kept, source in stretch.frozen.items():
        if text.count(kept) != 1:
            raise ValueError(f"these words have to stay exactly, once: {kept!r}")
        # A mark that was alone on its line has to be so again: its line goes with it.
        text = text.replace(kept, f"\n{source}" if source.endswith("\n") else source)
    body = template.body
    before, after = body[: stretch.start], body[stretch.end :]
    lead = body[stretch.start : stretch.end]
    begun = lead[: len(lead) - len(lead.lstrip())]
    ended = lead[len(lead.rstrip()) :]
    try:
        return with_body(template, f"{before}{begun}{text.strip()}{ended}{after}")
    except InputError as error:
        raise ValueError(error.what) from error


def improve_by_rewrite(
    editor: Editor,
    template: PromptTemplate,
    feedback: Feedback,
    row: Query,
    policies: Mapping[str, Policy],
    rows: Sequence[Query],
) -> Proposed:
    """Return the instructions written anew after feedback on a row, with gate verdicts.

    Nothing is written to the file.
    """
    cases = [case_of(feedback, row)]
    told = propose_text(editor, template, cases, policies)
    if told.value is None:
        return Proposed("no rewrite", None, problems=told.problems, reason=told.reason)
    child, reason = told.value
    if child.fingerprint == template.fingerprint:
        return Proposed("none", None, (), told.problems, (), reason or "nothing was changed")
    verdicts = gates(template, child, rows=rows, policies=policies)
    said = against_expected(feedback, row)
    warnings = (said,) if said else ()
    return Proposed("rewrite", child, verdicts, told.problems, warnings, reason)


def _stretch(template: PromptTemplate, start: int, end: int) -> Stretch:
    source = template.body[start:end]
    tokens = list(lex(source))
    text, frozen, opened = "", dict[str, str](), None
    for token in tokens:
        if token.kind == "open":
            opened = (token.start, len(text))
        elif token.kind == "close" and opened is not None:
            kept = text[opened[1] :].strip()
            frozen[kept] = source[opened[0] : token.end]
            opened = None
        elif token.kind in {"text", "variable"}:
            text += source[token.start : token.end]
    for kept in template.front.selaras.frozen.values():
        if kept in text:
            frozen.setdefault(kept, kept)
    variables = tuple(token.text for token in tokens if token.kind == "variable")
    return Stretch(start, end, text.strip(), variables, frozen)


def _bare(text: str) -> str:
    return "".join(token.text for token in lex(text) if token.kind == "text").strip()
