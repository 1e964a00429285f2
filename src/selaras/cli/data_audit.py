"""`selaras data audit`, `decide` and `restore`: what is wrong with rows, and what is done of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selaras.cli.frame import (
    JsonOption,
    ProjectOption,
    SetOption,
    command,
    open_project_at,
    print_json,
    say,
    showing,
)

if TYPE_CHECKING:
    from selaras.core.project import Project
    from selaras.data import AuditReport

MOST_SHOWN = 5


@command
def audit(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Row files; by default the project's.")
    ] = None,
    folder: ProjectOption = Path(),
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Run these audits alone.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Take out what needs no person, such as exact copies.")
    ] = False,
    reference: Annotated[
        list[Path] | None,
        typer.Option("--reference", help="Rows to compare diversity with, at equal lengths."),
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(help="minilm, or static: coarser and a hundred times as fast; auto by size."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Ask a model about rows close to evaluation items."),
    ] = None,
    max_calls: Annotated[int | None, typer.Option(help="Most calls to the judge.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Most that its calls may cost.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the page here.")] = None,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Look for what is wrong with the rows, explain it on a page, and repair it reversibly.

    Nothing is deleted: --fix appends decisions, 'selaras data restore' takes them back. Exit code 3
    where a cell of policy x use case x kind has too few rows.
    """
    from selaras.core.errors import GateError, InputError
    from selaras.data import AuditOptions, audit_files, audit_project
    from selaras.data import fix as repair
    from selaras.evaluate import Budget, Terms, same_question
    from selaras.report import write_audit

    audits = _chosen(only)
    project = _project(folder, overrides, bool(data))
    if judge and project is None:
        raise InputError("--judge is asked about a project's evaluation_sets, and there is none",
                         path=folder)  # fmt: skip
    with showing() as progress:
        terms = Terms(Budget(max_calls, max_cost), retry_errors=True)
        same = same_question(judge, project, terms, progress) if judge and project else None
        options = AuditOptions(tuple(reference or ()), embedder, same)
        if data or project is None:
            report = audit_files(data or [], audits, project, progress, options)
        else:
            report = audit_project(project, audits, progress, options)
        page = write_audit(report, project, out)
    if fix and project is None:
        _needs_project(folder)
    made = repair(project, report) if fix and project else []
    if as_json:
        print_json({**report.to_dict(), "fixed": [decision.record for decision in made],
                    "page": str(page) if page else None})  # fmt: skip
    else:
        _show(report)
        _say_repairs(report, made, fix)
        if page:
            say(f"page: {page}")
    if not report.passed:
        raise GateError("the coverage gate does not pass: some cells have too few rows")


@command
def decide(
    rows: Annotated[list[str], typer.Argument(help="Ids of rows.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the decision.")],
    folder: ProjectOption = Path(),
    remove: Annotated[bool, typer.Option("--remove", help="Take the rows out.")] = False,
    approve: Annotated[
        bool, typer.Option("--approve", help="They are right: findings are not repeated.")
    ] = False,
    review: Annotated[
        bool, typer.Option("--review", help="Somebody looked; a draft stays one until approved.")
    ] = False,
    relabel: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=VALUE", help="A new label, such as expected=answer."),
    ] = None,
    by: Annotated[str, typer.Option(envvar="USER", help="Who decided.")] = "somebody",
) -> None:
    """Write down what a person decided about rows; 'selaras data restore ROW' takes it back."""
    from selaras.core.errors import InputError
    from selaras.data import decide as write_down

    chosen = [name for name, wanted in (("remove", remove), ("approve", approve),
                                        ("review", review), ("relabel", bool(relabel)))
              if wanted]  # fmt: skip
    if len(chosen) != 1:
        raise InputError(
            "one decision at a time", fix="use --remove, --approve, --review or --relabel"
        )
    action: Any = chosen[0]
    labels: Any = dict(map(_label, relabel or ()))
    made = write_down(open_project_at(folder), rows, action, reason=reason, by=by, fields=labels)
    say(f"{action}: {len(made)} rows (data/decisions.jsonl)")


def _label(text: str) -> tuple[str, str | list[str]]:
    from selaras.core.errors import InputError

    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--relabel {text!r} is not of the form label=value")
    # A row has several policies: "policies=hate,harassment".
    return name, value.split(",") if name == "policies" else value


@command
def restore(
    rows: Annotated[list[str] | None, typer.Argument(help="Ids of rows.")] = None,
    folder: ProjectOption = Path(),
    audit: Annotated[
        str | None, typer.Option("--audit", help="What this audit's findings took out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take decisions back: of rows, of an audit, or (without either) of the last --fix."""
    from selaras.data import restore as take_back

    made = take_back(open_project_at(folder), rows or [], audit)
    names = list(dict.fromkeys(decision.record for decision in made))
    if as_json:
        print_json({"restored": names})
        return
    shown = ", ".join(names[:MOST_SHOWN]) + (" …" if len(names) > MOST_SHOWN else "")
    say(f"took back {len(made)} decisions about {len(names)} rows: {shown}")


def _chosen(only: Sequence[str] | None) -> dict[str, str]:
    from selaras.core.errors import InputError
    from selaras.data import AUDITS

    for name in only or ():
        if name not in AUDITS:
            raise InputError(f"no audit {name!r}", fix=f"use one of: {', '.join(AUDITS)}")
    return {name: target for name, target in AUDITS.items() if not only or name in only}


def _project(folder: Path, overrides: list[str] | None, files: bool) -> "Project | None":
    """Return the project, or None where files are given outside one."""
    from selaras.core.project import FILE

    here = folder.resolve()
    if files and not any((place / FILE).is_file() for place in (here, *here.parents)):
        return None
    return open_project_at(folder, overrides)


def _needs_project(folder: Path) -> None:
    from selaras.core.errors import InputError

    raise InputError(
        "--fix writes decisions into a project, and there is none", path=folder,
        fix="make one with: selaras init DIR",
    )  # fmt: skip


def _show(report: "AuditReport") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(title=f"What the audits found in {len(report.rows):,} rows", title_justify="left")
    for name in ("finding", "fault", "review", "note", "for example"):
        table.add_column(name, justify="right" if name in {"fault", "review", "note"} else "left")
    examples = {finding.name: finding for finding in reversed(report.findings)}
    for name, counts in report.counts().items():
        shown = [str(counts[level] or "") for level in ("fault", "review", "note")]
        table.add_row(name, *shown, Text(_example(examples[name])))
    if not report.findings:
        table.add_row("nothing", "", "", "", "")
    console.print(table)
    if report.reads_meaning:
        console.print(f"what rows mean was read by the encoder {report.encoder}", style="dim")
    for name, reason in report.not_run.items():
        console.print(f"{name} could not be run to its end: {reason}", style="yellow", markup=False)


def _example(finding: Any) -> str:
    from selaras.core.errors import one_line

    who = f"{finding.records[0]}: " if finding.records else ""
    return one_line(who + finding.message, 110)


def _say_repairs(report: "AuditReport", made: Sequence[Any], fixed: bool) -> None:
    saved = report.saved
    share = saved["tokens"] / max(1, saved["of_tokens"])
    what = f"{saved['rows']} rows, some {saved['tokens']:,} tokens ({share:.1%} of all)"
    if fixed and made:
        say(f"took out {what}; 'selaras data restore' takes that back")
    elif fixed:
        say("nothing to take out without a person")
    elif saved["rows"]:
        say(f"--fix would take out {what}")
    if report.approved:
        say(f"{report.approved} findings are not repeated: a person approved their rows")
