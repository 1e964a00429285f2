"""A report in its folder: the page, and the manifest whose parents are the evaluations."""

from collections.abc import Sequence
from pathlib import Path

from selaras.core.decisions import now
from selaras.core.files import write_text
from selaras.core.fingerprint import fingerprint
from selaras.core.manifest import FILE, hashes, new_manifest, with_key, write_manifest
from selaras.core.project import Project
from selaras.data import Development
from selaras.evaluate import Evaluation
from selaras.report.html import render_report
from selaras.report.model import measured
from selaras.report.story import story

PAGE = "report.html"


def write_report(
    project: Project,
    evaluations: Sequence[Evaluation],
    showcase: Sequence[Evaluation] = (),
    path: Path | None = None,
    development: Development | None = None,
) -> Path:
    """Write the report and its manifest, and return the page's path (runs/<id>/report.html).

    A page that was written before and would be the same is not written again. Raises what
    `render_report` raises, before anything is written.
    """
    path = path and path.resolve()
    html = render_report(project, evaluations, showcase, development)
    key = fingerprint([html, str(path or "")])
    known = with_key(project.runs, "report", key, "finished")
    if known:
        written = path or project.runs / known.id / PAGE
        if written.is_file() and written.read_text(encoding="utf-8") == html:
            return written
    found = measured(evaluations)
    shown = [evaluation.manifest.id for evaluation in showcase]
    parents = [line.evaluation.manifest.id for line in found.lines]
    manifest = new_manifest(
        "report",
        "",
        config={"key": key},
        policies=dict(found.reference.evaluation.manifest.policies),
        parents=list(dict.fromkeys([*parents, *shown])),
        seal=found.seal,
        stamp=found.stamp,
        figures={"sentences": story(found, project)},
    )
    target = path or project.runs / manifest.id / PAGE
    write_text(target, html)
    manifests = [project.runs / parent / FILE for parent in manifest.parents]
    done = manifest.model_copy(
        update={
            "status": "finished",
            "finished": now(),
            "inputs": hashes(project.root, manifests),
            "outputs": hashes(project.root, [target]),
        }
    )
    write_manifest(project.runs, done)
    return target
