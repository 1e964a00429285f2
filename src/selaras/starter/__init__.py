"""Starter projects: `selaras init DIR --example household-helper` copies one."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from selaras.core.errors import InputError
from selaras.core.files import write_text
from selaras.core.project import FILE, Project, open_project
from selaras.policy import builtin_text
from selaras.starter.begin import IGNORE, MERGED

EXAMPLES = {"household-helper": "household_helper"}
EMPTY = """\
product: {name}
use_cases:
  - id: answer
    title: Answer a question
policies: [dangerous-content, illicit-goods, private-information, high-stakes-advice]
systems:
  base:
    model: bundled:smollm2-135m-instruct
"""


def create_project(folder: Path, example: str | None = None) -> Project:
    """Create a project folder, empty or from an example, and return it.

    Raises InputError where the folder holds a project already or the example is unknown.
    """
    if (folder / FILE).exists():
        raise InputError(f"there is a {FILE} already", path=folder, fix="name another folder")
    if example is not None and example not in EXAMPLES:
        raise InputError(f"no example {example!r}", fix=f"use one of: {', '.join(EXAMPLES)}")
    folder.mkdir(parents=True, exist_ok=True)
    if example:
        with as_file(files(__name__) / EXAMPLES[example]) as source:
            shutil.copytree(source, folder, dirs_exist_ok=True)
    else:
        (folder / "data").mkdir(exist_ok=True)
        write_text(folder / FILE, EMPTY.format(name=folder.resolve().name))
    write_text(folder / ".gitignore", IGNORE)
    write_text(folder / ".gitattributes", MERGED)
    project = open_project(folder)
    for name in project.file.policies:
        write_text(project.root / "policies" / f"{name}.yaml", builtin_text(name))
    return project


__all__ = ["EXAMPLES", "create_project"]
