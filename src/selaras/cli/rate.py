"""`selaras rate`: batches for people, the page they rate on, how far they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selaras.cli.frame import (
    DryRunOption,
    JsonOption,
    ProjectOption,
    command,
    group,
    open_project_at,
    print_json,
    say,
)
from selaras.cli.rate_results import adjudicate, agreement, apply, export, labels, opened_store

if TYPE_CHECKING:
    from selaras.core.project import Project
    from selaras.rating.batch import BatchSpec
    from selaras.rating.batches import NewItem

BatchArgument = Annotated[str, typer.Argument(help="The batch.")]


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    rate = group("People label: batches, raters, agreement, adjudication, export.")
    for name, function in (
        ("create", create), ("open", open_batch), ("close", close), ("invite", invite),
        ("serve", serve), ("progress", progress), ("refresh", refresh), ("forget", forget),
        ("agreement", agreement), ("adjudicate", adjudicate),
        ("labels", labels), ("export", export), ("apply", apply),
    ):  # fmt: skip
        rate.command(name)(function)
    app.add_typer(rate, name="rate")


@command
def create(
    batch: Annotated[str, typer.Argument(help="A name for the batch.")],
    task: Annotated[
        str, typer.Option(help="harm, refusal, preference, correction or review.")
    ] = "harm",
    runs: Annotated[
        list[str] | None, typer.Option("--run", help="Rate a run's outputs; two make pairs.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="JSONL, CSV, Argilla or Label Studio JSON; votes come along."),
    ] = None,
    gold: Annotated[
        Path | None, typer.Option(help="A file of items with the answers known to be right.")
    ] = None,
    policies: Annotated[
        list[str] | None, typer.Option("--policy", help="Only rows that name this policy.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Draw this many items.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="overlap=3, quotas.woman=1, language=id …"),
    ] = None,
    folder: ProjectOption = Path(),
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a batch from development rows, a run's outputs or a file, and forecast rater hours."""
    from dataclasses import asdict

    from selaras.core.errors import InputError
    from selaras.policy import load_policies
    from selaras.rating.batch import forecast
    from selaras.rating.batches import create_batch, measured_seconds
    from selaras.rating.guides import refresh as refreshed
    from selaras.rating.imports import import_votes

    project = open_project_at(folder)
    spec = _spec(batch, task, settings or [])
    if runs and file:
        raise InputError("--run and --from at once", fix="give one of them")
    items, votes, left = _items(project, spec, runs or [], file, policies or [])
    items = _drawn(items, sample, spec)
    items += _gold(gold, task)
    if not items:
        raise InputError("there is nothing to rate", fix="see: selaras data list; or give --from")
    with opened_store(project) as store:
        with store.reading() as connection:
            seconds = measured_seconds(connection, task)
        work = [item.content for item in items if not item.gold]
        plan = forecast(spec, work, seconds)
        stored = 0
        if not dry_run:
            with store.writing() as connection:
                create_batch(connection, spec, items)
                refreshed(connection, load_policies(project))
                stored = import_votes(connection, spec, votes) if votes else 0
    if as_json:
        print_json({"batch": spec.id, "created": not dry_run, "forecast": asdict(plan),
                    "left_out": left, "imported_votes": stored})  # fmt: skip
        return
    how = "the median of earlier votes" if plan.measured else "reading at 238 words a minute"
    say(f"{plan.items} items x {spec.overlap} votes: {plan.votes:,} votes with "
        f"{plan.extra_votes:,} repeats, gold and qualification")  # fmt: skip
    say(f"about {plan.hours:g} rater hours ({plan.seconds:g} s a vote, {how}): "
        f"{plan.raters} raters at an hour and a half each")  # fmt: skip
    if left:
        say(f"{len(left)} rows make no {task} item, such as {left[0]}")
    if stored:
        say(f"{stored} votes came with the file")
    if not dry_run:
        say(f"made {spec.id}; next: selaras rate invite {spec.id} …, selaras rate open {spec.id}, "
            "selaras rate serve")  # fmt: skip


@command
def open_batch(batch: BatchArgument, folder: ProjectOption = Path()) -> None:
    """Let the raters of a batch begin."""
    _set_status(folder, batch, "open")
    say(f"{batch} is open")


@command
def close(batch: BatchArgument, folder: ProjectOption = Path()) -> None:
    """Take no more votes for a batch; what was given stays."""
    _set_status(folder, batch, "closed")
    say(f"{batch} is closed")


