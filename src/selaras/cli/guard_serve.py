"""`selaras guard serve`: an OpenAI-compatible proxy that enforces a guard."""

from pathlib import Path
from typing import Annotated

import typer

from selaras.cli.frame import ProjectOption, SetOption, command, open_project_at, say

MAIN = "guards/main.yaml"


@command
def serve(
    upstream: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The model's server, up to /v1. Or use --routes."),
    ] = None,
    guard: Annotated[str, typer.Option(help="The guard's file in the project.")] = MAIN,
    routes: Annotated[
        Path | None, typer.Option(help="A YAML file of many routes and limits.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Serve this model name only; may be repeated."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8100,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Answer under this host name too; may be repeated."),
    ] = None,
    own_key: Annotated[
        bool,
        typer.Option("--own-key", help="Send the key that is bound to the upstream, not clients'."),
    ] = False,
    token_env: Annotated[
        str | None,
        typer.Option(metavar="VARIABLE", help="Clients must show the token in this variable."),
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="Log here, a line of JSON a request; by default stderr.")
    ] = None,
    log_texts: Annotated[
        bool, typer.Option("--log-texts", help="Log what was asked and answered, too.")
    ] = False,
    folder: ProjectOption = Path(),
    overrides: SetOption = None,
) -> None:
    """Serve OpenAI's chat completions in front of a model, streamed or not, behind a guard.

    Text is released only after it was checked; what cannot be checked is an error, never an answer.
    Your client's base URL is the address that is printed, with /v1.
    """
    from selaras.core.errors import InputError
    from selaras.safeguard.routes import RouteSpec, ServeSpec, read_routes
    from selaras.safeguard.serve import Journal, Place
    from selaras.safeguard.serve import serve as run
    from selaras.safeguard.spec import open_guard

    project = open_project_at(folder, overrides)
    if (upstream is None) == (routes is None):
        raise InputError("what to guard is not clear", fix="give --upstream URL, or --routes FILE")
    if routes is not None:
        if model or own_key:
            raise InputError("--routes says this by itself", fix="leave out --model and --own-key")
        spec = read_routes(routes)
    else:
        names = {name: name for name in model or ()}
        spec = ServeSpec(
            routes=(
                RouteSpec(
                    upstream=str(upstream),
                    guard=guard,
                    models=names,
                    key="own" if own_key else "client",
                ),
            )
        )
    place = Place(host, port, tuple(allow_host or ()), token_env)
    run(
        spec,
        lambda file: open_guard(project, file or guard),
        place,
        Journal(log, log_texts),
        say,
    )
