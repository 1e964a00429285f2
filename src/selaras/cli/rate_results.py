"""What comes of votes: `selaras rate agreement`, `adjudicate`, `labels` and `export`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selaras.cli.frame import (
    JsonOption,
    ProjectOption,
    command,
    open_project_at,
    print_json,
    say,
)

if TYPE_CHECKING:
    from selaras.core.project import Project
    from selaras.rating.agreement import Agreement
    from selaras.rating.quality import RaterQuality

BatchArgument = Annotated[str, typer.Argument(help="The batch.")]


@command
def agreement(
    batch: BatchArgument, folder: ProjectOption = Path(), as_json: JsonOption = False
) -> None:
    """Show how far raters agree: alpha by policy and group, kappa, position bias, each rater.

    Groups of few raters (least_raters of the batch) appear nowhere.
    """
    from selaras.rating.agreement import agreement as agreed
    from selaras.rating.quality import rater_quality

    with opened_store(open_project_at(folder)) as store, store.reading() as connection:
        found = agreed(connection, batch)
        raters = rater_quality(connection, batch)
    if as_json:
        print_json({**found.to_dict(), "raters": [rater.to_dict() for rater in raters]})
        return
    _print_agreement(found, raters)


@command
def adjudicate(
    batch: Annotated[str | None, typer.Argument(help="The batch.")] = None,
    item: Annotated[str | None, typer.Option(help="The item's key, to decide it.")] = None,
    value: Annotated[str, typer.Option(help="The answer that holds.")] = "",
    cause: Annotated[str, typer.Option(help="ambiguous, guideline_gap or rater_error.")] = "",
    why: Annotated[str, typer.Option(help="Why; raters see it beside an example.")] = "",
    by: Annotated[str, typer.Option(help="Who decides.")] = "lead",
    example: Annotated[
        str, typer.Option(help="With a guideline gap: the behaviour, proposed to the policy.")
    ] = "",
    side: Annotated[str, typer.Option(help="Which it is: allowed or violating.")] = "allowed",
    policy: Annotated[str, typer.Option(help="Its policy; the item's only one by default.")] = "",
    accept: Annotated[
        int | None, typer.Option(min=1, help="Write proposal N of the list into its policy.")
    ] = None,
    raise_revision: Annotated[
        bool, typer.Option("--raise-revision", help="The meaning changes: open its items again.")
    ] = False,
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """List what raters disagree on, decide an item, or accept a proposed policy example.

    The list holds ids and counts; the lead's page of `selaras rate serve` shows the texts.
    """
    project = open_project_at(folder)
    with opened_store(project) as store:
        if accept is not None:
            _accept(project, store, accept, raise_revision)
        elif batch and item:
            chosen = (policy, side, example) if example else None
            _decide(project, store, batch, item, (value, cause, why, by), chosen)
        else:
            _list(project, store, batch, as_json)


@command
def labels(
    batch: BatchArgument,
    out: Annotated[Path, typer.Argument(help="JSONL for selaras calibrate.")],
    folder: ProjectOption = Path(),
) -> None:
    """Write one line a vote for `selaras calibrate`: ids and values, sealed rows among them."""
    from selaras.core.errors import InputError
    from selaras.core.files import write_jsonl
    from selaras.rating.export import labels_for_calibration

    with opened_store(open_project_at(folder)) as store, store.reading() as connection:
        lines = labels_for_calibration(connection, batch)
    if not lines:
        raise InputError(
            f"no vote of {batch} is of a System's output",
            fix="rate a run: selaras rate create NAME --task refusal --run RUN",
        )
    write_jsonl(out, lines)
    say(f"wrote {len(lines)} labels to {out}; next: selaras calibrate {out}")


@command
def export(
    batch: BatchArgument,
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    form: Annotated[
        str,
        typer.Option("--as", help="rows, jsonl, csv, ratings, argilla or label-studio."),
    ] = "jsonl",
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Export labels: rows and preferences with provenance, raw votes, other tools' JSON.

    Rows of the sealed hold-out are never exported.
    """
    from selaras.core.errors import InputError
    from selaras.core.files import write_json, write_jsonl
    from selaras.rating.export import FORMS, removal_lines
    from selaras.rating.export import export as exported
    from selaras.rating.tables import write_table

    if form not in FORMS:
        raise InputError(f"no form {form!r}", field="--as", fix=f"use one of: {', '.join(FORMS)}")
    with opened_store(open_project_at(folder)) as store, store.reading() as connection:
        found = exported(connection, batch, form)
    if form == "csv":
        write_table(out, found.values)
    elif form in {"argilla", "label-studio"}:
        write_json(out, list(found.values))
    else:
        write_jsonl(out, found.values)
    if as_json:
        print_json({"written": len(found.values), "sealed": found.sealed,
                    "left_out": list(removal_lines(found))})  # fmt: skip
        return
    say(f"wrote {len(found.values)} lines to {out}")
    if found.sealed:
        say(f"{found.sealed} items are of sealed rows and were not exported")
    for removal in found.removed[:10]:
        say(f"left out {removal.record}: {removal.reason}")
    if len(found.removed) > 10:
        say(f"… and {len(found.removed) - 10} more: --json lists them")


