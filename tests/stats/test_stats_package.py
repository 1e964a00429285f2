"""The package's surface: what it exports and what it may import."""

import ast
import sys
from pathlib import Path

import selaras.stats

FOLDER = Path(selaras.stats.__file__).parent


def test_all_is_sorted_and_resolves() -> None:
    names = selaras.stats.__all__
    assert names == sorted(names)
    assert all(hasattr(selaras.stats, name) for name in names)


def test_numpy_is_the_only_dependency() -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "selaras"}
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots = {(node.module or "").split(".")[0]}
            else:
                continue
            assert roots <= allowed, path.name
