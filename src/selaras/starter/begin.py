"""The project that `selaras start` leaves behind, written from a prompt and what was drafted."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from selaras.core.endpoint import Endpoint
from selaras.core.errors import InputError
from selaras.core.files import write_text
from selaras.core.project import FILE, Project, open_project
from selaras.core.records import Query
from selaras.data import write_rows
from selaras.policy import builtin_text
from selaras.prompt.draft import Draft
from selaras.template import PromptTemplate, save_prompt
from selaras.template.prompt import INPUT, QUERY
from selaras.template.versions import keep_as_it_is, put_label

AS_GIVEN, PROPOSED = "as-given", "proposed"
PROMPT, PROBES = "prompts/assistant.prompt", "data/probes.jsonl"
MAX_TOKENS = 64
_PATHS = ("scripted", "hf", "gguf")
IGNORE = "# Caches and the rating store: made again, never committed.\n.selaras/\n"
MERGED = "data/decisions.jsonl merge=union\nprompts/history/*.jsonl merge=union\n"
_HEAD = """\
# Drafted by `selaras start` from a system prompt: read it, and mend what is wrong.
# Its rows are public probes: write your own to data/, then seal some: selaras data split
"""


def write_project(
    folder: Path, template: PromptTemplate, model: str, draft: Draft, rows: Sequence[Query]
) -> Project:
    """Write the project of a drafted product, and return it."""
    value: dict[str, Any] = {
        "product": draft.product,
        "use_cases": [
            case.model_dump(mode="json", exclude_defaults=True) for case in draft.use_cases
        ],
        "policies": list(draft.policies),
        "enforced_by": {name: ["prompt"] for name in draft.policies},
        "systems": {
            name: _system(template, from_inside(model, folder), name)
            for name in (AS_GIVEN, PROPOSED)
        },
    }
    if patient := local_endpoints(model):
        value["endpoints"] = {
            url: endpoint.model_dump(mode="json", exclude_defaults=True)
            for url, endpoint in patient.items()
        }
    folder.mkdir(parents=True, exist_ok=True)
    for name in draft.policies:
        write_text(folder / "policies" / f"{name}.yaml", builtin_text(name))
    save_prompt(folder / PROMPT, template)
    put_label(folder / PROMPT, AS_GIVEN, keep_as_it_is(folder / PROMPT, "as it was given").version)
    write_rows(folder / PROBES, rows)
    write_text(folder / ".gitignore", IGNORE)
    write_text(folder / ".gitattributes", MERGED)
    # The project file comes last: a folder without it is begun again from nothing.
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    write_text(folder / FILE, _HEAD + text)
    return open_project(folder)


def reopened(folder: Path, model: str) -> Project:
    """Return the project of an earlier start; raises InputError where it is of something else."""
    project = Project(folder.resolve(), open_project(folder).file)
    spec = project.file.systems.get(AS_GIVEN)
    if spec is None or spec.model != from_inside(model, folder):
        raise InputError(
            "this folder holds another project", path=folder / FILE,
            fix="name another folder, or the model it was started with",
        )  # fmt: skip
    return project


def local_endpoints(model: str) -> dict[str, Endpoint]:
    """Return the settings of a server on this machine: few places, and time for each answer.

    >>> list(local_endpoints("openai:qwen@http://127.0.0.1:8088/v1"))
    ['http://127.0.0.1:8088/v1']
    """
    url = model.partition("@")[2] if model.startswith("openai:") else ""
    if urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}:
        return {url: Endpoint(concurrency=2, timeout=300.0, retries=2)}
    return {}


def _system(template: PromptTemplate, model: str, name: str) -> dict[str, Any]:
    sampling = {} if template.front.config else {"sampling": {"max_tokens": MAX_TOKENS}}
    return {"model": model, "prompt": f"{PROMPT}@{name}", **sampling}


def from_inside(model: str, folder: Path) -> str:
    """Return a model's name as it is written inside the folder: a path is relative to it."""
    scheme, _, argument = model.partition(":")
    if scheme in _PATHS and not Path(argument).is_absolute() and Path(argument).exists():
        return f"{scheme}:{os.path.relpath(Path(argument).resolve(), folder.resolve())}"
    return model


def judge_inside(judge: str, folder: Path) -> str:
    """Return a judge's name (TYPE:MODEL-OR-FILE) as it is read inside the folder."""
    kind, _, by = judge.partition(":")
    if by and Path(by).exists():
        return f"{kind}:{os.path.relpath(Path(by).resolve(), folder.resolve())}"
    return f"{kind}:{from_inside(by, folder)}" if by else judge


def rows_for(
    template: PromptTemplate, probes: Sequence[Query], values: Mapping[str, str], use_case: str
) -> list[Query]:
    """Return the probes as rows of a template: the user's text where the template has its place.

    A template with neither {{input}} nor {{query}} takes it as its last variable. Raises InputError
    where another variable has no value.
    """
    names = [
        piece.name for turn in template.turns for piece in turn.pieces
        if hasattr(piece, "name") and piece.name not in {INPUT, QUERY}
    ]  # fmt: skip
    names = list(dict.fromkeys(names))
    main = None if {INPUT, QUERY} & template.variables else (names[-1] if names else None)
    if main is None and not {INPUT, QUERY} & template.variables:
        raise InputError("the prompt has no place for the user's text",
                         fix="write {{input}} where it should stand")  # fmt: skip
    for name in names:
        if name != main and name not in values and name not in template.front.input.default:
            raise InputError(f"the variable {{{{{name}}}}} has no value",
                             fix=f"give it one: --value {name}=TEXT")  # fmt: skip
    context = {name: text for name, text in values.items() if name in names}
    return [
        row.model_copy(update={"use_case": use_case,
                               "context": {**context, **({main: row.query} if main else {})}})
        for row in probes
    ]  # fmt: skip