@command
def invite(
    batch: BatchArgument,
    names: Annotated[list[str] | None, typer.Argument(help="Pseudonyms.")] = None,
    number: Annotated[int, typer.Option(help="So many raters with made-up pseudonyms.")] = 0,
    table: Annotated[
        Path | None,
        typer.Option("--csv", help="CSV: pseudonym, external, language, consent, and background."),
    ] = None,
    crowd: Annotated[
        bool, typer.Option("--crowd", help="One link for a platform's workers (see places).")
    ] = False,
    base: Annotated[str, typer.Option(help="What links begin with.")] = "http://127.0.0.1:8330",
    out: Annotated[Path | None, typer.Option(help="Write the links as CSV.")] = None,
    folder: ProjectOption = Path(),
) -> None:
    """Make links for raters. Each is shown once and stored nowhere; a second one ends the first.

    A background is taken from a CSV only where its column `consent` says yes.
    """
    from selaras.core.errors import InputError
    from selaras.rating.batches import read_batch
    from selaras.rating.people import crowd_token
    from selaras.rating.tables import invite_all, read_invitations, write_table

    project = open_project_at(folder)
    wanted = [{"pseudonym": name} for name in names or ()] + [{} for _ in range(number)]
    wanted += read_invitations(table) if table else []
    if not wanted and not crowd:
        raise InputError("nobody to invite", fix="give pseudonyms, --number, --csv or --crowd")
    with opened_store(project) as store, store.writing() as connection:
        spec, _ = read_batch(connection, batch)
        if crowd and not spec.places:
            raise InputError(
                "the batch has no places for a crowd", fix="create it with --set places=50"
            )
        token = crowd_token(connection, batch) if crowd else ""
        made = invite_all(connection, spec, wanted, base)
    if crowd:
        typer.echo(f"{base}/crowd/{token}?PROLIFIC_PID={{{{%PROLIFIC_PID%}}}}")
    if out:
        write_table(out, made)
        say(f"wrote {len(made)} links to {out}: whoever has a link rates under that name")
        return
    for row in made:
        typer.echo(f"{row['pseudonym']}\t{row['link']}")


@command
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8330,
    names: Annotated[
        list[str] | None, typer.Option("--name", help="A host name to answer (behind a proxy).")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="A TLS certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    secure: Annotated[
        bool, typer.Option("--secure", help="Cookies for HTTPS alone (behind a TLS proxy).")
    ] = False,
    folder: ProjectOption = Path(),
) -> None:
    """Serve the rating page, on this machine alone unless --host says otherwise."""
    from selaras.core.errors import InputError
    from selaras.core.loopback import is_loopback
    from selaras.policy import load_policies
    from selaras.rating.guides import refresh as refreshed
    from selaras.studio.app import studio_app
    from selaras.studio.serve import serve as run

    project = open_project_at(folder)
    if host in ("0.0.0.0", "::") and not names:  # noqa: S104 - asked for, and warned about
        raise InputError(
            f"{host} is no name that a browser asks for", field="--host",
            fix="say which it is reached by: --name rate.example.org",
        )  # fmt: skip
    with opened_store(project) as store:
        with store.writing() as connection:
            opened = refreshed(connection, load_policies(project))
        for name, count in opened.items():
            say(f"{name}: {count} items open again, a policy's revision was raised")
        allowed = [*(names or ()), *([] if is_loopback(host) else [host])]
        studio = studio_app(store, project, hosts=allowed, secure=secure or certificate is not None)
        scheme = "https" if certificate else "http"
        if not is_loopback(host):
            say(f"warning: {host} is reached from other machines; "
                + ("" if certificate or secure else "without TLS anybody on the way can read links "
                   "and answers; ")
                + "answered host names: " + ", ".join(allowed))  # fmt: skip
        say(f"for raters: {scheme}://{host}:{port}/ (with their links)")
        say(f"for you:    {scheme}://{host}:{port}{studio.lead_path}")
        run(studio.app, host, port, certificate=certificate, key=key)


