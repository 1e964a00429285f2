"""An audit in its folder: the findings, the page, and the manifest that says of which files."""

from pathlib import Path

from selaras.core.decisions import now
from selaras.core.files import write_jsonl, write_text
from selaras.core.manifest import hashes, new_manifest, write_manifest
from selaras.core.project import FILE, Project
from selaras.data import AuditReport
from selaras.report.html_audit import render_audit

PAGE = "audit.html"
FINDINGS = "findings.jsonl"


def write_audit(
    report: AuditReport, project: Project | None, path: Path | None = None
) -> Path | None:
    """Write page, findings and manifest (runs/<id>/), and return the page's path.

    Outside a project only a page is written, and only where `path` is given.
    """
    html = render_audit(report, project)
    if project is None:
        if path:
            write_text(path, html)
        return path
    manifest = new_manifest(
        "audit",
        "",
        inputs=hashes(project.root, [*project.data_files, project.decisions, project.root / FILE]),
        figures={"counts": report.counts(), "saved": report.saved, "passed": report.passed,
                 "rows": len(report.rows), "not_run": dict(report.not_run)},
    )  # fmt: skip
    folder = project.runs / manifest.id
    page = path.resolve() if path else folder / PAGE
    write_jsonl(folder / FINDINGS, (finding.to_dict() for finding in report.findings))
    write_text(page, html)
    done = manifest.model_copy(
        update={
            "status": "finished", "finished": now(),
            "outputs": hashes(project.root, [folder / FINDINGS, page]),
        }
    )  # fmt: skip
    write_manifest(project.runs, done)
    return page
