"""`selaras prompt optimize` and `selaras prompt prove`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selaras.cli.frame import (
    DryRunOption,
    JsonOption,
    ProjectOption,
    ResumeOption,
    RetryOption,
    SetOption,
    command,
    open_project_at,
    print_json,
    say,
    showing,
)
from selaras.cli.prompt_findings import FindingsOption
from selaras.cli.prompt_improve import EditorOption, JudgeOption, SystemOption

if TYPE_CHECKING:
    from selaras.evaluate import Comparison
    from selaras.prompt.optimize import Optimized
    from selaras.prompt.proof import Proof
    from selaras.prompt.selection import Candidate

File = Annotated[Path, typer.Argument(help="The template, such as prompts/x.prompt.")]


@command
def optimize(
    file: File,
    budget_calls: Annotated[
        int, typer.Option("--budget-calls", min=1, help="Calls in all: answers, judges, editor.")
    ] = 300,
    rows: Annotated[int, typer.Option("--rows", "-n", min=4, help="Development rows to use.")] = 60,
    search: Annotated[str, typer.Option(help="greedy, or gepa (the extra 'search').")] = "greedy",
    change: Annotated[
        list[str] | None,
        typer.Option("--change", help="findings, principles, instructions, few-shot; repeatable."),
    ] = None,
    findings: FindingsOption = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Right is a reply that is the row's own response.")
    ] = False,
    vetoes: Annotated[
        int, typer.Option("--vetoes", min=0, help="Must-refuse rows that a child may break.")
    ] = 0,
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", min=1, help="The longest a template may be.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    system: SystemOption = None,
    editor: EditorOption = None,
    judge: JudgeOption = None,
    folder: ProjectOption = Path(),
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Search for a better template on development rows, within a budget of calls.

    The template's own file is not touched: the winner is written into the run's folder. Where
    nothing was significantly better, the winner is the template as it was.
    """
    from selaras.evaluate import DEFAULT_JUDGE
    from selaras.prompt import optimize as stage
    from selaras.prompt.selection import SearchSettings

    project = open_project_at(folder, overrides)
    order = stage.Order(
        prompt=file.resolve().relative_to(project.root) if file.exists() else file,
        system=system,
        editor=editor,
        budget_calls=budget_calls,
        rows=rows,
        judges=tuple(judge or (DEFAULT_JUDGE,)),
        exact=exact,
        proposers=tuple(change or (*(["findings"] if findings else []), *stage.CHANGES)),
        search=search,
        budget_tokens=budget_tokens,
        findings=findings,
        settings=SearchSettings(seed=seed, vetoes=vetoes),
    )
    with showing(quiet=as_json) as progress:
        if dry_run:
            work = stage.forecast_search(
                project, stage.prepare(project, order, progress), budget_calls
            )
            print_json(work.to_dict()) if as_json else say(work.text)
            return
        found = stage.optimize(project, order, resume=resume, progress=progress)
    if as_json:
        print_json({**stage.found_values(found.result), "run": found.manifest.id})
    else:
        _show_found(found)


