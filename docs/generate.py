"""Writes the pages of docs/ that are made from the code: cli.md and selaras.schema.json.

python docs/generate.py           write them
python docs/generate.py --check   exit 1 where one is out of date
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ["COLUMNS"] = "90"
os.environ["TERM"] = "dumb"

import typer.main
from typer.testing import CliRunner

from selaras.cli import app
from selaras.core.project import json_schema

DOCS = Path(__file__).parent
HEAD = """# The command line

Made from the commands' own help by `docs/generate.py`; a test checks that it is current.

Exit codes: 0 fine, 1 the run failed, 2 usage or bad input, 3 a gate did not pass.
"""


def commands(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every command, groups first."""
    yield path
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from commands(child, (*path, name))


def cli_page() -> str:
    """Return docs/cli.md."""
    runner = CliRunner()
    parts = [HEAD]
    for path in commands(typer.main.get_command(app)):
        shown = runner.invoke(app, [*path, "--help"], prog_name="selaras", color=False).output
        lines = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        parts.append(f"## {' '.join(('selaras', *path))}\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def pages() -> dict[Path, str]:
    """Return the generated pages by path."""
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    return {DOCS / "cli.md": cli_page(), DOCS / "selaras.schema.json": schema}


def main() -> int:
    """Write the pages, or with --check say which are out of date."""
    stale = [p for p, text in pages().items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"{path} is out of date: run python docs/generate.py\n")
        return 1 if stale else 0
    for path, text in pages().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
