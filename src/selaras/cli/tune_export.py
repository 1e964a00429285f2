"""`selaras tune export`: a tuned model as files that other tools open."""

from pathlib import Path
from typing import Annotated

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


@command
def export(
    run: Annotated[
        str, typer.Argument(help="A finished tuning: RUN, RUN@SCALE or RUN/CHECKPOINT@SCALE.")
    ],
    to: Annotated[str, typer.Option("--to", help="adapter (PEFT), merged (safetensors) or gguf.")],
    folder: ProjectOption = Path(),
    precision: Annotated[
        str | None,
        typer.Option(help="merged: float32, bfloat16, float16; gguf: f32, f16, bf16, q8_0."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new or empty folder for the files.")] = None,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Write a tuned model as an adapter, whole weights or GGUF, with a model card."""
    project = open_project_at(folder, overrides)
    from selaras.report.model_card import Leaving, model_card
    from selaras.tune.export import export_run, open_tuned

    with showing() as progress:
        tuned = open_tuned(project, run, progress)
        leaving = Leaving(tuned.name, tuned.licence, to, tuned.adapter.scale,
                          tuned.checkpoint, tuned.sha256)  # fmt: skip
        card = model_card(project, tuned.manifest, leaving)
        done = export_run(project, tuned, to, card, precision=precision, out=out,
                          progress=progress)  # fmt: skip
    if as_json:
        print_json({"id": done.id, "config": done.config, "outputs": done.outputs})
        return
    say(f"{done.id}: {done.config['folder']}")
    for name in done.outputs:
        say(f"  {Path(name).name}")