@command
def prove(
    file: Annotated[
        Path, typer.Argument(help="The template to prove, such as runs/ID/winner.prompt.")
    ],
    parent: Annotated[Path, typer.Option("--parent", help="What it is compared with.")],
    attacks: Annotated[
        bool, typer.Option(help="Also ask the sealed rows under attack, of both.")
    ] = True,
    attacked_rows: Annotated[int, typer.Option(min=1, help="The most sealed rows to attack.")] = 40,
    system: SystemOption = None,
    judge: JudgeOption = None,
    max_calls: Annotated[
        int | None, typer.Option(help="Stop before a call more than this many.", min=0)
    ] = None,
    retry_errors: RetryOption = False,
    folder: ProjectOption = Path(),
    resume: ResumeOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Compare a template with its parent on the sealed rows, once each: two looks at most.

    Exit code 3 where it is not proven to be better.
    """
    from selaras.evaluate import DEFAULT_JUDGE, Budget, Terms
    from selaras.prompt.optimize import system_for
    from selaras.prompt.proof import ATTACKS, Means
    from selaras.prompt.proof import prove as proven

    project = open_project_at(folder, overrides)
    before, after = (p.resolve() if p.exists() else project.root / p for p in (parent, file))
    _, spec = system_for(project, parent, system)
    means = Means(
        judges=tuple(judge or (DEFAULT_JUDGE,)),
        attacks=ATTACKS if attacks else (),
        attacked_rows=attacked_rows,
        terms=Terms(Budget(max_calls), retry_errors),
    )
    with showing(quiet=as_json) as progress:
        proof = proven(project, before, after, spec, means, resume=resume, progress=progress)
    print_json(proof.to_dict()) if as_json else _show_proof(proof)
    if proof.verdict != "improved":
        raise typer.Exit(3)


def _show_found(found: "Optimized") -> None:
    result = found.result
    for step in result.steps:
        gained = "" if step.gain is None else f" {100 * step.gain:+.0f} points on {step.rows} rows"
        say(f"  {step.number:3} {step.became}{gained}: {step.how}  [{step.why}]")
    typer.echo("development figures, of the rows that selection was by:")
    for name, candidate in (("seed", result.seed), (f"best ({result.best.name})", result.best)):
        typer.echo(f"  {name}: {_figures(candidate)}")
    gain, noise = result.evidence.gain, result.noise
    twice = "" if noise is None else f"; one prompt asked twice differs by {100 * noise:.1f}"
    typer.echo(
        f"  difference {100 * gain.difference:+.1f} points [{100 * gain.low:+.1f}, "
        f"{100 * gain.high:+.1f}], p {result.p_value:.3f} after {result.finalists} finalists{twice}"
    )
    said = "improved" if result.improved else "no significant improvement: the winner is the seed"
    typer.echo(f"{said} ({result.calls} calls; {result.ended})")
    typer.echo(f"run: {found.folder}")
    if result.improved:
        parent = found.manifest.config["prompt"]
        typer.echo(f"next: selaras prompt prove {found.folder / 'winner.prompt'} --parent {parent}")


def _figures(candidate: "Candidate") -> str:
    from selaras.prompt.objective import summary_of

    figures = summary_of(candidate.outcomes)
    names = {
        "right": "right",
        "violation_rate": "violating",
        "over_refusal_rate": "over-refused",
        "compliance_rate": "refused as it should",
    }
    rates = [
        f"{said} {figures[key]['value']:.3f} (n {figures[key]['n']})"
        for key, said in names.items()
        if figures[key]["value"] is not None
    ]
    return f"{', '.join(rates)}; {figures['tokens']:.0f} tokens a row"


def _show_proof(proof: "Proof") -> None:
    from selaras.prompt.proof import may_be_worse

    typer.echo(f"held-out figures, {len(proof.child.judged)} sealed rows, {proof.looks} Systems "
               "have looked")  # fmt: skip
    for title, comparisons in (("", proof.comparisons), ("under attack", proof.attacked)):
        if title and comparisons:
            typer.echo(f"{title}:")
        for comparison in comparisons:
            typer.echo(f"  {_compared(comparison)}")
    if proof.unpaired:
        typer.echo(f"{proof.unpaired} rows were answered by one of the two only, and say nothing: "
                   "ask them again with --retry-errors")  # fmt: skip
    typer.echo(f"verdict: {proof.verdict}")
    if proof.verdict == "improved" and (losses := may_be_worse(proof.comparisons)):
        said = ", ".join(f"{figure} by {100 * loss:.1f} points" for figure, loss in losses.items())
        typer.echo(f"not excluded by these rows: worse in {said}")


def _compared(comparison: "Comparison") -> str:
    paired = comparison.paired
    return (
        f"{comparison.figure}: {100 * paired.difference:+.1f} points [{100 * paired.low:+.1f}, "
        f"{100 * paired.high:+.1f}], n {paired.n}, p {comparison.p_value:.3f}"
        + (" (tie)" if comparison.tied else "")
    )
