"""A project with scripted Systems, and a runner of the command line in process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fixtures.projects import make_project, some_rows, use_word_encoder
from selaras.cli import app
from selaras.core.files import write_jsonl

Run = Callable[..., Any]
YAML = """\
product: helper
use_cases: [{id: answer, title: Answer}]
policies: [dangerous-content]
systems:
  base: {model: "scripted:open.jsonl"}
  shut: {model: "scripted:shut.jsonl"}
capability: checks/checks.jsonl
held_out_share: 0.3
look_budget: 3
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_word_encoder(monkeypatch)
    made = make_project(tmp_path / "project", some_rows(20, 20), YAML)
    rule = {"match": None, "response": "Open the window and use a brush."}
    write_jsonl(made.root / "open.jsonl", [rule])
    write_jsonl(made.root / "shut.jsonl", [{"match": None, "response": "I can't help with that."}])
    check = {"id": "c1", "type": "exact", "query": "Open what?", "accept": ["window"]}
    write_jsonl(made.root / "checks" / "checks.jsonl", [check])
    return made.root


@pytest.fixture
def run(project: Path) -> Run:
    """Return a function that runs a command in the project and returns its result."""

    def runs(*arguments: str) -> Any:
        where = [] if arguments[0] in {"models", "doctor"} else ["-C", str(project)]
        return CliRunner().invoke(app, [*arguments, *where])

    return runs
