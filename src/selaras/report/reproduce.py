"""How to get the same figures again: the commands, in their order."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
    tuned = {label: run for run in runs for label in run.systems}
    systems = [
        _model(line, tuned[line.label]) if line.label in tuned else line.evaluation.name
        for line in found.lines
    ]
    ids = [line.evaluation.manifest.id for line in found.lines]
    return [
        *(training_line(project, run) for run in runs),
        f"selaras eval {' '.join(systems)}{'' if found.held_out else ' --development'}",
        f"selaras report {' '.join(ids)}",
        f"selaras trace {ids[0]}",
    ]


def training_line(project: Project, run: TuningRun) -> str:
    """Return the command that tunes a run again, with the settings that differ from the file's."""
    config, manifest = run.config, run.manifest
    method = str(config["method"])
    asked: dict[str, Any] = dict(config.get("settings", {}))
    if method == "preference":
        # It has a section of its own, and starts from what all tunings start from.
        asked = {"model": config["model"], "chat_template": config.get("chat_template"),
                 "adapter": f"run:{manifest.parents[0]}" if manifest.parents else None,
                 "preference": asked}  # fmt: skip
    recipe = f" --recipe {shlex.quote(str(config['recipe']))}" if method == "sft" else ""
    # Seeds count up from the project's own, so the last one asked for is this run's.
    seeds = manifest.seed - project.file.seed + 1
    own = project.file.tune.model_dump(mode="json")
    return (
        f"selaras tune {method}{recipe}"
        + (f" --seeds {seeds}" if seeds > 1 else "")
        + "".join(f" --set {shlex.quote(text)}" for text in _overrides(asked, own, "tune"))
    )


def _overrides(asked: Mapping[str, Any], own: Mapping[str, Any], section: str) -> Iterator[str]:
    """Yield KEY=VALUE for each setting that is not as in the file."""
    for name, value in asked.items():
        if isinstance(value, Mapping):
            yield from _overrides(value, own.get(name) or {}, f"{section}.{name}")
        elif value != own.get(name):
            shown = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
            yield f"{section}.{name}={shown}"


def _model(line: Line, run: TuningRun) -> str:
    """Return the tuned model's string, with its scale where that is not the chosen one."""
    scale = line.model.get("adapter_scale")
    chosen = run.config.get("chosen", {}).get("scale")
    return f"run:{run.manifest.id}" + (f"@{scale:g}" if scale not in (None, chosen) else "")
