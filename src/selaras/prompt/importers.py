"""Prompts of other tools as our templates; what has no equal here is refused or said, never lost.

- `.prompty`: YAML front matter, then `system:`, `user:` and `assistant:` lines, {{variables}}.
- promptfoo's YAML: each of `prompts` is a text, a file, or a JSON chat, with {{variables}}.
- plain text with {variables}, as in Python's str.format; with {{variables}} it is taken verbatim,
  as the toolkit's own example is written.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from selaras.core.errors import InputError
from selaras.core.files import read_text
from selaras.core.late import resolve
from selaras.template import PromptTemplate, parse_prompt
from selaras.template.lex import ROLES, escape

_PROMPTY = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_ROLE_LINE = re.compile(r"^\s*#?\s*(system|user|assistant|developer|function)\s*:\s*$",
                        re.MULTILINE | re.IGNORECASE)  # fmt: skip
_JINJA = re.compile(r"\{\{-?\s*(?P<inside>.*?)\s*-?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")
_FORMAT = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)(?:[!:][^{}\"]*)?\}")


@dataclass(frozen=True, slots=True)
class Imported:
    """A template with the name it had, and what a person has to know of how it was read."""

    name: str
    template: PromptTemplate
    notes: tuple[str, ...] = ()


def import_prompts(path: Path, form: str | None = None) -> list[Imported]:
    """Return the templates of a file of another tool, its form told by name where none is given.

    Raises InputError for logic ({% if %}, filters), an unknown role, a file of another form.
    """
    from selaras.prompt import IMPORTERS

    text = read_text(path).replace("\r\n", "\n")
    suffix = path.suffix.lower()
    guessed = {".prompty": "prompty", ".yaml": "promptfoo", ".yml": "promptfoo"}
    form = form or guessed.get(suffix, "text")
    if form not in IMPORTERS:
        raise InputError(f"no form {form!r}", fix=f"use one of: {', '.join(IMPORTERS)}")
    reader = resolve(IMPORTERS[form])
    found: list[Imported] = list(reader(text, path))
    return found


def read_prompty(text: str, path: Path) -> Iterator[Imported]:
    """Yield the template of a `.prompty` file."""
    match = _PROMPTY.match(text)
    front = _yaml(match.group(1), path) if match else {}
    body = text[match.end() :] if match else text
    notes = [
        f"{name} was left out: it has no equal here"
        for name in sorted(set(front) - {"name", "description", "model", "inputs", "sample"})
    ]
    parts = _ROLE_LINE.split(body)
    turns = [("user", parts[0])] if parts[0].strip() else []
    turns += [(role.lower(), said) for role, said in zip(parts[1::2], parts[2::2], strict=True)]
    head: dict[str, Any] = {k: front[k] for k in ("name", "description") if front.get(k)}
    model = front.get("model") or {}
    if isinstance(model, dict):
        settings = model.get("configuration") or {}
        name = settings.get("name") or settings.get("azure_deployment")
        config = _sampling(model.get("parameters") or {}, notes)
        head |= {"model": name} if name else {}
        head |= {"config": config} if config else {}
    declared = front.get("inputs") or {}
    if isinstance(declared, dict) and declared:
        head["input"] = {"schema": {str(name): _kind(value) for name, value in declared.items()}}
    sample = front.get("sample")
    if isinstance(sample, dict):
        notes.append("the sample is an example row, not part of the prompt: write it to data/")
    yield _made(str(front.get("name") or path.stem), head, turns, notes, path)


def read_promptfoo(text: str, path: Path) -> Iterator[Imported]:
    """Yield the templates under `prompts` of a promptfoo configuration."""
    value = _yaml(text, path)
    prompts = value.get("prompts")
    if isinstance(prompts, str):
        prompts = [prompts]
    if not isinstance(prompts, list) or not prompts:
        raise InputError("no prompts", path=path, field="prompts", fix="is it promptfoo's file?")
    for number, entry in enumerate(prompts, 1):
        label = f"{path.stem}-{number}" if len(prompts) > 1 else path.stem
        if isinstance(entry, dict):
            label = str(entry.get("label") or entry.get("id") or label)
            entry = entry.get("raw") or entry.get("prompt") or entry.get("id")
        if not isinstance(entry, str):
            raise InputError(f"prompt {number} is no text", path=path, field="prompts")
        if entry.startswith("file://"):
            entry = _beside(path, entry.removeprefix("file://"))
        yield _made(_plain_name(label), {"name": _plain_name(label)}, _chat(entry, path), [], path)


def read_text_template(text: str, path: Path) -> Iterator[Imported]:
    """Yield the template of a plain text.

    With a {{variable}} it is ours already, or a text such as the toolkit's example, and stays as it
    is; else {variables} become {{variables}}, doubled braces single ones, and other braces (JSON in
    a few-shot example) stay text.
    """
    if re.search(r"(?<!\{)\{\{\s*[A-Za-z_]\w*\s*\}\}(?!\})|\{\{\s*role\b", text) or text.startswith(
        "---\n"
    ):
        yield Imported(path.stem, parse_prompt(text, path))
        return
    names: list[str] = []
    made = []
    position = 0
    for match in _FORMAT.finditer(text):
        made.append(escape(text[position : match.start()]))
        position = match.end()
        if match[1]:
            names.append(match[1])
            # A brace right before a variable would make three: {{{ is no tag here. A backslash
            # would make the braces text.
            space = " " if text[: match.start()].endswith(("{", "\\")) else ""
            made.append(f"{space}{{{{{match[1]}}}}}")
        else:
            made.append(match.group()[0])
    made.append(escape(text[position:]))
    body = "".join(made)
    notes = [f"{{{name}}} became {{{{{name}}}}}" for name in dict.fromkeys(names)]
    if not names:
        notes.append("no variable: a system prompt? The user's text was put after it as {{input}}")
        body = f'{{{{role "system"}}}}\n{body.rstrip()}\n{{{{role "user"}}}}\n{{{{input}}}}\n'
    yield Imported(path.stem, parse_prompt(body, path), tuple(notes))


def _made(
    name: str, head: dict[str, Any], turns: Sequence[tuple[str, str]], notes: Sequence[str],
    path: Path,
) -> Imported:  # fmt: skip
    roles = {"developer": "system", "assistant": "model"}
    body = []
    for role, said in turns:
        if roles.get(role, role) not in ROLES:
            raise InputError(f"the role {role!r} has no equal here", path=path,
                             fix=f"use one of: {', '.join(ROLES)}")  # fmt: skip
        body.append(f'{{{{role "{roles.get(role, role)}"}}}}\n{_body(said, path).strip()}\n')
    front = f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n" if head else ""
    return Imported(_plain_name(name), parse_prompt(front + "".join(body), path), tuple(notes))


def _body(text: str, path: Path) -> str:
    """Return a text with jinja's plain {{variables}} as ours; raises InputError at its logic."""
    made, position = [], 0
    for match in _JINJA.finditer(text):
        inside = match["inside"]
        if inside is None and match.group().startswith("{#"):
            made.append(text[position : match.start()])
        elif inside is None or not _NAME.fullmatch(inside):
            line = text.count("\n", 0, match.start()) + 1
            raise InputError(
                f"logic in a prompt: {match.group()[:40]}", path=path, line=line,
                fix="templates hold no logic here: write one prompt a case, or fill a variable",
            )  # fmt: skip
        else:
            before = text[position : match.start()]
            made.append(before + (" " if before.endswith("{") else "") + f"{{{{{inside}}}}}")
        position = match.end()
    return "".join(made) + escape(text[position:])


