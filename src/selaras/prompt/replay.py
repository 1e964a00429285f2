"""All earlier feedback, tried on a new template: what is settled, what is undone, what conflicts.

Each row that ever got feedback is answered by the new template. Rows are judged as evaluation
judges them; a critique or a praise is put to the model as a closed question, since no rule can tell
whether it still applies. A conflict is shown and never dropped: a principle that answers one person
may undo what another asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from selaras.core.json_schema import an_object, one_of
from selaras.core.records import Query
from selaras.evaluate.judging import given_by_user
from selaras.judge.question import delimited, read_json
from selaras.prompt.asking import Editor, ask_json
from selaras.prompt.feedback import Feedback
from selaras.prompt.material import cut
from selaras.prompt.objective import Outcome
from selaras.prompt.rollouts import Rollouts
from selaras.template import PromptTemplate

State = Literal["settled", "open", "unknown"]
SCHEMA = an_object(answer=one_of("Yes", "No"))
_ASKED = {
    "critique": "Does this criticism apply to the response?",
    "kudos": "Does the response still earn this praise?",
    "rewrite": "Does the response do what this wanted response does, in its own words?",
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """One piece of feedback under the old template and under the new one.

    `before` and `after` say whether it was settled, by the model's own account; `outcomes` what the
    judges found. `conflict` says in a line what the new template undoes, or is empty.
    """

    feedback: Feedback
    before: State
    after: State
    outcomes: tuple[Outcome, Outcome] | None
    conflict: str = ""


def replay(
    editor: Editor,
    parent: PromptTemplate,
    child: PromptTemplate,
    feedback: Sequence[Feedback],
    rows: Mapping[str, Query],
    rollouts: Rollouts,
) -> list[Replayed]:
    """Return every piece of feedback under both templates, in its order.

    Feedback on a row that is no development row any more (it was sealed, or taken out) is
    `unknown` and says so.
    """
    known = list({each.row: rows[each.row] for each in feedback if each.row in rows}.values())
    before, after = (
        {outcome.row: outcome for outcome in rollouts.outcomes(template, known)} if known else {}
        for template in (parent, child)
    )
    found = []
    for each in feedback:
        if each.row not in rows:
            gone = f"{each.row} is no development row any more: it was not tried"
            found.append(Replayed(each, "unknown", "unknown", None, gone))
            continue
        pair = (before[each.row], after[each.row])
        states = tuple(_state(editor, each, rows[each.row], outcome) for outcome in pair)
        found.append(Replayed(each, states[0], states[1], pair, _conflict(each, states, pair)))
    return found


def conflicts(replayed: Sequence[Replayed]) -> list[Replayed]:
    """Return what the new template undoes."""
    return [each for each in replayed if each.conflict and each.outcomes is not None]


def _state(editor: Editor, feedback: Feedback, row: Query, outcome: Outcome) -> State:
    if outcome.said == feedback.output:
        return "settled" if feedback.kind == "kudos" else "open"
    if not outcome.said:
        return "unknown"
    material = delimited(
        query=cut(given_by_user(row)), response=cut(outcome.said), feedback=feedback.text
    )
    text = f"{material}\n\n{_ASKED[feedback.kind]}"
    told = ask_json(editor, text, SCHEMA, _read, repairs=1)
    if told.value is None:
        return "unknown"
    return "settled" if (told.value == "Yes") != (feedback.kind == "critique") else "open"


def _read(value: Mapping[str, object]) -> str:
    label = read_json(("Yes", "No"), str(value.get("answer", "")))
    if label is None:
        raise ValueError('"answer" is neither "Yes" nor "No"')
    return label


def _conflict(feedback: Feedback, states: tuple[State, ...], pair: tuple[Outcome, Outcome]) -> str:
    before, after = pair
    if before.kept and after.kept is False:
        return f"{feedback.row} is to be refused, and is answered now"
    if before.right and after.right is False:
        return f"{feedback.row} was dealt with rightly, and is not now: {after.words}"
    if states == ("settled", "open"):
        return f"feedback {feedback.id} was settled, and is open again"
    return ""
