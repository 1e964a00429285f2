"""One session of improving a template by feedback: outputs, feedback, a proposal, a replay, saved.

The steps of `selaras prompt improve` without a terminal, so that a page can walk them too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from selaras.core.errors import InputError
from selaras.core.late import resolve
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data import open_development
from selaras.evaluate import DEFAULT_JUDGE, Terms, open_judges, open_system
from selaras.evaluate.systems import with_rows_read
from selaras.models.names import open_model, place_of
from selaras.policy import Policy, load_policies
from selaras.prompt import METHODS
from selaras.prompt.asking import EDITING, Editor, Told
from selaras.prompt.critique import draft_critiques
from selaras.prompt.feedback import (
    Feedback,
    FeedbackKind,
    add_feedback,
    read_feedback,
)
from selaras.prompt.from_findings import proposed_for
from selaras.prompt.gates import gates
from selaras.prompt.measured import Change
from selaras.prompt.objective import Contrast, Outcome, contrast
from selaras.prompt.optimize import system_for
from selaras.prompt.principles import Proposed
from selaras.prompt.replay import Replayed, replay
from selaras.prompt.rollouts import Rollouts, project_rollouts, walk
from selaras.template import PromptTemplate, adopted, edited_by_hand, load_prompt
from selaras.template.finding import Finding
from selaras.template.versions import Version, keep

MOST_CALLS = 500


@dataclass(frozen=True, slots=True)
class Session:
    """What a session works with; `editor_name` is who drafts. Nothing in it is sealed."""

    path: Path
    template: PromptTemplate
    method: str
    rollouts: Rollouts
    editor: Editor
    editor_name: str
    rows: Mapping[str, Query] = field(repr=False)
    policies: Mapping[str, Policy] = field(repr=False)


def begin(
    project: Project,
    path: Path,
    method: str = "principles",
    *,
    system: str | None = None,
    editor: str | None = None,
    judges: Sequence[str] = (DEFAULT_JUDGE,),
    most_calls: int = MOST_CALLS,
    progress: Progress = SILENT,
) -> Session:
    """Return a session on a template of the project; edits by hand in its block are taken over.

    What the models say is kept in the project's cache, so that a session that was cut off asks
    nothing twice.
    """
    if method not in METHODS:
        raise InputError(f"no method {method!r}", fix=f"use one of: {', '.join(METHODS)}")
    template = with_rows_read(project, load_prompt(project.root / path), progress)
    if edited_by_hand(template):
        template = adopted(template)
    name, spec = system_for(project, path, system)
    opened = open_system(project, name, spec, progress)
    development = open_development(project, progress)
    journal, budget = walk(project.cache / "improve" / f"{path.stem}.jsonl", most_calls)
    rollouts = project_rollouts(
        project, opened, open_judges(judges, project), development.groups, (journal, budget)
    )
    model = open_model(editor or spec.model, place_of(project, progress))
    return Session(
        path=project.root / path,
        template=template,
        method=method,
        rollouts=rollouts,
        editor=Editor(model, journal, Terms(budget), EDITING),
        editor_name=editor or spec.model,
        rows={row.id: row for row in development.rows},
        policies=load_policies(project),
    )


def chosen_rows(session: Session, count: int, ids: Sequence[str] = ()) -> list[Query]:
    """Return the rows of those ids, or `count` of them with every kind in turn.

    Raises InputError for a row that is no development row.
    """
    for name in ids:
        if name not in session.rows:
            raise InputError(
                f"no development row {name!r}",
                fix="see: selaras data list (sealed rows are closed)",
            )
    if ids:
        return [session.rows[name] for name in ids]
    kinds: dict[str, list[Query]] = {}
    for row in session.rows.values():
        kinds.setdefault(row.kind, []).append(row)
    turns = [list(each) for each in kinds.values()]
    found: list[Query] = []
    while any(turns) and len(found) < count:
        found += [each.pop(0) for each in turns if each][: count - len(found)]
    return found


def outputs(session: Session, rows: Sequence[Query]) -> list[tuple[Query, Outcome]]:
    """Return what the template answers to rows, and how it was judged; the wrong ones first."""
    outcomes = session.rollouts.outcomes(session.template, rows)
    pairs = list(zip(rows, outcomes, strict=True))
    return sorted(pairs, key=lambda pair: {False: 0, None: 1, True: 2}[pair[1].right])


def drafts(session: Session, row: Query, outcome: Outcome) -> Told[tuple[str, ...]]:
    """Return critiques of an output that the model drafts against the policy's exact words."""
    return draft_critiques(session.editor, row, outcome.said, session.policies, outcome.words)


def changed(session: Session, finding: Finding, change: Change, text: str = "") -> Proposed:
    """Return the change that a finding leads to; `text` are a person's own words for the part."""
    return proposed_for(
        session.editor, session.template, finding, change, session.policies,
        list(session.rows.values()), text,
    )  # fmt: skip


def tried(session: Session, child: PromptTemplate, rows: Sequence[Query]) -> Contrast:
    """Return how a child does beside the template on development rows, one by one."""
    before, after = (session.rollouts.outcomes(each, rows) for each in (session.template, child))
    return contrast(before, after)


def take(
    session: Session, row: Query, outcome: Outcome, kind: FeedbackKind, text: str, by: str
) -> Feedback:
    """Keep feedback on an output and return it; raises InputError where it says nothing."""
    if not text.strip():
        raise InputError("the feedback says nothing", fix="say what should be otherwise")
    return add_feedback(
        session.path,
        Feedback(
            id="new", row=row.id, kind=kind, text=text[:4000], output=outcome.said, by=by,
            policy=row.policies[0] if row.policies else None,
            template=session.template.fingerprint,
        ),
    )  # fmt: skip


def propose(session: Session, feedback: Feedback) -> Proposed:
    """Return the change that the session's method makes of feedback; nothing is written."""
    found: Proposed = resolve(METHODS[session.method])(
        session.editor, session.template, feedback, session.rows[feedback.row], session.policies,
        list(session.rows.values()),
    )  # fmt: skip
    return found


def gated(session: Session, child: PromptTemplate, proposed: Proposed) -> Proposed:
    """Return a proposal whose template a person changed, with the gates' verdicts on it."""
    verdicts = gates(
        session.template, child, rows=list(session.rows.values()), policies=session.policies
    )
    return Proposed(f"{proposed.what}, changed by hand", child, verdicts, (),
                    proposed.warnings, proposed.reason, proposed.edit)  # fmt: skip


def replayed(session: Session, child: PromptTemplate) -> list[Replayed]:
    """Return all feedback on the template so far, tried on a child."""
    return replay(
        session.editor, session.template, child, read_feedback(session.path), session.rows,
        session.rollouts,
    )  # fmt: skip


def save(session: Session, proposed: Proposed, note: str) -> Version:
    """Write the proposed template to its file and keep it as a version; its parent is kept too.

    Raises InputError where a gate did not pass.
    """
    failed = [verdict.name for verdict in proposed.verdicts if not verdict.passed]
    if proposed.template is None or failed:
        raise InputError(
            f"not saved: {', '.join(failed) or 'there is no template'}", path=session.path,
            fix="change the proposal, or leave the template as it is",
        )  # fmt: skip
    return keep(session.path, proposed.template, note)
