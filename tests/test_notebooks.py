"""Notebooks are the cells of their scripts, with small outputs and nothing of a machine in them."""

import ast
import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*/*.ipynb"))


def cells(script: str) -> list[str]:
    """Return the sources of a script's cells, as its `make_notebook.py` writes them."""
    found = []
    for part in re.split(r"^# %%", script, flags=re.MULTILINE)[1:]:
        kind, _, body = part.partition("\n")
        body = body.strip()
        found.append(re.sub(r"^# ?", "", body, flags=re.MULTILINE) if "[" in kind else body)
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.parent.name for path in NOTEBOOKS])
def test_a_notebook_is_its_script_run(path: Path) -> None:
    script = path.with_suffix(".py").read_text()
    ast.parse(script)
    notebook = json.loads(path.read_text())
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    assert sources == cells(script), f"python {path.parent.name}/make_notebook.py"
    outputs = [out for cell in notebook["cells"] for out in cell.get("outputs", ())]
    assert outputs
    assert all(out["output_type"] == "stream" and out["name"] == "stdout" for out in outputs)
    assert path.stat().st_size < 40_000
    assert not re.search(r"/(home|root|tmp|work)/", path.read_text())


def test_the_keras_route_shows_that_the_lora_is_brought_back() -> None:
    text = (FOLDER / "kerashub" / "tune.ipynb").read_text()
    assert "an export as it is has changed: 0" in text
    gap = re.search(r"KerasHub with LoRA to transformers: ([0-9.e-]+)", text)
    assert gap is not None
    assert float(gap.group(1)) < 1e-3
