"""Opens a script of `benchmarks/` as a module, with the modules beside it that it imports."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent.parent / "benchmarks"


def open_benchmark(name: str) -> ModuleType:
    """Return `benchmarks/NAME.py` as a module under a name that hides no library's."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    # The folder holds names such as `coverage`, so it is on the path for this import alone.
    sys.path.insert(0, str(FOLDER))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module
