"""A generation as a run: its order, its journal, its drafts in `data/drafts.jsonl`, its figures."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.files import append_jsonl
from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.manifest import Manifest, new_manifest, with_key, write_manifest
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.system import Sampling
from selaras.data.making.generate import Made, Order, generate, planned
from selaras.data.making.writer import Writer
from selaras.data.rows import Rows, dump_row, read_rows
from selaras.models.names import open_model, place_of
from selaras.policy import load_policies

DRAFTS = Path("data") / "drafts.jsonl"


@dataclass(frozen=True, slots=True)
class Generated:
    """A finished generation: its manifest, with the figures, and what it made."""

    manifest: Manifest
    made: Made


def run_generation(
    project: Project,
    order: Order,
    model: str,
    sampling: Sampling,
    known: Rows,
    *,
    max_calls: int | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
) -> Generated:
    """Write an order's drafts and return the run; with `resume` an unfinished one goes on.

    Drafts are appended to `data/drafts.jsonl`, where they wait for review; none repeats a row of
    `known`. Raises InputError for an order that cannot be written, CallsSpentError at the budget.
    """
    policies = load_policies(project)
    if not planned(project, policies, order):
        raise InputError("nothing to write", fix="name a cell and how many rows it shall have")
    key = fingerprint([order.seed, order.pairs, {str(c): n for c, n in order.cells.items()}, model,
                       sampling.model_dump(mode="json")])  # fmt: skip
    manifest = with_key(project.runs, "generate", key, "running") if resume else None
    if manifest is None:
        config = {"key": key, "model": model, "pairs": order.pairs,
                  "cells": {str(cell): n for cell, n in order.cells.items()},
                  "sampling": sampling.model_dump(mode="json")}  # fmt: skip
        manifest = new_manifest("generate", "", config=config, seed=order.seed)
        write_manifest(project.runs, manifest)
    begun = time.monotonic()
    journal = Journal(project.runs / manifest.id / "journal.jsonl")
    writer = Writer(open_model(model, place_of(project, progress)), journal, sampling,
                    max_calls, progress)  # fmt: skip
    made = generate(project, policies, order, known, writer)
    journal.sync()
    path = project.root / DRAFTS
    there = {row.id for row in read_rows([path])[0]} if path.exists() else set()
    append_jsonl(path, [dump_row(row) for row in made.rows if row.id not in there])
    seconds = round(time.monotonic() - begun, 1)
    finished = manifest.model_copy(
        update={"status": "finished", "finished": now(), "seconds": seconds,
                "figures": figures(order, made, writer)}
    )  # fmt: skip
    write_manifest(project.runs, finished)
    return Generated(finished, made)


def figures(order: Order, made: Made, writer: Writer) -> dict[str, Any]:
    """Return what a generation cost and gave, as JSON values."""
    asked = sum(order.cells.values())
    return {
        "asked": asked, "drafted": len(made.rows), "rejected": made.reasons,
        "revised": made.revised, "calls": writer.calls, "prompt_tokens": writer.prompt_tokens,
        "tokens": writer.tokens, "asked_again": writer.malformed,
        "journalled": len(writer.journal),
    }  # fmt: skip
