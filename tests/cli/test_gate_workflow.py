"""The GitHub workflow's own shell steps in a fresh clone: as far as one gets without GitHub."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SOURCE = Path(__file__).parents[2] / "src"
# Ours is run from the source tree; gh writes down what it was asked to post.
STUBS = {
    "selaras": f'#!/bin/sh\nexec {sys.executable} -m selaras "$@"\n',
    "gh": '#!/bin/sh\necho "$@" > "$POSTED/asked"\ncp gate.md "$POSTED/body.md"\n',
}


def shell(code: str, where: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", code], cwd=where, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
    )  # fmt: skip


@pytest.mark.real
def test_its_steps_measure_gate_and_comment_in_a_clone(run, project: Path, tmp_path: Path) -> None:
    workflow = yaml.safe_load(run("gate", "--github").stdout)
    assert set(workflow[True]) == {"pull_request", "workflow_dispatch"}  # YAML 1.1 reads `on` so
    job = workflow["jobs"]["gate"]
    with (project / "selaras.yaml").open("a") as file:
        file.write("gates: [{figure: compliance_rate, at_least: 0.9}]\n")
    run("data", "split")
    tools, posted, clone = (tmp_path / name for name in ("bin", "posted", "clone"))
    for folder in (tools, posted):
        folder.mkdir()
    for name, text in STUBS.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    identity = "git -c user.name=t -c user.email=t@t"
    commit = f"git init -q . && git add -A && {identity} commit -qm x"
    made = shell(f"{commit} && git clone -q . {clone}", project)
    assert made.returncode == 0, made.stderr
    environment = {
        **job["env"], "SYSTEM": "shut", "PATH": f"{tools}:{os.environ['PATH']}", "NUMBER": "7",
        "GITHUB_STEP_SUMMARY": str(posted / "summary"), "POSTED": str(posted),
    }  # fmt: skip
    codes = {}
    for step in job["steps"]:
        if "run" in step and "name" in step:
            assert "${{" not in step["run"], "a step's shell holds no expression to fill in"
            done = shell(step["run"], clone, **environment)
            codes[step["name"]] = done.returncode
    # Few rows do not decide, so the gate blocks; the comment is posted all the same.
    assert codes == {"Measure": 0, "Gate": 3, "Comment": 0}
    body = (posted / "body.md").read_text()
    assert body == (clone / "gate.md").read_text() == (posted / "summary").read_text()
    for word in ("Compliance", "Over-refusal", "Capability", "rows flipped against base"):
        assert word in body
    assert (posted / "asked").read_text().startswith("pr comment 7 --edit-last")
    comment = next(step for step in job["steps"] if step.get("name") == "Comment")
    assert comment["if"].startswith("always()")
