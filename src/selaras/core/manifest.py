"""The manifest of a run, and the ledger: all manifests of a project.

A manifest says what was run on what and what came out: kind, config, seed, versions, System,
sha256 of every input and output, figures. `trace` follows parents and shared files both ways.
"""

import importlib.metadata
import platform
import secrets
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from selaras.core.check import checked
from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.files import read_json, write_json
from selaras.core.fingerprint import sha256_file
from selaras.core.records import Identifier, Record
from selaras.core.system import System

FILE = "manifest.json"
PACKAGES = ("selaras", "torch", "transformers", "trl", "peft", "openai", "numpy")
# One a line, so that two branches that add a kind can be merged.
RunKind = Literal[
    "audit",
    "calibrate",
    "eval",
    "export",
    "generate",
    "guard",
    "pareto",
    "prompt",
    "quickstart",
    "report",
    "split",
    "tune",
]


class Manifest(Record):
    """One run. Paths in `inputs` and `outputs` are relative to the project."""

    id: Identifier
    kind: RunKind
    status: Literal["running", "finished", "failed"] = "running"
    started: str
    finished: str | None = None
    seconds: float | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    versions: dict[str, str] = Field(default_factory=dict)
    system: System | None = None
    policies: dict[str, int] = Field(default_factory=dict)
    parents: tuple[str, ...] = ()
    inputs: dict[str, str] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)
    seal: str | None = None
    stamp: str | None = None
    figures: dict[str, Any] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


def new_manifest(kind: str, name: str, **fields: Any) -> Manifest:
    """Return the manifest of a run that starts now.

    Ids of one kind and name sort by time; four random digits tell apart those of one second.
    """
    stamp = now().replace("-", "").replace(":", "").removesuffix("Z").replace("T", "-")
    run_id = "-".join(part for part in (kind, name[:64], stamp, secrets.token_hex(2)) if part)
    value = {"id": run_id, "kind": kind, "started": now(), "versions": versions(), **fields}
    return checked(Manifest, value)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide results, without importing."""
    found = {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hashes(root: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Return {path relative to root: sha256} for the files that exist."""
    return {
        str(path.relative_to(root)) if path.is_relative_to(root) else str(path): sha256_file(path)
        for path in sorted(set(paths))
        if path.is_file()
    }


def write_manifest(runs: Path, manifest: Manifest) -> Path:
    """Write runs/<id>/manifest.json and return the run's folder."""
    folder = runs / manifest.id
    write_json(folder / FILE, manifest.model_dump(mode="json"))
    return folder


def read_manifest(runs: Path, run_id: str) -> Manifest:
    """Return a run's manifest; raises InputError with the newest ids where there is none."""
    path = runs / run_id / FILE
    if run_id != Path(run_id).name or not path.is_file():
        known = ", ".join(m.id for m in ledger(runs)[-3:]) or "(no runs yet)"
        raise InputError(f"no run {run_id!r}", path=runs, fix=f"the newest are: {known}")
    return checked(Manifest, read_json(path), path=path)


def ledger(runs: Path) -> list[Manifest]:
    """Return all manifests, oldest first."""
    found = [
        checked(Manifest, read_json(path), path=path) for path in sorted(runs.glob(f"*/{FILE}"))
    ]
    return sorted(found, key=lambda m: (m.started, m.id))


def with_key(runs: Path, kind: str, key: str, status: str) -> Manifest | None:
    """Return the newest run of that kind, identity (`config.key`) and status, or None."""
    found = [
        manifest
        for manifest in ledger(runs)
        if (manifest.kind, manifest.status) == (kind, status) and manifest.config.get("key") == key
    ]
    return newest(found)


def newest(found: Sequence[Manifest]) -> Manifest | None:
    """Return the last of runs in the ledger's order, or None.

    Times are whole seconds: of two runs of one second the child comes after its parent.
    """
    parents = {parent for manifest in found for parent in manifest.parents}
    childless = [manifest for manifest in found if manifest.id not in parents]
    return childless[-1] if childless else None


def trace(runs: Path, run_id: str) -> tuple[list[Manifest], list[Manifest]]:
    """Return (what the run came from, what came from it), each oldest first.

    A run comes from its `parents` and from the runs whose outputs are among its inputs.
    """
    read_manifest(runs, run_id)
    ordered = ledger(runs)
    makers: dict[tuple[str, str], list[str]] = {}
    for manifest in ordered:
        for file in manifest.outputs.items():
            makers.setdefault(file, []).append(manifest.id)
    up: dict[str, set[str]] = {manifest.id: set() for manifest in ordered}
    down: dict[str, set[str]] = {manifest.id: set() for manifest in ordered}
    for manifest in ordered:
        made = (maker for file in manifest.inputs.items() for maker in makers.get(file, ()))
        for parent in {*manifest.parents, *made} & up.keys():
            up[manifest.id].add(parent)
            down[parent].add(manifest.id)
    before, after = _reached(up, run_id), _reached(down, run_id)
    return [m for m in ordered if m.id in before], [m for m in ordered if m.id in after]


def _reached(links: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    frontier = [start]
    while frontier:
        new = links[frontier.pop()] - reached
        reached |= new
        frontier += new
    return reached - {start}
