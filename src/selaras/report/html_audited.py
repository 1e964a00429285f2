"""What a report says of the audit of the rows that its figures rest on."""

from collections.abc import Mapping
from typing import Any

from selaras.core.fingerprint import sha256_file
from selaras.core.manifest import Manifest, ledger
from selaras.core.project import Project
from selaras.page import Child, Markup, element, join, table
from selaras.report.html_audit import LEVEL_WORDS

LEVELS = tuple(LEVEL_WORDS)


def newest_audit(project: Project) -> Manifest | None:
    """Return the newest finished audit of the project, or None."""
    found = [m for m in ledger(project.runs) if (m.kind, m.status) == ("audit", "finished")]
    return found[-1] if found else None


def audited(project: Project) -> Markup:
    """Return the findings of the newest audit by check, and whether the rows changed since."""
    manifest = newest_audit(project)
    if manifest is None:
        return element("p", "The rows have not been audited: ",
                       element("code", "selaras data audit"), class_="note")  # fmt: skip
    figures: Mapping[str, Any] = manifest.figures
    gate = "passes" if figures["passed"] else "does not pass"
    said = (
        f"{figures['rows']:,} development rows were audited on {manifest.started[:10]}; the "
        f"coverage gate {gate}. The findings stand in "
    )
    rows: list[list[Child]] = [
        [name, *(count[level] or "" for level in LEVELS)]
        for name, count in figures["counts"].items()
    ]
    columns = ["Finding", *LEVEL_WORDS.values()]
    return join(
        [
            element("p", said, element("code", f"runs/{manifest.id}/"), "."),
            *map(_warning, _warnings(project, manifest)),
            table(columns, rows, caption="Findings of the audit", numeric=set(columns[1:])),
        ]
    )


def changed_since(project: Project, manifest: Manifest) -> list[str]:
    """Return the files of an audit that are gone or have other contents than it read."""
    return [
        name
        for name, sha in manifest.inputs.items()
        if not (project.root / name).is_file() or sha256_file(project.root / name) != sha
    ]


def _warnings(project: Project, manifest: Manifest) -> list[str]:
    changed = changed_since(project, manifest)
    told = [f"Changed since: {', '.join(changed)}. Audit again."] if changed else []
    for name, why in manifest.figures["not_run"].items():
        told.append(f"The audit {name} could not be run to its end: {why}")
    return told


def _warning(text: str) -> Markup:
    return element("p", text, class_="warning")
