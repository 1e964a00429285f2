"""How to get the same figures again: the commands, in their order."""

import shlex
from collections.abc import Sequence

import yaml

from selaras.core.project import Project
from selaras.page import Markup, element, join
from selaras.report.html_evidence import WRAPPED
from selaras.report.model import Line, Measured
from selaras.report.tuning import TuningRun


def commands(project: Project, found: Measured, runs: Sequence[TuningRun]) -> Markup:
    """Return the commands that make the runs of this page again."""
    said = element(
        "p",
        "In the project's folder, with the versions named at the foot of this page. What is "
        "finished is read instead of repeated, and costs no further look.",
    )
    return join(
        [said, element("pre", "\n".join(command_lines(project, found, runs)), style=WRAPPED)]
    )


def command_lines(project: Project, found: Measured, runs: Sequence[TuningRun]) -> list[str]:
    """Return the commands as lines for a shell."""
    lines = []
    for run in runs:
        # Seeds count up from the project's own, so the last one asked for is this run's.
        seeds = run.manifest.seed - project.file.seed + 1
        more = f" --seeds {seeds}" if seeds > 1 else ""
        own = project.file.tune.model_dump(mode="json")
        for name, value in run.config.get("settings", {}).items():
            if value != own.get(name):
                shown = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
                more += f" --set {shlex.quote(f'tune.{name}={shown}')}"
        lines.append(f"selaras tune sft --recipe {shlex.quote(str(run.config['recipe']))}{more}")
    tuned = {label: run for run in runs for label in run.systems}
    systems = [
        _model(line, tuned[line.label]) if line.label in tuned else line.evaluation.name
        for line in found.lines
    ]
    ids = [line.evaluation.manifest.id for line in found.lines]
    return [
        *lines,
        f"selaras eval {' '.join(systems)}{'' if found.held_out else ' --development'}",
        f"selaras report {' '.join(ids)}",
        f"selaras trace {ids[0]}",
    ]


def _model(line: Line, run: TuningRun) -> str:
    """Return the tuned model's string, with its scale where that is not the chosen one."""
    scale = line.model.get("adapter_scale")
    chosen = run.config.get("chosen", {}).get("scale")
    return f"run:{run.manifest.id}" + (f"@{scale:g}" if scale not in (None, chosen) else "")