def _chat(text: str, path: Path) -> list[tuple[str, str]]:
    """Return the turns of a promptfoo prompt: a JSON or YAML chat, or one user message."""
    if text.lstrip().startswith(("[", "- role", "-\n")):
        try:
            value = json.loads(text) if text.lstrip().startswith("[") else yaml.safe_load(text)
            return [(str(turn["role"]), str(turn["content"])) for turn in value]
        except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise InputError("a chat that is not a list of role and content", path=path,
                             fix="write [{\"role\": …, \"content\": …}]") from error  # fmt: skip
    return [("user", text)]


def _beside(path: Path, name: str) -> str:
    target = (path.parent / name).resolve()
    if not target.is_relative_to(path.parent.resolve()):
        raise InputError(
            f"{name} lies outside the folder", path=path, fix="copy it beside the file"
        )
    return read_text(target)


def _sampling(parameters: Any, notes: list[str]) -> dict[str, Any]:
    known = {"max_tokens", "temperature", "top_p", "seed"}
    other = {"max_completion_tokens": "max_tokens"}
    config: dict[str, Any] = {}
    for name, value in (parameters if isinstance(parameters, dict) else {}).items():
        if other.get(name, name) in known:
            config[other.get(name, str(name))] = value
        else:
            notes.append(f"the parameter {name} was left out: it has no equal here")
    return config


def _kind(value: Any) -> str:
    found = value.get("type") if isinstance(value, dict) else value
    return found if found in {"string", "number", "boolean", "integer"} else "string"


def _plain_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "prompt"


def _yaml(text: str, path: Path) -> dict[str, Any]:
    try:
        value: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError("broken YAML", path=path, line=mark.line + 1 if mark else None) from error
    if not isinstance(value, dict | None):
        raise InputError("not a mapping of fields to values", path=path)
    return value or {}
