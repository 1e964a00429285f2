"""`selaras trace RUN`: what a run came from and what came from it, down to policies and data.

Each input is hashed again, so that a file that was changed since the run says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from selaras.core.errors import one_line
from selaras.core.fingerprint import sha256_file
from selaras.core.manifest import FILE, Manifest, ledger, read_manifest, trace
from selaras.core.project import Project

Now = Literal["same", "changed", "gone"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a run read, with its hash then and what became of it."""

    path: str
    sha256: str
    now: Now


@dataclass(frozen=True, slots=True)
class Node:
    """A run in a tree. `runs` are its parents or its children, whichever way the tree goes.

    `manifest` is None where a parent is named that the ledger does not hold; `sha256` is that of
    the manifest's file.
    """

    id: str
    manifest: Manifest | None
    sha256: str | None
    sources: tuple[Source, ...]
    runs: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Lineage:
    """A run with what it came from (`origins.runs`) and what came from it (`results.runs`)."""

    origins: Node
    results: Node

    @property
    def text(self) -> str:
        """Both trees as indented lines for a terminal."""
        lines = [_title(self.origins), *_facts(self.origins)]
        for head, node in (("came from", self.origins), ("led to", self.results)):
            lines += [
                head,
                *(_tree(node, facts=head == "came from") if node.runs else ["└─ nothing"]),
            ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return both trees as JSON values."""
        return {"origins": _value(self.origins), "results": _value(self.results)}


def lineage(project: Project, run_id: str) -> Lineage:
    """Return the trees of a run; raises InputError where there is no such run."""
    read_manifest(project.runs, run_id)
    manifests = {manifest.id: manifest for manifest in ledger(project.runs)}
    parents = {name: list(manifest.parents) for name, manifest in manifests.items()}
    children: dict[str, list[str]] = {}
    for name, manifest in manifests.items():
        for parent in manifest.parents:
            children.setdefault(parent, []).append(name)
    return Lineage(
        _node(project, run_id, manifests, parents, ()),
        _node(project, run_id, manifests, children, ()),
    )


def ancestors(project: Project, run_ids: Sequence[str]) -> list[Node]:
    """Return the runs and all that they came from, oldest first, each without its tree."""
    found: dict[str, Manifest] = {}
    for run_id in run_ids:
        before, _ = trace(project.runs, run_id)
        found |= {m.id: m for m in (*before, read_manifest(project.runs, run_id))}
    ordered = sorted(found.values(), key=lambda manifest: (manifest.started, manifest.id))
    return [_node(project, manifest.id, found, {}, ()) for manifest in ordered]


def _node(
    project: Project,
    run_id: str,
    manifests: Mapping[str, Manifest],
    next_to: Mapping[str, Sequence[str]],
    above: tuple[str, ...],
) -> Node:
    manifest = manifests.get(run_id)
    if manifest is None:
        return Node(run_id, None, None, (), ())
    path = project.runs / run_id / FILE
    # A ledger written by hand could go in circles.
    following = [name for name in next_to.get(run_id, ()) if name not in (*above, run_id)]
    return Node(
        run_id,
        manifest,
        sha256_file(path) if path.is_file() else None,
        tuple(_source(project, name, sha) for name, sha in sorted(manifest.inputs.items())),
        tuple(_node(project, name, manifests, next_to, (*above, run_id)) for name in following),
    )


def _source(project: Project, name: str, sha256: str) -> Source:
    path = project.root / name
    if not path.is_file():
        return Source(name, sha256, "gone")
    return Source(name, sha256, "same" if sha256_file(path) == sha256 else "changed")


def _tree(node: Node, facts: bool, indent: str = "") -> Iterator[str]:
    for place, below in enumerate(node.runs):
        last = place == len(node.runs) - 1
        yield f"{indent}{'└─' if last else '├─'} {_title(below)}"
        deeper = indent + ("   " if last else "│  ")
        if facts:
            yield from (f"{deeper}{fact}" for fact in _facts(below))
        yield from _tree(below, facts, deeper)


def _title(node: Node) -> str:
    if node.manifest is None:
        return f"{one_line(node.id, 160)} (not in the ledger)"
    return f"{node.id} ({node.manifest.kind}, {node.manifest.status}, {node.manifest.started})"


def _facts(node: Node) -> list[str]:
    """Return what a run stood on: System, policies, seal, files."""
    manifest = node.manifest
    if manifest is None:
        return []
    facts = []
    if manifest.system:
        model = one_line(str(manifest.system.model.get("name", "?")), 120)
        facts.append(f"  System    {manifest.system.name} {manifest.system.fingerprint} on {model}")
    if manifest.policies:
        told = ", ".join(f"{name} r{number}" for name, number in sorted(manifest.policies.items()))
        facts.append(f"  policies  {one_line(told)}")
    if manifest.seal:
        facts.append(f"  seal      {one_line(manifest.seal, 64)}")
    for source in node.sources:
        since = "" if source.now == "same" else f" ({source.now} since)"
        facts.append(f"  input     {one_line(source.path, 160)} {source.sha256[:12]}{since}")
    if node.sha256:
        facts.append(f"  manifest  {node.sha256[:12]}")
    return facts


def _value(node: Node) -> dict[str, Any]:
    manifest = node.manifest
    value: dict[str, Any] = {"id": node.id, "sha256": node.sha256}
    if manifest:
        value |= {
            "kind": manifest.kind, "status": manifest.status, "started": manifest.started,
            "system": manifest.system.fingerprint if manifest.system else None,
            "policies": manifest.policies, "seal": manifest.seal,
            "inputs": {s.path: {"sha256": s.sha256, "now": s.now} for s in node.sources},
            "outputs": manifest.outputs,
        }  # fmt: skip
    return {**value, "runs": [_value(below) for below in node.runs]}
