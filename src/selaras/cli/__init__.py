"""The command line: one file a stage; parse, call one library function, render.

Stage modules import their libraries inside the commands, so that `selaras --help` starts at once.
"""

from typing import Annotated

import typer

from . import (
    calibrate,
    compare,
    data,
    debug,
    doctor,
    evaluate,
    gate,
    guard,
    models,
    prompt,
    rate,
    report,
    start,
    tune,
)  # fmt: skip

STORY = """From a written content policy to evidence that the product keeps it.

The loop, one line a stage:

\b
  policy   what the product must not do, in words         policies/*.yaml
  data     rows that ask for it, rows that sound like it  data/*.jsonl
  split    a sealed hold-out that decides                 selaras data split
  rate     people label, disagree, are listened to        selaras rate
  prompt   first lever: a system prompt                   prompts/*.prompt
  tune     second lever: teach the model                  selaras tune sft
  guard    third lever: check what is asked and answered  selaras guard fit
  eval     one ruler for all                              selaras eval
  debug    which part of a prompt made it say that        selaras debug
  gate     the launch criteria, for CI                    selaras gate
  report   the evidence, with its lineage                 selaras report

Start with:  selaras quickstart DIR
or, with nothing but a system prompt:  selaras start --prompt FILE --model MODEL
"""

app = typer.Typer(
    help=STORY,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
STAGES = (
    start, data, rate, prompt, tune, evaluate, compare, calibrate, debug, gate, guard, report,
    models, doctor,
)  # fmt: skip
for module in STAGES:
    module.register(app)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version, or leave the rest to the commands."""
    if version:
        from selaras import __version__

        typer.echo(f"selaras {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    app()
