"""The package: one sorted list of names, the standard library only."""

import ast
import subprocess
import sys
from pathlib import Path

import selaras.page
from selaras.page import chart, html, shell
from selaras.page.table import __all__ as table_names

FOLDER = Path(selaras.page.__file__).parent


def test_names_are_sorted_and_there():
    for names in (
        selaras.page.__all__,
        chart.__all__,
        html.__all__,
        shell.__all__,
        table_names,
    ):
        assert names == sorted(names)
    assert all(hasattr(selaras.page, name) for name in selaras.page.__all__)


def test_only_the_standard_library_and_itself():
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.split(".")[0]
                assert name.startswith("selaras.page") or top in sys.stdlib_module_names, name


def test_importing_it_loads_nothing_heavy():
    code = "import sys, selaras.page; print(*[m for m in ('numpy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
