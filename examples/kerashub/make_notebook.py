"""Runs the cells of `tune.py` and writes them with their outputs as `tune.ipynb`.

    python examples/kerashub/make_notebook.py [--check]

--check runs nothing: it says whether the notebook's cells are those of the script.
"""

import re
import sys
from pathlib import Path

import nbformat

HERE = Path(__file__).resolve().parent
SCRIPT, NOTEBOOK = HERE / "tune.py", HERE / "tune.ipynb"
LIMIT = 1200  # seconds a cell


def cells(script: str) -> list[nbformat.NotebookNode]:
    """Return the cells of a script whose cells begin with `# %%`."""
    made = []
    for part in re.split(r"^# %%", script, flags=re.MULTILINE)[1:]:
        kind, _, body = part.partition("\n")
        if "[markdown]" in kind:
            text = re.sub(r"^# ?", "", body.strip(), flags=re.MULTILINE)
            made.append(nbformat.v4.new_markdown_cell(text))
        else:
            made.append(nbformat.v4.new_code_cell(body.strip()))
    for number, cell in enumerate(made):
        cell["id"] = f"cell-{number}"
    return made


def main() -> int:
    """Write or check the notebook."""
    made = cells(SCRIPT.read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        there = nbformat.read(NOTEBOOK, as_version=4).cells
        return int([c.source for c in there] != [c.source for c in made])
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=made)
    NotebookClient(notebook, timeout=LIMIT, kernel_name="python3").execute()
    for cell in notebook.cells:
        # Noise of libraries on stderr says nothing of the route.
        outputs = [o for o in cell.get("outputs", []) if o.get("name") != "stderr"]
        if cell.cell_type == "code":
            cell["outputs"] = outputs
        cell["metadata"] = {}
    nbformat.write(notebook, NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
