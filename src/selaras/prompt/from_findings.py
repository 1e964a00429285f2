"""From what was measured of a template's parts to edits: deleted, or written anew by a model.

The gates look at each edit as at any other; whether it helps is for people, a search and the proof.
"""

from collections.abc import Mapping, Sequence

from selaras.core.errors import InputError, one_line
from selaras.core.json_schema import a_text, an_object
from selaras.core.records import Query
from selaras.policy import Policy
from selaras.prompt.asking import Editor, Told, ask_json, text_field
from selaras.prompt.gates import gates
from selaras.prompt.lint_findings import SAID
from selaras.prompt.material import Case, cases_text, policies_text, refuse_marks, template_text
from selaras.prompt.measured import Change, reworded, without
from selaras.prompt.principles import Proposed
from selaras.template import PromptTemplate
from selaras.template.finding import Finding

LONGEST = 1200
SCHEMA = an_object(
    text=a_text("the part written anew"),
    reason=a_text("what is changed and why, in a few words"),
)
_TASK = """\
You improve one part of an assistant's instructions. The rest stays as it is.

THE INSTRUCTIONS NOW
{instructions}

THE PART TO WRITE ANEW
{part}

WHAT WAS MEASURED
Over {n} questions this part {said} ({figures}).
{wanted}
{policy}{cases}
Write this part anew, about as short as it is."""
_WANTED = {
    "raises_over_refusal": "Keep what it forbids. Say as plainly what is safe and is to be "
    "answered, so that only what is forbidden is refused.",
    "harms": "Keep what it asks for, in words that leave the wanted responses as likely.",
}


def in_words(finding: Finding, change: Change, text: str = "") -> str:
    """Return an edit in a line, with the finding that it comes from."""
    part = finding.segment
    named = f"the example {part.example}" if part.example else repr(one_line(part.text, 80))
    said = f"{change} {named}" + (f": {one_line(text, 120)}" if text else "")
    return f"{said} ({finding.finding.replace('_', ' ')} {finding.mean:+.2f})"


def ask_reworded(
    editor: Editor, template: PromptTemplate, finding: Finding, policies: Mapping[str, Policy],
    cases: Sequence[Case] = (),
) -> Told[tuple[PromptTemplate, str, str]]:  # fmt: skip
    """Return the template with the part written anew by the model, the new words and its reason."""
    part = finding.segment.text
    policy = policies_text(policies, template.front.selaras.policies)
    text = _TASK.format(
        instructions=template_text(template), part=part, n=finding.n,
        said=SAID[finding.finding][1], figures=finding.figures,
        wanted=_WANTED.get(finding.finding, ""),
        policy=f"\nTHE POLICY (nothing may go against it)\n{policy}\n" if policy else "",
        cases=f"\nCASES\n{cases_text(cases)}\n" if cases else "",
    )  # fmt: skip

    def read(value: Mapping[str, object]) -> tuple[PromptTemplate, str, str]:
        written = " ".join(text_field(value, "text", LONGEST).split())
        refuse_marks(written)
        if written == " ".join(part.split()):
            raise ValueError('"text" is the part as it stands')
        try:
            child = reworded(template, finding, written)
        except InputError as error:
            raise ValueError(error.what) from error
        return child, written, text_field(value, "reason", 600, required=False)

    return ask_json(editor, text, SCHEMA, read)


def proposed_for(
    editor: Editor, template: PromptTemplate, finding: Finding, change: Change,
    policies: Mapping[str, Policy], rows: Sequence[Query], text: str = "",
) -> Proposed:  # fmt: skip
    """Return the change that a finding leads to, with gate verdicts; nothing is written.

    Deleting costs no call; without a `text` of a person's the model words the part anew.
    """
    reason, problems = finding.figures, tuple[str, ...]()
    try:
        if change == "delete":
            child = without(template, finding)
        elif text:
            child = reworded(template, finding, text)
        else:
            told = ask_reworded(editor, template, finding, policies)
            problems = told.problems
            if told.value is None:
                return Proposed("no rewording", None, (), problems, (), told.reason)
            child, text, reason = told.value
    except InputError as error:
        return Proposed(f"nothing to {change}", None, reason=str(error))
    verdicts = gates(template, child, rows=rows, policies=policies)
    return Proposed(in_words(finding, change, text), child, verdicts, problems, (), reason)
