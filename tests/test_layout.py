"""The borders of the house: light imports, the size of files, no banned names."""

import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "selaras"
HEAVY = ("torch", "transformers", "trl", "peft", "openai", "datasets")
LIGHT = (
    "import selaras",
    "import selaras.recipe",
    "import selaras.evaluate, selaras.report, selaras.data, selaras.judge, selaras.policy",
    "import selaras.tune, selaras.tune.choose_rows, selaras.template, selaras.starter",
    "import selaras.models.names, selaras.models.remote, selaras.models.catalogue",
    "from typer.testing import CliRunner; from selaras.cli import app; "
    "assert CliRunner().invoke(app, ['--help']).exit_code == 0",
)
BANNED = {"utils", "util", "helpers", "helper", "misc", "manager", "handler", "processor"}


@pytest.mark.parametrize("code", LIGHT)
def test_no_heavy_library_is_loaded(code: str) -> None:
    check = f"{code}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_files_are_small_and_named_after_their_idea() -> None:
    for path in SRC.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path
        assert not BANNED & set(path.stem.split("_")), path