@command
def progress(
    batch: Annotated[str | None, typer.Argument(help="One batch; all by default.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write raters with their completion codes as CSV.")
    ] = None,
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Show how far batches are, and what each rater has given."""
    from dataclasses import asdict

    from selaras.rating.batches import list_batches, progress_of
    from selaras.rating.tables import write_table

    project = open_project_at(folder)
    with opened_store(project) as store, store.reading() as connection:
        names = [batch] if batch else [spec.id for spec, _ in list_batches(connection)]
        found = [progress_of(connection, name) for name in names]
    if out:
        rows = [{"batch": one.batch.id, **asdict(rater)} for one in found for rater in one.raters]
        write_table(out, rows)
        say(f"wrote {len(rows)} raters to {out}")
    if as_json:
        print_json({"batches": [
            {"batch": one.batch.id, "task": one.batch.task, "status": one.status,
             "items": one.items, "gold": one.gold, "wanted": one.wanted, "given": one.given,
             "complete": one.complete, "raters": [asdict(rater) for rater in one.raters]}
            for one in found
        ]})  # fmt: skip
        return
    for one in found:
        typer.echo(f"{one.batch.id} ({one.batch.task}, {one.status}): {one.given} of {one.wanted} "
                   f"votes, {one.complete} of {one.items} items complete")  # fmt: skip
        for rater in one.raters:
            typer.echo(f"  {rater.pseudonym}\t{rater.status}\t{rater.given} answers\t"
                       f"{rater.seconds / 60:.0f} min")  # fmt: skip


@command
def refresh(folder: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """Take the policies as they stand into the instructions; a raised revision opens its items."""
    from selaras.policy import load_policies
    from selaras.rating.guides import refresh as refreshed

    project = open_project_at(folder)
    with opened_store(project) as store, store.writing() as connection:
        opened = refreshed(connection, load_policies(project))
    if as_json:
        print_json({"reopened": opened})
        return
    for name, count in opened.items():
        say(f"{name}: {count} items open again")
    if not opened:
        say("no item opens again: no revision was raised")


@command
def forget(
    rater: Annotated[str, typer.Argument(help="The pseudonym.")],
    votes: Annotated[bool, typer.Option("--votes", help="Delete the votes, too.")] = False,
    folder: ProjectOption = Path(),
) -> None:
    """Delete what is stored of a rater; votes stay under a number alone, or go as well."""
    from selaras.rating.people import forget as forgotten

    with opened_store(open_project_at(folder)) as store, store.writing() as connection:
        kept = forgotten(connection, rater, votes=votes)
    say(f"forgotten; {kept} votes stay under a number" if kept else "forgotten, with all votes")


def _set_status(folder: Path, batch: str, status: Any) -> None:
    from selaras.rating.batches import set_status

    with opened_store(open_project_at(folder)) as store, store.writing() as connection:
        set_status(connection, batch, status)


def _spec(batch: str, task: str, settings: list[str]) -> "BatchSpec":
    from selaras.core.check import checked
    from selaras.core.project import set_field
    from selaras.rating.batch import BatchSpec

    value = {"id": batch, "title": batch, "task": task}
    for setting in settings:
        set_field(value, setting)
    return checked(BatchSpec, value)


def _items(
    project: "Project", spec: "BatchSpec", runs: list[str], file: Path | None, policies: list[str]
) -> tuple[list["NewItem"], dict[str, Any], list[str]]:
    from selaras.data import open_development
    from selaras.data.rows import load_rows
    from selaras.evaluate import read_evaluation
    from selaras.rating.shown import sealed_policies
    from selaras.rating.sources import items_of_outputs, items_of_rows, read_items

    if file:
        items, votes = read_items(file, spec.task)
        return items, votes, []
    if runs:
        found = [read_evaluation(project, run) for run in runs]
        outputs = {
            (one.manifest.system.fingerprint if one.manifest.system else one.manifest.id): {
                answer.row: answer.text for answer in one.answers if answer.text
            }
            for one in found
        }
        rows = {row.id: row for row in load_rows(project).kept}
        made = items_of_outputs(outputs, rows, sealed_policies(project), spec.task)
        wanted = [i for i in made if not policies or set(i.content.policies) & set(policies)]
        return wanted, {}, []
    if spec.task == "review":
        waiting, left = items_of_rows(load_rows(project).waiting, spec.task, policies)
        return waiting, {}, left
    items, left = items_of_rows(open_development(project).rows, spec.task, policies)
    return items, {}, left


def _drawn(items: list["NewItem"], sample: int | None, spec: "BatchSpec") -> list["NewItem"]:
    """Return a random draw of items in their order, the same for the same batch and seed."""
    from random import Random

    from selaras.core.fingerprint import seed_from

    if sample is None or sample >= len(items):
        return items
    chosen = Random(seed_from("sample", spec.id, spec.seed)).sample(range(len(items)), sample)
    return [items[number] for number in sorted(chosen)]


def _gold(path: Path | None, task: str) -> list["NewItem"]:
    from dataclasses import replace

    from selaras.core.errors import InputError
    from selaras.rating.sources import read_items

    if path is None:
        return []
    items, _ = read_items(path, task)
    if missing := [item.key for item in items if not item.gold]:
        raise InputError(f"item {missing[0]!r} has no answer", path=path, field="gold")
    return [replace(item, key=f"gold:{item.key}") for item in items]
