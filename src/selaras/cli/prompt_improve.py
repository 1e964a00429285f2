"""`selaras prompt improve`: through outputs, feedback, a proposal and its replay, to a version."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selaras.cli.frame import (
    ProjectOption,
    SetOption,
    command,
    open_project_at,
    say,
    showing,
)
from selaras.cli.prompt_findings import FindingsOption, walk_findings

if TYPE_CHECKING:
    from selaras.core.records import Query
    from selaras.prompt.feedback import Feedback
    from selaras.prompt.improve import Session
    from selaras.prompt.objective import Outcome
    from selaras.prompt.principles import Proposed
    from selaras.prompt.replay import Replayed

ASKED = "[c]ritique, [k]udos, [r]ewrite the response, [d]raft critiques, [s]kip, [q]uit"
JudgeOption = Annotated[
    list[str] | None,
    typer.Option("--judge", help="A judge of selaras.yaml, or TYPE:MODEL-OR-FILE; repeatable."),
]
SystemOption = Annotated[
    str | None,
    typer.Option("--system", help="The System that answers: the first one that uses the template."),
]
EditorOption = Annotated[
    str | None, typer.Option("--editor", help="The model that proposes: the System's by default.")
]


@command
def improve(
    file: Annotated[Path, typer.Argument(help="The template, such as prompts/x.prompt.")],
    method: Annotated[
        str, typer.Option(help="principles: one rule at a time; rewrite: the instructions anew.")
    ] = "principles",
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, help="Outputs to look at.")] = 6,
    row: Annotated[
        list[str] | None, typer.Option("--row", help="A development row by id; may be repeated.")
    ] = None,
    system: SystemOption = None,
    editor: EditorOption = None,
    judge: JudgeOption = None,
    findings: FindingsOption = None,
    folder: ProjectOption = Path(),
    overrides: SetOption = None,
) -> None:
    """Improve a template from feedback: look at outputs, say what is wrong, decide on the change.

    With --findings: what was measured of its parts, one by one, deleted or written anew. Shows each
    change as a diff with gate verdicts, and all earlier feedback tried on it. Nothing is written
    before you accept.
    """
    from selaras.evaluate import DEFAULT_JUDGE
    from selaras.prompt import improve as stage
    from selaras.prompt.feedback import feedback_path
    from selaras.prompt.optimize import template_findings
    from selaras.template import load_prompt

    project = open_project_at(folder, overrides)
    path = file.resolve().relative_to(project.root) if file.exists() else file
    found = template_findings(findings, load_prompt(project.root / path), path)
    with showing() as progress:
        session = stage.begin(
            project, path, method, system=system, editor=editor,
            judges=tuple(judge or (DEFAULT_JUDGE,)), progress=progress,
        )  # fmt: skip
        chosen = stage.chosen_rows(session, rows, row or ())
        if found:
            walk_findings(session, found, chosen)
            return
        say(f"{path}: answering {len(chosen)} development rows …")
        shown = stage.outputs(session, chosen)
    for number, (one, outcome) in enumerate(shown, 1):
        _show_output(number, len(shown), one, outcome)
        feedback = _feedback(session, one, outcome)
        if feedback is None:
            continue
        if isinstance(feedback, str):
            break
        if _change(session, feedback):
            say("The template has changed: begin again to look at its outputs.")
            break
    say(f"feedback is kept in {feedback_path(session.path).name}")


def _show_output(number: int, count: int, row: "Query", outcome: "Outcome") -> None:
    from selaras.core.errors import one_line

    typer.echo(
        f"\n--- {number}/{count}  {row.id}  {row.kind.value}, expected {row.expected or '?'}"
    )
    typer.echo(f"query:    {one_line(row.query, 600)}")
    typer.echo(f"response: {one_line(outcome.said, 1200)}")
    typer.echo(f"judged:   {outcome.words}")


def _feedback(session: "Session", row: "Query", outcome: "Outcome") -> "Feedback | str | None":
    """Ask for feedback on one output; None for none, "quit" to stop."""
    from selaras.prompt import improve as stage

    kinds = {"c": "critique", "k": "kudos", "r": "rewrite"}
    by = "person"
    while True:
        said = typer.prompt(f"{ASKED}", default="s").strip().casefold()[:1]
        if said in {"s", "q"}:
            return "quit" if said == "q" else None
        if said in kinds:
            text = typer.prompt({"c": "what is wrong", "k": "what is good",
                                 "r": "the response as it should be"}[said])  # fmt: skip
            kind = kinds[said]
            break
        if said == "d":
            text = _drafted(session, row, outcome)
            if text:
                kind, by = "critique", session.editor_name
                break
    return stage.take(session, row, outcome, kind, text, by)  # type: ignore[arg-type]


def _drafted(session: "Session", row: "Query", outcome: "Outcome") -> str:
    from selaras.prompt import improve as stage

    told = stage.drafts(session, row, outcome)
    for problem in told.problems:
        say(f"  (a reply could not be used: {problem})")
    if told.value is None:
        say("the model drafted nothing that can be used: write a critique yourself")
        return ""
    for number, text in enumerate(told.value, 1):
        typer.echo(f"  {number}. {text}")
    number = typer.prompt("which one (0: none)", default=1, type=int)
    return told.value[number - 1] if 1 <= number <= len(told.value) else ""


def _change(session: "Session", feedback: "Feedback") -> bool:
    """Propose, show, replay, and save where it is accepted; return whether it was saved."""
    from selaras.prompt import improve as stage

    proposed = stage.propose(session, feedback)
    while True:
        show_proposed(session, proposed)
        if proposed.template is None:
            return False
        say("trying all feedback so far on the new template …")
        for each in stage.replayed(session, proposed.template):
            show_replayed(each)
        if not proposed.passes:
            say("a gate did not pass: it cannot be saved as it is")
        wanted = "[a]ccept, [e]dit the principle, [n]o" if proposed.edit else "[a]ccept, [n]o"
        said = typer.prompt(wanted, default="n").strip().casefold()[:1]
        if said == "a" and proposed.passes:
            version = stage.save(session, proposed, f"{session.method}: {feedback.id}")
            typer.echo(f"saved as version {version.version} (parent {version.parent})")
            return True
        if said == "e" and proposed.edit:
            proposed = _by_hand(session, proposed, feedback)
        elif said != "a":
            return False


def _by_hand(session: "Session", proposed: "Proposed", feedback: "Feedback") -> "Proposed":
    from dataclasses import replace

    from selaras.prompt import improve as stage
    from selaras.prompt.edit import apply_edit

    if proposed.edit is None:
        return proposed
    text = typer.prompt("the principle", default=proposed.edit.text)
    edit = proposed.edit.model_copy(update={"text": " ".join(text.split())})
    child = apply_edit(session.template, edit, [feedback.id], feedback.policy)
    return stage.gated(session, child, replace(proposed, edit=edit))


def show_proposed(session: "Session", proposed: "Proposed") -> None:
    """Print a proposal: its reason, its diff, what the gates say of it."""
    from selaras.prompt.edit import in_words
    from selaras.template.diff import text_diff

    for problem in proposed.problems:
        say(f"  (a reply could not be used: {problem})")
    if proposed.edit is not None:
        typer.echo(f"\nproposed: {in_words(proposed.edit)}")
    if proposed.reason:
        typer.echo(f"because:  {proposed.reason}")
    if proposed.template is None:
        typer.echo("nothing is proposed")
        return
    typer.echo(text_diff(session.template, proposed.template, ("now", "proposed")))
    for verdict in proposed.verdicts:
        if not verdict.passed:
            quoted = f" ({'; '.join(verdict.evidence)})" if verdict.evidence else ""
            typer.echo(f"gate {verdict.name} did not pass: {verdict.reason}{quoted}")
    if proposed.passes:
        typer.echo(f"gates: all {len(proposed.verdicts)} passed")
    for warning in proposed.warnings:
        typer.echo(f"warning: {warning}")


def show_replayed(each: "Replayed") -> None:
    """Print a piece of feedback under the template and the proposal."""
    from selaras.core.errors import one_line

    feedback = each.feedback
    typer.echo(f"  {feedback.id} ({feedback.kind} on {feedback.row}): "
               f"{each.before} -> {each.after}")  # fmt: skip
    if each.outcomes is not None:
        typer.echo(f"      now: {one_line(each.outcomes[1].said, 200)}")
    if each.conflict:
        typer.echo(
            f"      CONFLICT: {each.conflict}" if each.outcomes else f"      {each.conflict}"
        )
