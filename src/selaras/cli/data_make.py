"""`selaras data add|generate|fill|queries`: rows by hand and with a model."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selaras.cli.frame import (
    DryRunOption,
    JsonOption,
    ProjectOption,
    ResumeOption,
    SetOption,
    command,
    open_project_at,
    print_json,
    say,
    showing,
)

if TYPE_CHECKING:
    from selaras.core.project import Project
    from selaras.core.system import Sampling
    from selaras.data import Rows
    from selaras.data.coverage import Cell
    from selaras.data.making.fill import Filled
    from selaras.data.making.generate import Order

ModelOption = Annotated[str, typer.Option("--model", help="The model that writes.")]
CallsOption = Annotated[
    int | None, typer.Option("--max-calls", min=1, help="Stop before the call after these.")
]
TokensOption = Annotated[int, typer.Option(min=16, help="The longest reply, in tokens.")]
WarmOption = Annotated[float, typer.Option("--temperature", min=0, max=2)]
PairsOption = Annotated[
    bool, typer.Option("--pairs", help="Two responses a query and a draft of the better one.")
]


@command
def generate(
    cells: Annotated[
        list[str], typer.Argument(help="POLICY/USE_CASE/KIND=N; - for no policy or use case.")
    ],
    model: ModelOption,
    folder: ProjectOption = Path(),
    pairs: PairsOption = False,
    max_calls: CallsOption = None,
    max_tokens: TokensOption = 256,
    temperature: WarmOption = 0.8,
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Draft rows with a model: queries, safe responses, a critique; copies are taken out.

    Drafts wait in data/drafts.jsonl until a person approves them.
    """
    from selaras.core.system import Sampling
    from selaras.data import load_rows
    from selaras.data.making.generate import Order

    project = open_project_at(folder, overrides)
    order = Order(dict(map(_cell, cells)), seed=project.file.seed, pairs=pairs)
    if dry_run:
        _forecast(project, order, max_tokens, as_json)
        return
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, seed=order.seed)
    _run(project, load_rows(project), order, model, sampling, max_calls, resume, as_json)


@command
def fill(
    model: ModelOption,
    folder: ProjectOption = Path(),
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Cells of this policy, use case or kind.")
    ] = None,
    most: Annotated[
        int | None, typer.Option("--cells", min=1, help="At most so many cells, emptiest first.")
    ] = None,
    each: Annotated[
        int | None, typer.Option("--each", min=1, help="Rows a cell; what it lacks if left out.")
    ] = None,
    pairs: PairsOption = False,
    max_calls: CallsOption = None,
    max_tokens: TokensOption = 256,
    temperature: WarmOption = 0.8,
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Fill thin cells: coverage, drafts for what is missing, their audits, coverage again."""
    from selaras.core.manifest import ledger
    from selaras.core.system import Sampling
    from selaras.data import load_rows
    from selaras.data.making.fill import grid, thin_cells
    from selaras.data.making.generate import Order

    project = open_project_at(folder, overrides)
    known = load_rows(project)
    chosen = thin_cells(grid(project, known.kept), each, only or (), most)
    if resume and (begun := [m for m in ledger(project.runs)
                             if (m.kind, m.status) == ("generate", "running")]):  # fmt: skip
        # The drafts of an unfinished run are not rows yet, but the order must stay the same.
        chosen = {_named(name): n for name, n in begun[-1].config["cells"].items()}
    if not chosen:
        say("no cell is thin: nothing to fill")
        return
    order = Order(chosen, seed=project.file.seed, pairs=pairs)
    if dry_run:
        _forecast(project, order, max_tokens, as_json)
        return
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, seed=order.seed)
    _run(project, known, order, model, sampling, max_calls, resume, as_json)


@command
def queries(
    out: Annotated[Path, typer.Argument(help="Where to: a .jsonl file outside data/.")],
    number: Annotated[int, typer.Option("--n", min=1, help="How many.")] = 200,
    adversarial: Annotated[
        float, typer.Option(min=0, max=1, help="Share of inadvertent and malicious ones.")
    ] = 0.5,
    folder: ProjectOption = Path(),
    overrides: SetOption = None,
) -> None:
    """Draw queries for on-policy RL from approved development rows, to a balance."""
    from collections import Counter

    from selaras.data import open_development, write_rows
    from selaras.data.queries import rl_queries

    project = open_project_at(folder, overrides)
    with showing() as progress:
        rows = open_development(project, progress).rows
    drawn = rl_queries(rows, number, adversarial, project.file.seed)
    write_rows(out, drawn)
    counts = ", ".join(f"{n} {kind}" for kind, n in Counter(r.kind.value for r in drawn).items())
    say(f"{len(drawn)} queries without responses in {out}: {counts}")


@command
def add(
    policy: Annotated[str, typer.Argument(help="The policy, or - for an ordinary row.")],
    folder: ProjectOption = Path(),
    kind: Annotated[str, typer.Option(help="ordinary, look_alike, inadvertent, malicious")] = "",
    use_case: Annotated[str | None, typer.Option(help="The use case; the first one.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file: data/by-hand.jsonl.")] = None,
) -> None:
    """Write rows by hand, one after another, with what the policy says beside you."""
    from selaras.data.by_hand import FILE, add_row, guidance, new_row

    project = open_project_at(folder)
    path = out or project.root / "data" / FILE
    kinds = ("ordinary",) if policy == "-" else ("look_alike", "malicious", "inadvertent")
    while True:
        chosen = kind or typer.prompt(f"kind ({', '.join(kinds)})", default=kinds[0])
        for line in guidance(project, policy, chosen):
            say(line)
        query = typer.prompt("the user's message (empty: done)", default="", show_default=False)
        if not query.strip():
            return
        response = typer.prompt("the response you want (empty: none yet)", default="",
                                show_default=False)  # fmt: skip
        row = new_row(project, policy, chosen, query, response, use_case)
        for warning in add_row(project, path, row):
            say(f"note: {warning}")
        say(f"{row.id} in {path}")


@command
def mix(
    name: Annotated[str, typer.Argument(help="A mix of selaras.yaml.")],
    folder: ProjectOption = Path(),
    out: Annotated[Path | None, typer.Option(help="Write its rows to this file.")] = None,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Show what a mix of selaras.yaml draws from the development rows; tune with tune.mix=NAME."""
    from selaras.core.errors import InputError
    from selaras.data import open_development, write_rows
    from selaras.data.mix import draw_mix, outside_band

    project = open_project_at(folder, overrides)
    if name not in project.file.mixes:
        known = ", ".join(project.file.mixes) or "(none yet)"
        raise InputError(f"no mix named {name!r}", field="mixes", fix=f"use one of: {known}")
    with showing(as_json) as progress:
        rows = open_development(project, progress).rows
    drawn = draw_mix(rows, project.file.mixes[name], project.file.seed)
    if out:
        write_rows(out, drawn.rows)
    if as_json:
        print_json(drawn.to_dict())
        return
    for part, n in drawn.given.items():
        say(f"{part}: {n:,} of {drawn.available[part]:,} rows")
    say(f"{len(drawn.rows):,} rows, {drawn.safety_share:.1%} of them safety rows")
    if said := outside_band(drawn.safety_share):
        say(f"note: {said}")


