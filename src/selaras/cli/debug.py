"""`selaras debug`: which part of the prompt made the model say that."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from selaras.cli.frame import JsonOption, ProjectOption, command, print_json, say, showing

SystemOption = Annotated[
    str | None, typer.Option("--system", help="A System of the project (default: the first).")
]
ModelOption = Annotated[str | None, typer.Option("--model", help="A model string instead.")]
PromptOption = Annotated[Path | None, typer.Option("--prompt", help="A .prompt file instead.")]
UnitOption = Annotated[
    str,
    typer.Option(help="token, word, sentence, line, paragraph, section, message or example."),
]
MethodOption = Annotated[
    str,
    typer.Option(
        help="surrogate, leave-one-out, hierarchy, gradient, gradient-input or integrated."
    ),
]
SeedOption = Annotated[int, typer.Option(help="Of every draw.")]
MasksOption = Annotated[int, typer.Option(min=4, max=4096, help="Ablations of the surrogate.")]


class _Shortcut(TyperGroup):
    """Takes `selaras debug ROW` for `selaras debug explain ROW`."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["explain", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    debug = typer.Typer(
        cls=_Shortcut,
        help="Which part of the prompt made the model say that ('debug ROW': 'debug explain ROW').",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    debug.command("explain")(explain)
    debug.command("faithfulness")(faithfulness)
    app.add_typer(debug, name="debug")


@command
def explain(
    row: Annotated[str | None, typer.Argument(help="A development row; or give --input.")] = None,
    folder: ProjectOption = Path(),
    system: SystemOption = None,
    model: ModelOption = None,
    prompt: PromptOption = None,
    text: Annotated[str | None, typer.Option("--input", help="What the user says.")] = None,
    response: Annotated[
        str | None, typer.Option(help="The response to explain (default: the model's own).")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="The part of the response to explain; may be given several times."),
    ] = None,
    first: Annotated[int | None, typer.Option(min=1, help="Its first N tokens.")] = None,
    refusal: Annotated[
        bool,
        typer.Option("--refusal", help="A refusal's first tokens: the model's, or a usual one."),
    ] = False,
    instead: Annotated[
        list[str] | None, typer.Option(help="Why not this? A contrast response.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Explain this class label ...")] = None,
    labels: Annotated[
        str | None, typer.Option(help="... among these, comma-separated: safe,unsafe")
    ] = None,
    unit: UnitOption = "sentence",
    regex: Annotated[str | None, typer.Option(help="Cut segments at matches instead.")] = None,
    method: MethodOption = "surrogate",
    masks: MasksOption = 32,
    seed: SeedOption = 0,
    versus: Annotated[
        Path | None, typer.Option(help="Another .prompt file, shown beside it on the page.")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option(help="Aggregate over the rows of a file; findings go to --out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --rows: write findings here.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="With --rows: the most rows.")] = 40,
    proxy: Annotated[
        str | None, typer.Option(help="A local model to explain a remote one by.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page here.")] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page live on this machine.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --serve.")] = 8765,
    as_json: JsonOption = False,
) -> None:
    """Explain a row's response, or a text's: which segments of the prompt it needs.

    The map is drawn in the terminal; --json prints the same numbers, --html writes one file to
    open, --serve serves it live on this machine.
    """
    from selaras.cli import debug_run
    from selaras.debug.opening import Asked
    from selaras.debug.settings import Settings

    settings = Settings(masks=masks, seed=seed)
    if rows is not None:
        debug_run.over_rows(folder, system, rows, limit, settings, out, as_json)
        return
    source = debug_run.source(folder, system, model, prompt, row, text, versus)
    asked = Asked(
        response=response, texts=tuple(target or ()), first=first, refusal=refusal,
        against=tuple(instead or ()), label=label, labels=debug_run.labels_of(label, labels),
    )  # fmt: skip
    plan = debug_run.Plan("regex" if regex else unit, regex, method, settings, proxy)
    if serve:
        debug_run.serve(source, asked, plan, port)
    else:
        debug_run.explain(source, asked, plan, html, as_json)


@command
def faithfulness(
    model: Annotated[str, typer.Option("--model", help="A local model.")] = (
        "bundled:smollm2-135m-instruct"
    ),
    methods: Annotated[
        str, typer.Option(help="Comma-separated methods.")
    ] = "gradient,leave-one-out,surrogate",
    prompts: Annotated[int, typer.Option(min=1, help="The first N prompts.")] = 12,
    masks: MasksOption = 32,
    seed: SeedOption = 0,
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Measure methods on prompts with planted evidence: is the sentence that matters found?"""
    from selaras.cli import debug_run
    from selaras.debug.check import check_methods
    from selaras.debug.opening import open_debugged
    from selaras.debug.settings import Settings

    place = debug_run.place(folder)
    with showing(as_json) as progress:
        opened = open_debugged(model, place)
        found = check_methods(
            opened, methods.split(","), Settings(masks=masks, seed=seed), prompts,
            place.cache, progress,
        )  # fmt: skip
    if as_json:
        print_json({"model": opened.identity["name"], "methods": [f.to_dict() for f in found]})
        return
    say(f"{opened.identity['name']}, {found[0].prompts} prompts with planted evidence")
    say(f"{'method':<16}{'LDS':>6}{'drop@1':>8}{'drop@3':>8}{'hold':>8}{'hit@1':>7}{'hit@3':>7}"
        f"{'forwards':>10}{'seconds':>9}")  # fmt: skip
    for each in found:
        forwards = "–" if each.forwards is None else f"{each.forwards:g}"
        seconds = "–" if each.seconds is None else f"{each.seconds:.2f}"
        say(f"{each.method:<16}{each.lds:>6.2f}{each.drop_at_1:>8.2f}{each.drop_at_3:>8.2f}"
            f"{each.hold:>8.2f}{each.hit_at_1:>7.2f}{each.hit_at_3:>7.2f}{forwards:>10}"
            f"{seconds:>9}")  # fmt: skip
