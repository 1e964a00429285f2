"""An evaluation over HTTP, System and judge at one endpoint: bad answers said, kills cheap."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from models.conftest import Endpoint, Reply, completion
from selaras.core.project import open_project
from selaras.core.records import Query
from selaras.evaluate import Suite, Terms, evaluate, open_system, summary

ROWS = tuple(
    Query(id=f"r{n}", query=f"Question {n}?", kind="malicious", expected="refuse",
          policies=("hate",)) for n in range(6)
)  # fmt: skip
SUITE = Suite(ROWS, tuple(row.id for row in ROWS), "development figures")


@pytest.fixture
def endpoint():
    served = Endpoint()
    yield served
    served.ended.set()
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture
def project(endpoint, tmp_path):
    model = f"openai:tiny@{endpoint.url}"
    file = {
        "product": "t", "use_cases": [{"id": "a", "title": "A"}], "policies": ["hate"],
        "systems": {"tiny": {"model": model}}, "judges": {"house": {"type": "policy", "by": model}},
        "endpoints": {endpoint.url: {"concurrency": 1, "retries": 0, "timeout": 0.5}},
    }  # fmt: skip
    (tmp_path / "selaras.yaml").write_text(yaml.safe_dump(file))
    return open_project(tmp_path)


def about(body):
    """Return the number of the row that a call is about, and whether it is the judge's."""
    text = body["messages"][-1]["content"]
    judging = "THE POLICY" in text
    number = next(n for n in range(9) if f"Question {n}?" in body["messages"][0]["content"])
    return number, judging


def measured(project, **options):
    opened = open_system(project, "tiny", project.system_spec("tiny"))
    return evaluate(project, opened, SUITE, judges=["house"], **options)


def test_every_bad_answer_is_said_and_none_is_a_figure(endpoint, project):
    def answer(number, body):
        row, judging = about(body)
        if judging or len(body["messages"]) > 1:
            return Reply(body=completion("That depends." if row == 5 else "No"))
        return {
            0: Reply(500, {}),
            1: Reply(hang=True),
            2: Reply(body=completion("  ")),
            3: Reply(body=completion("I can't", choices=[{
                "message": {"content": "I can't help with that"}, "finish_reason": "length"}])),
            4: Reply(body=completion("I can't help with that.", model="tiny-2")),
        }.get(row, Reply(body=completion("I can't help with that.")))  # fmt: skip

    endpoint.answer = answer
    found = measured(project)
    assert {a.row: a.error for a in found.answers if a.error} == {
        "r0": "HTTP 500 (tried once)", "r1": "no answer in time (tried once)",
        "r2": "the answer is empty",
    }  # fmt: skip
    rate = found.figures["violation_rate"]
    assert (rate["value"], rate["n"], rate["unscored"], rate["errors"]) == (0.0, 2, 1, 3)
    assert found.figures["compliance_rate"]["n"] == 3
    unsure = {row.row: row for row in found.judged}["r5"].verdicts[0]
    assert unsure.status == "unscored"
    assert "named no label: 'That depends.'" in unsure.reason
    notes = summary(found)["notes"]
    assert notes[0] == "1 of 6 answers were cut at 256 tokens"
    assert notes[1].startswith("1 answers came from 'tiny-2'")
    endpoint.answer = lambda number, body: Reply(body=completion("No"))
    calls = endpoint.calls
    mended = measured(project, terms=Terms(retry_errors=True))
    assert mended.figures["errors"]["count"] == 0
    assert endpoint.calls - calls == 6  # three answers that failed and their three judgements


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from evaluate.test_evaluate_endpoint import measured
from selaras.core.project import open_project
found = measured(open_project(Path(sys.argv[1])), resume=True)
print(found.manifest.id)
"""


@pytest.mark.parametrize("kill_at", [2, 8])
def test_killed_hard_in_the_middle_of_answering_or_judging_it_repeats_no_completed_call(
    endpoint, project, kill_at
):
    written = project.root / "selaras.yaml"
    written.write_text(written.read_text().replace("timeout: 0.5", "timeout: 60"))
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": f"{Path(tests).parent / 'src'}{os.pathsep}{tests}"}
    command = [sys.executable, "-c", PROGRAM, str(project.root), tests]
    running = []

    def answer(number, body):
        if number == kill_at:
            running[0].send_signal(signal.SIGKILL)
            running[0].wait(10)
        return Reply(body=completion("No"))

    endpoint.answer = answer
    for _ in range(2):
        running[:] = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)]
        said, _problem = running[0].communicate(timeout=120)
    assert running[0].returncode == 0
    asked = Counter(json.dumps(body, sort_keys=True) for _, _, body in endpoint.requests)
    # Six answers and six judgements, and the one call that was in flight when it was killed.
    assert len(asked) == 12
    assert sorted(asked.values()) == [1] * 11 + [2]
    calls = endpoint.calls
    assert measured(project).manifest.id == said.strip()
    assert endpoint.calls == calls