@command
def apply(
    batch: BatchArgument, folder: ProjectOption = Path(), as_json: JsonOption = False
) -> None:
    """Write a review's outcome as decisions: approved drafts come into use, rejected ones go.

    An edited draft becomes a new row in data/reviewed.jsonl that names its parent.
    """
    from dataclasses import asdict

    from selaras.rating.reviewed import apply_review

    project = open_project_at(folder)
    with opened_store(project) as store, store.reading() as connection:
        found = apply_review(project, connection, batch)
    if as_json:
        print_json(asdict(found))
        return
    counts = f"{len(found.approved)} approved, {len(found.edited)} edited"
    say(f"{counts}, {len(found.rejected)} rejected")
    for removal in found.left[:10]:
        say(f"waits on: {removal.record} ({removal.reason})")


def _accept(project: "Project", store: Any, number: int, raise_revision: bool) -> None:
    from selaras.core.errors import InputError
    from selaras.policy import load_policies
    from selaras.rating.adjudicate import add_example, proposals
    from selaras.rating.guides import refresh

    with store.reading() as connection:
        proposed = proposals(connection, load_policies(project))
    if number > len(proposed):
        raise InputError(f"there are {len(proposed)} proposals", field="--accept")
    made = add_example(project, proposed[number - 1], raise_revision=raise_revision)
    with store.writing() as connection:
        opened = refresh(connection, load_policies(project))
    say(f"wrote the example into policies/{made.id}.yaml (revision {made.revision})")
    for name, count in opened.items():
        say(f"{name}: {count} items open again")


def _decide(
    project: "Project", store: Any, batch: str, key: str, said: tuple[str, str, str, str],
    example: Any,
) -> None:  # fmt: skip
    from selaras.core.errors import InputError
    from selaras.policy import load_policies
    from selaras.rating.adjudicate import adjudicate as decided
    from selaras.rating.batches import items_of
    from selaras.rating.guides import refresh

    value, cause, why, by = said
    with store.writing() as connection:
        found = [item for item in items_of(connection, batch) if item.key == key]
        if not found:
            raise InputError(f"no item {key!r} in {batch}", field="--item")
        if example and not example[0]:
            names = found[0].content.policies
            example = (names[0] if names else "", *example[1:])
        decided(connection, found[0].id, value, cause, why=why, by=by, example=example)
        refresh(connection, load_policies(project))
    say(f"decided {key}: {value} ({cause.replace('_', ' ')})")


def _list(project: "Project", store: Any, batch: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    from selaras.policy import load_policies
    from selaras.rating.adjudicate import disputes, proposals
    from selaras.rating.batches import list_batches

    with store.reading() as connection:
        names = [batch] if batch else [spec.id for spec, _ in list_batches(connection)]
        waiting = [(name, one) for name in names for one in disputes(connection, name)]
        proposed = proposals(connection, load_policies(project))
    if as_json:
        print_json({
            "disputes": [
                {"batch": name, "item": one.item.key, "entropy": round(one.entropy, 6),
                 "counts": one.counts, "notes": [v.note for v in one.votes if v.note]}
                for name, one in waiting
            ],
            "proposals": [asdict(one) for one in proposed],
        })  # fmt: skip
        return
    for name, one in waiting:
        counts = ", ".join(f"{count} {value}" for value, count in one.counts.items())
        typer.echo(f"{name}\t{one.item.key}\t{one.entropy:.2f} bits\t{counts}")
    for number, example in enumerate(proposed, 1):
        typer.echo(f"proposal {number}: {example.policy}, {example.side}: {example.text}")
    if not waiting and not proposed:
        say("nothing waits for a decision")


def _print_agreement(found: "Agreement", raters: "list[RaterQuality]") -> None:
    rows = {f"alpha ({found.level})": found.alpha}
    rows |= {f"alpha, policy {name}": one for name, one in found.by_policy.items()}
    rows |= {f"alpha, {name}": one for name, one in found.by_group.items()}
    rows |= {"kappa over pairs of raters": found.kappa, "unanimous items": found.unanimous}
    rows |= {"first position preferred": found.positions} if found.positions else {}
    _print_table(
        f"Agreement in {found.batch.id} [95 %]", ("what", "value", "n"),
        [(name, _interval(one), str(one.n)) for name, one in rows.items()],
    )  # fmt: skip
    gaps = [
        (f"{gap.field}={gap.group}", gap.value, _interval(gap.share), _interval(gap.others),
         str(gap.raters))
        for gap in found.gaps[:12]
    ]  # fmt: skip
    if gaps:
        columns = ("group", "answer", "this group", "others", "raters")
        _print_table("Groups of raters beside all others, same items", columns, gaps)
    if found.hidden_groups:
        say(f"{found.hidden_groups} groups have fewer than {found.batch.least_raters} raters "
            "and are not shown")  # fmt: skip
    _print_raters(raters)
    if found.stale:
        say(f"{found.stale} votes are of an earlier revision of a policy: kept, and not counted")


def _print_raters(raters: "list[RaterQuality]") -> None:
    columns = ("rater", "votes", "gold", "repeats", "with the others", "hasty", "median s")
    _print_table("Raters", columns, [
        (one.pseudonym, str(one.votes), _interval(one.gold), _interval(one.repeats),
         _interval(one.leave_one_out), _interval(one.hasty), f"{one.seconds:g}")
        for one in raters
    ])  # fmt: skip
    for one in raters:
        for warning in one.warnings:
            say(f"{one.pseudonym}: {warning}")


def _print_table(title: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


def _interval(value: Any) -> str:
    if value.n == 0 or value.value != value.value:
        return "-"
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def opened_store(project: "Project") -> Any:
    """Return the project's store, which is closed when the block ends."""
    from contextlib import closing

    from selaras.rating.store import open_store, store_url

    return closing(open_store(store_url(project)))
