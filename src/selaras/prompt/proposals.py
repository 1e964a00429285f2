"""What a search changes in a template: its principles, its instructions, its few-shot examples.

Each name in `selaras.prompt.optimize.PROPOSERS` stands for a maker `(Workshop) -> Proposer`. Every
child passes the gates before it costs a rollout; one that does not is a proposal with its reason.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from selaras.core.errors import InputError
from selaras.core.records import Example, Query
from selaras.policy import Policy
from selaras.prompt.asking import Editor
from selaras.prompt.edit import apply_edit
from selaras.prompt.edit import in_words as edit_in_words
from selaras.prompt.from_findings import ask_reworded, in_words
from selaras.prompt.gates import gates
from selaras.prompt.material import Case
from selaras.prompt.measured import changes_for, without
from selaras.prompt.objective import Outcome
from selaras.prompt.principles import propose_edit
from selaras.prompt.rewrite import editable, propose_text
from selaras.prompt.search import Proposal, Proposer
from selaras.template import PromptTemplate, with_body, with_examples
from selaras.template.finding import Finding
from selaras.template.lex import lex

SHOTS = (1, 2, 4)
Wrong = Sequence[tuple[Query, Outcome]]


@dataclass(frozen=True, slots=True)
class Workshop:
    """What proposers work with. `reflect` are the rows that selection is not by."""

    editor: Editor
    policies: Mapping[str, Policy]
    reflect: Sequence[Query] = field(repr=False)
    rows: Sequence[Query] = field(repr=False)
    budget_tokens: int | None = None
    written: Callable[[Query], str] = field(default=lambda row: row.query, repr=False)
    findings: Sequence[Finding] = field(default=(), repr=False)

    def gated(self, how: str, parent: PromptTemplate, child: PromptTemplate) -> Proposal:
        """Return a child as a proposal, or the reason of the first gate that stops it."""
        verdicts = gates(
            parent, child, rows=self.rows, policies=self.policies,
            budget_tokens=self.budget_tokens,
        )  # fmt: skip
        failed = next((verdict for verdict in verdicts if not verdict.passed), None)
        if failed is not None:
            shown = f" ({'; '.join(failed.evidence)})" if failed.evidence else ""
            return Proposal(how, None, f"gate {failed.name}: {failed.reason}{shown}")
        return Proposal(how, child)


def finding_proposer(workshop: Workshop) -> Proposer:
    """Return what deletes or rewords, one after the other, the parts that were found to harm.

    A part that never matters is left: without it no figure rises, and that is for people to decide.
    """
    pending = [
        (finding, change)
        for finding in workshop.findings
        if finding.finding != "never_matters"
        for change in changes_for(finding, workshop.findings)
    ]

    def propose(parent: PromptTemplate, wrong: Wrong, _chance: random.Random) -> Proposal:
        if not pending:
            return Proposal("findings", None, "every finding was tried", spent=True)
        finding, change = pending.pop(0)
        how = in_words(finding, change)
        try:
            if change == "delete":
                return workshop.gated(how, parent, without(parent, finding))
            cases = [_case(*pair) for pair in wrong]
            told = ask_reworded(workshop.editor, parent, finding, workshop.policies, cases)
        except InputError as error:
            return Proposal(how, None, str(error))
        if told.value is None:
            return Proposal(how, None, f"no rewording: {told.reason}")
        child, text, _ = told.value
        return workshop.gated(in_words(finding, change, text), parent, child)

    return propose


def principle_proposer(workshop: Workshop) -> Proposer:
    """Return what adds, edits or deletes one principle after what went wrong.

    It tells the model which rules it proposed before: one that is asked the same says the same.
    """
    tried: list[str] = []

    def propose(parent: PromptTemplate, wrong: Wrong, _chance: random.Random) -> Proposal:
        cases = [_case(*pair) for pair in wrong]
        if not cases:
            return Proposal("principle", None, "nothing went wrong on these rows")
        holding = {p.text for p in parent.front.selaras.principles if p.holds}
        others = [text for text in tried if text not in holding]
        told = propose_edit(workshop.editor, parent, cases, workshop.policies, others)
        edit = told.value
        if edit is None:
            return Proposal("principle", None, f"no edit: {told.reason}")
        if edit.op == "none":
            return Proposal("principle", None, f"none was wanted: {edit.reason}"[:200])
        tried.append(edit.text)
        row = wrong[0][0]
        policy = row.policies[0] if row.policies else None
        try:
            child = apply_edit(parent, edit, [f"search:{row.id}"], policy)
        except InputError as error:
            return Proposal("principle", None, str(error))
        return workshop.gated(edit_in_words(edit), parent, child)

    return propose


def instruction_proposer(workshop: Workshop) -> Proposer:
    """Return what writes the instructions anew after what went wrong.

    It tells the model what it wrote before, and asks again where nothing is new.
    """
    tried: list[str] = []

    def propose(parent: PromptTemplate, wrong: Wrong, _chance: random.Random) -> Proposal:
        cases = [_case(*pair) for pair in wrong]
        if not cases:
            return Proposal("instructions", None, "nothing went wrong on these rows")
        try:
            known = [*tried, editable(parent).text.strip()]
            told = propose_text(workshop.editor, parent, cases, workshop.policies, known)
        except InputError as error:
            return Proposal("instructions", None, str(error))
        if told.value is None:
            return Proposal("instructions", None, f"no rewrite: {told.reason}")
        child, reason = told.value
        tried.append(editable(child).text.strip())
        return workshop.gated(f"rewrite: {reason[:120]}", parent, child)

    return propose


def few_shot_proposer(workshop: Workshop) -> Proposer:
    """Return what shows other rows with their responses; it costs no call.

    The rows are of the reflecting half: none that selection is by can be shown. The most are shown
    first, since more seldom harm; then chance says how many.
    """
    counts = [max(SHOTS)]
    shown = [
        row
        for row in workshop.reflect
        if isinstance(row, Example) and row.response and row.response_label != "unsafe"
    ]

    def propose(parent: PromptTemplate, wrong: Wrong, chance: random.Random) -> Proposal:
        if parent.span("examples") is None:
            return Proposal("few-shot", None, "the template has no place for examples")
        if not shown:
            return Proposal("few-shot", None, "no row has a response to show")
        wanted = min(len(shown), counts.pop() if counts else chance.choice(SHOTS))
        # One that went wrong is shown first, with the answer that it should have got.
        first = [row for row, _ in wrong if row in shown][:1]
        rows = _varied(first, chance.sample(shown, len(shown)), wanted)
        how = f"few-shot: {', '.join(row.id for row in rows)}"
        try:
            return workshop.gated(how, parent, with_examples(parent, rows, workshop.written))
        except InputError as error:
            return Proposal(how, None, str(error))

    return propose


def _varied(first: Sequence[Example], others: Sequence[Example], wanted: int) -> list[Example]:
    """Return the first rows and others, each of a response, kind and policy shown least so far.

    Examples that all say the same teach a small model to say it always.
    """
    rows = list(first)

    def shown(row: Example) -> tuple[int, int, int]:
        return (
            sum(row.response == one.response for one in rows),
            sum(row.kind == one.kind for one in rows),
            sum(row.policies == one.policies for one in rows),
        )

    while len(rows) < wanted:
        rows.append(min((row for row in others if row not in rows), key=shown))
    return rows


def with_place_for_examples(template: PromptTemplate) -> PromptTemplate:
    """Return the template with an empty place for few-shot examples before its last message.

    The model is told nothing else by it. A template that has one, or does not end in a message of
    the user's, stays as it is.
    """
    roles = [token for token in lex(template.body) if token.kind == "role"]
    if template.span("examples") or not roles or roles[-1].text != "user":
        return template
    before, last = template.body[: roles[-1].start], template.body[roles[-1].start :]
    shown = f'{last.rstrip()}\n{{{{role "model"}}}}\n{{{{response}}}}\n'
    return with_body(template, f"{before}{{{{! examples }}}}\n{shown}{{{{! /examples }}}}\n{last}")


def _case(row: Query, outcome: Outcome) -> Case:
    return Case(row, outcome.said, outcome.words, outcome.wanted)
