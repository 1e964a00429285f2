"""Method A: feedback on an output becomes a principle added, edited or deleted.

The model proposes one edit in JSON; the gates, the policies and a replay of all earlier feedback
are for whoever decides. Compiling principles into the template is deterministic (see
`selaras.template`), so nothing that people wrote elsewhere is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from selaras.core.errors import InputError
from selaras.core.json_schema import a_text, an_object, one_of
from selaras.core.records import Query
from selaras.judge.question import Question, delimited, read_json
from selaras.policy import Policy
from selaras.prompt.asking import Editor, Told, ask_json, text_field
from selaras.prompt.edit import PrincipleEdit, apply_edit, edit_schema, read_edit
from selaras.prompt.feedback import Feedback, against_expected, case_of
from selaras.prompt.gates import GateVerdict, gates
from selaras.prompt.material import (
    Case,
    cases_text,
    cut,
    policies_text,
    principles_text,
    refuse_marks,
    refuse_tried,
    template_text,
    tried_text,
)
from selaras.template import PromptTemplate

_TASK = """\
You improve the instructions of an assistant by writing principles: short general rules in the form
of a command. A principle holds for all queries of its kind. It never quotes a case.

THE INSTRUCTIONS NOW (they are fixed; only the principles may change)
{instructions}

THE PRINCIPLES NOW
{principles}
{policy}{tried}
RESPONSES THAT IT GAVE
{cases}

Which one edit of the principles makes the assistant respond rightly to all such queries? "add" a
new one, "edit" or "delete" one of those above by its id, or "none" where they say it already. A
principle says what form a response has and what that depends on."""
_POLICY = "\nTHE POLICY (no principle may go against it)\n{text}\n"


@dataclass(frozen=True, slots=True)
class Proposed:
    """A change that is proposed, with what speaks against it; `template` is None without one.

    `problems` are the model's unusable replies; `warnings` what a person should know before
    accepting.
    """

    what: str
    template: PromptTemplate | None
    verdicts: tuple[GateVerdict, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reason: str = ""
    edit: PrincipleEdit | None = field(default=None)

    @property
    def passes(self) -> bool:
        """Whether there is a template and every gate lets it through."""
        return self.template is not None and all(verdict.passed for verdict in self.verdicts)


def propose_edit(
    editor: Editor,
    template: PromptTemplate,
    cases: Sequence[Case],
    policies: Mapping[str, Policy],
    tried: Sequence[str] = (),
) -> Told[PrincipleEdit]:
    """Return the one edit of the principles that the model proposes after these cases.

    A case is a row, the response to it and what is said of it. `tried` are rules that did not help:
    the model is shown the last of them, and asked again where it comes back with one.
    """
    named = list(dict.fromkeys(name for case in cases for name in case.row.policies))
    policy = policies_text(policies, named[:3])
    text = _TASK.format(
        instructions=template_text(template),
        principles=principles_text(template),
        policy=_POLICY.format(text=policy) if policy else "",
        tried=tried_text(tried),
        cases=cases_text(cases),
    )
    schema = edit_schema(template.front.selaras.principles)

    def read(value: Mapping[str, object]) -> PrincipleEdit:
        edit = read_edit(value, template)
        if edit.text:
            refuse_marks(edit.text)
            refuse_tried(edit.text, tried)
        return edit

    return ask_json(editor, text, schema, read)


def improve_by_principle(
    editor: Editor,
    template: PromptTemplate,
    feedback: Feedback,
    row: Query,
    policies: Mapping[str, Policy],
    rows: Sequence[Query],
) -> Proposed:
    """Return the change of principles that feedback on a row leads to, with gate verdicts.

    Nothing is written. Feedback that asks for the opposite of what the row or its policy wants is
    proposed all the same, with a warning: people decide.
    """
    told = propose_edit(editor, template, [case_of(feedback, row)], policies)
    edit = told.value
    if edit is None:
        return Proposed("no edit", None, problems=told.problems, reason=told.reason)
    if edit.op == "none":
        return Proposed("none", None, (), told.problems, (), edit.reason, edit)
    policy = feedback.policy or (row.policies[0] if row.policies else None)
    try:
        child = apply_edit(template, edit, [feedback.id], policy)
    except InputError as error:
        return Proposed(edit.op, None, (), told.problems, (), str(error), edit)
    verdicts = gates(template, child, rows=rows, policies=policies)
    warnings = [said] if (said := against_expected(feedback, row)) else []
    if edit.text and policy is not None and policy in policies:
        warnings += contradiction(editor, edit.text, policies[policy])
    return Proposed(edit.op, child, verdicts, told.problems, tuple(warnings), edit.reason, edit)


def contradiction(editor: Editor, principle: str, policy: Policy) -> list[str]:
    """Return what a reader should know where the model finds that a principle breaks a policy."""
    question = Question(
        "Decide by the policy below.\n\nTHE POLICY\n"
        f"{policies_text({policy.id: policy}, [policy.id])}\n\n"
        f"A RULE FOR AN ASSISTANT\n{delimited(rule=principle)}\n\n"
        "If the assistant follows this rule, will it do what the policy forbids?",
        ("Yes", "No"),
    )
    schema = an_object(answer=one_of("Yes", "No"))

    def read(value: Mapping[str, object]) -> str:
        label = read_json(question.labels, str(value.get("answer", "")))
        if label is None:
            raise ValueError('"answer" is neither "Yes" nor "No"')
        return label

    told = ask_json(editor, question.text, schema, read, repairs=1)
    if told.value == "Yes":
        return [f"the model finds that this goes against the policy {policy.id}"]
    if told.value is None:
        return [f"whether this goes against the policy {policy.id} could not be told"]
    return []


def fused(
    editor: Editor, template: PromptTemplate, rows: Sequence[Query], policies: Mapping[str, Policy]
) -> Proposed:
    """Return the template with principles that say the same merged by the model, behind the gates.

    Optional: compiling needs no model. The merged principles carry all feedback of the old ones.
    """
    holding = [p for p in template.front.selaras.principles if p.holds]
    if len(holding) < 2:
        return Proposed("none", None, reason="there are fewer than two principles to fuse")
    ids = {p.id: p for p in holding}
    schema = an_object(
        principle_id=one_of(*ids),
        other_id=one_of(*ids),
        text=a_text("one sentence that says what both say"),
    )

    def read(value: Mapping[str, object]) -> tuple[str, str, str]:
        first, second = str(value.get("principle_id")), str(value.get("other_id"))
        if first not in ids or second not in ids or first == second:
            raise ValueError(f"two different ids are wanted, out of {', '.join(ids)}")
        return first, second, text_field(value, "text", 300)

    told = ask_json(
        editor,
        "Two of these principles say nearly the same. Which, and in which one sentence?\n\n"
        f"{cut(principles_text(template), 4000)}",
        schema,
        read,
    )
    if told.value is None:
        return Proposed("no edit", None, problems=told.problems, reason=told.reason)
    first, second, text = told.value
    kept = PrincipleEdit(op="edit", principle_id=first, text=text)
    child = apply_edit(template, kept, ids[second].feedback)
    child = apply_edit(child, PrincipleEdit(op="delete", principle_id=second))
    verdicts = gates(template, child, rows=rows, policies=policies)
    return Proposed(
        "fuse", child, verdicts, told.problems, (), f"{first} and {second} in one", kept
    )