@command
def card(
    folder: ProjectOption = Path(),
    out: Annotated[Path | None, typer.Option(help="The file: data/CARD.md.")] = None,
    as_text: Annotated[bool, typer.Option("--print", help="Print it instead.")] = False,
) -> None:
    """Write the data card: purpose, sources, licences, review, coverage, audits, known gaps."""
    from selaras.core.files import write_text
    from selaras.report.data_card import data_card

    project = open_project_at(folder)
    text = data_card(project)
    if as_text:
        typer.echo(text)
        return
    path = out or project.root / "data" / "CARD.md"
    write_text(path, text)
    say(f"{path}")


def _forecast(project: "Project", order: "Order", max_tokens: int, as_json: bool) -> None:
    from selaras.data.making.generate import calls_for, planned
    from selaras.policy import load_policies

    made = planned(project, load_policies(project), order)
    calls = calls_for(order)
    if as_json:
        print_json({"rows": len(made), "calls": calls, "most_tokens": calls * max_tokens,
                    "cells": {str(cell): n for cell, n in order.cells.items()}})  # fmt: skip
        return
    for cell, n in order.cells.items():
        say(f"{cell}: {n}")
    say(f"{len(made)} rows in {len(order.cells)} cells: about {calls} calls, at most "
        f"{calls * max_tokens:,} tokens written")  # fmt: skip


def _run(
    project: "Project", known: "Rows", order: "Order", model: str, sampling: "Sampling",
    max_calls: int | None, resume: bool, as_json: bool,
) -> None:  # fmt: skip
    from selaras.data.making.fill import fill as fill_cells

    with showing(as_json) as progress:
        filled = fill_cells(project, model, sampling, order, known, max_calls=max_calls,
                            resume=resume, progress=progress)  # fmt: skip
    if as_json:
        print_json(filled.to_dict())
    else:
        _show(filled)


def _show(filled: "Filled") -> None:
    from rich.console import Console
    from rich.table import Table

    value = filled.to_dict()
    table = Table(title="Rows by cell", title_justify="left")
    for name in ("cell", "asked", "rows", "if approved", "minimum"):
        table.add_column(name, justify="left" if name == "cell" else "right")
    for cell in value["cells"]:
        table.add_row(*(str(cell[name]) for name in
                        ("cell", "asked", "rows", "if_approved", "minimum")))  # fmt: skip
    Console().print(table)
    say(f"{value['drafted']} drafts of {value['asked']} in data/drafts.jsonl, "
        f"{value['revised']} revised after a critique; {value['calls']} calls, "
        f"{value['prompt_tokens']:,} tokens read and {value['tokens']:,} written")  # fmt: skip
    for reason, n in value["rejected"].items():
        say(f"not kept: {n} ({reason})")
    for name, counts in value["findings"].items():
        say(f"audit of the drafts: {name}: {', '.join(f'{n} {k}' for k, n in counts.items() if n)}")
    say("they wait for review: selaras data list, selaras data decide ID --approve, "
        "or the rating page")  # fmt: skip


def _cell(text: str) -> tuple["Cell", int]:
    from selaras.core.errors import InputError

    name, equals, number = text.partition("=")
    parts = name.split("/")
    if not equals or len(parts) != 3 or not number.isdigit() or int(number) < 1:
        raise InputError(f"{text!r} is not of the form POLICY/USE_CASE/KIND=N")
    return _named(" / ".join(parts)), int(number)


def _named(name: str) -> "Cell":
    from selaras.core.errors import InputError
    from selaras.core.records import Kind
    from selaras.data.coverage import Cell

    policy, use_case, kind = (part.strip() for part in name.split(" / "))
    if kind not in {*Kind}:
        raise InputError(f"no kind {kind!r}", fix=f"use one of: {', '.join(Kind)}")
    return Cell(policy, use_case, kind)


def commands() -> Iterator[tuple[str, Any]]:
    """Yield this file's commands by name."""
    yield from {
        "add": add, "generate": generate, "fill": fill, "queries": queries, "mix": mix,
        "card": card,
    }.items()  # fmt: skip
