"""`selaras prompt`: templates written, shown as a model reads them, linted, imported, versioned."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selaras.cli import prompt_findings, prompt_improve, prompt_search
from selaras.cli.frame import (
    JsonOption,
    ProjectOption,
    command,
    group,
    open_project_at,
    pairs,
    print_json,
    say,
    showing,
)

if TYPE_CHECKING:
    from selaras.core.project import Project
    from selaras.policy import Policy
    from selaras.template.versions import NamedPrompt

File = Annotated[str, typer.Argument(metavar="FILE", help="A .prompt file, or FILE@LABEL.")]
NoteOption = Annotated[str, typer.Option("--note", help="Why: kept in the history.")]
app = group("Prompt templates: write, show, lint, import, keep versions of them.")

NEW = """\
---
name: {name}
# What a reply has to look like, and the variables, for readers and for `selaras prompt lint`.
# output: {{format: text}}
# input: {{schema: {{article: string}}}}
selaras:
  policies: [{policies}]
---
{{{{role "system"}}}}
You are … Answer in at most three sentences.
{{{{! principles }}}}
{{{{! /principles }}}}
{{{{role "user"}}}}
{{{{input}}}}
"""
NEW_RAW = """\
---
name: {name}
selaras:
  form: raw
  examples:
    inline:
    - {{query: "…", response: "…"}}
---
The following examples show ….

{{{{! examples }}}}
Question: {{{{query}}}}
Answer: {{{{response}}}}

{{{{! /examples }}}}
Question: {{{{input}}}}
Answer:
"""


def register(parent: typer.Typer) -> None:
    """Add this stage's commands."""
    for function in (new, show, render, lint, keep, adopt, log, diff, label, examples):
        app.command(function.__name__)(function)
    app.command("import")(import_)
    for function in (prompt_improve.improve, prompt_search.optimize, prompt_search.prove):
        app.command(function.__name__)(function)
    parent.add_typer(app, name="prompt")


@command
def new(
    file: Annotated[Path, typer.Argument(help="The file to write: prompts/NAME.prompt")],
    policies: Annotated[
        list[str] | None, typer.Option("--policy", help="A policy it enforces; may be repeated.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="A prefix for a pre-trained (pt) checkpoint.")
    ] = False,
) -> None:
    """Write a new template with places for principles and input."""
    from selaras.core.errors import InputError
    from selaras.core.files import write_text

    if file.exists():
        raise InputError("there is a file already", path=file, fix="name another one")
    text = (NEW_RAW if raw else NEW).format(name=file.stem, policies=", ".join(policies or ()))
    write_text(file, text)
    say(f"wrote {file}")
    say(f"next: selaras prompt lint {file}")


@command
def show(file: File, folder: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """Show a template: messages, marked spans, principles, versions."""
    from selaras.cli.render_prompt import print_template, template_value
    from selaras.template.versions import history

    named = _named(file, folder)
    versions = history(_file_of(file, folder))
    if as_json:
        print_json(template_value(named.template, versions))
    else:
        print_template(named.template, versions)


@command
def render(
    file: File,
    folder: ProjectOption = Path(),
    row: Annotated[
        str | None, typer.Option("--row", help="A development row of the project, by id.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--value", metavar="NAME=TEXT", help="A variable; query=… is the user's text."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Render through this local model's chat template and tokenizer."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Render a template for a row, stretch by stretch, with origins and token counts.

    With a local model (--model, or the template's own) it is shown as it reaches the model: with
    the chat template's own text, the system prompt it hides, and system text folded where it has no
    system role.
    """
    from selaras.cli.render_prompt import print_told, told_value
    from selaras.prompt.shown import told_row

    named = _named(file, folder)
    project = _project(folder, needed=row is not None)
    with showing(quiet=as_json) as progress:
        told = told_row(
            named.template,
            project,
            row,
            pairs(values or (), "--value", "name=text"),
            model,
            progress,
        )
    print_json(told_value(told)) if as_json else print_told(told)


@command
def lint(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Templates to check; all of the project's.")
    ] = None,
    folder: ProjectOption = Path(),
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="One check by name; may be repeated.")
    ] = None,
    findings: prompt_findings.FindingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check templates against what prompting guides warn of; exit code 3 at an error.

    With --findings also by what was measured of their parts on rows.
    """
    import dataclasses

    from selaras.cli.render_prompt import print_remarks
    from selaras.core.errors import InputError
    from selaras.policy import builtin_policies
    from selaras.prompt import LINTS
    from selaras.prompt.lint import lint as check
    from selaras.template import load_prompt

    for name in only or ():
        if name not in LINTS:
            raise InputError(f"no check {name!r}", fix=f"use one of: {', '.join(LINTS)}")
    policies = _policies(folder) or builtin_policies()
    grave = {"error", "warning"} if strict else {"error"}
    found = {}
    templates = {path: load_prompt(path) for path in files or _prompts(folder)}
    measured = prompt_findings.by_template(findings, templates)
    for path, template in templates.items():
        found[path] = check(template, policies, only or (), measured[path])
        if not as_json:
            print_remarks(path, template, found[path])
    if as_json:
        print_json({str(path): [dataclasses.asdict(r) for r in own] for path, own in found.items()})
    if any(remark.severity in grave for own in found.values() for remark in own):
        raise typer.Exit(3)


@command
def import_(
    files: Annotated[list[Path], typer.Argument(help="Files of other tools.")],
    to: Annotated[Path, typer.Option("--to", help="The folder to write templates to.")] = Path(
        "prompts"
    ),
    form: Annotated[
        str | None, typer.Option("--form", help="prompty, promptfoo or text; told by the name.")
    ] = None,
) -> None:
    """Import .prompty files, promptfoo configurations and plain text with {variables}."""
    from selaras.core.errors import InputError
    from selaras.prompt.importers import import_prompts
    from selaras.template import save_prompt

    for path in files:
        for one in import_prompts(path, form):
            target = to / f"{one.name}.prompt"
            if target.exists():
                raise InputError("there is a template already", path=target,
                                 fix="name another folder: --to")  # fmt: skip
            save_prompt(target, one.template)
            say(f"{path} -> {target}")
            for note in one.notes:
                say(f"  {note}")


@command
def keep(file: Path, note: NoteOption = "", folder: ProjectOption = Path()) -> None:
    """Keep what a template's file holds now as a version."""
    from selaras.template.versions import keep_as_it_is

    version = keep_as_it_is(_path(str(file), folder), note)
    say(f"{file} is version {version.version}")


@command
def adopt(file: Path, folder: ProjectOption = Path()) -> None:
    """Take edits made by hand inside the principles block over into the record, and keep them."""
    from selaras.template import adopted, edited_by_hand, load_prompt
    from selaras.template.versions import keep as keep_version

    path = _path(str(file), folder)
    template = load_prompt(path)
    if not edited_by_hand(template):
        say(f"{file}: the principles block says what the record says")
        return
    taken = adopted(template)
    version = keep_version(path, taken, "principles edited by hand")
    for principle in taken.front.selaras.principles:
        if principle not in template.front.selaras.principles:
            say(f"  {principle.id} ({principle.status}): {principle.text}")
    say(f"{file} is version {version.version}")


@command
def log(file: Path, folder: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """Show the kept versions of a template, newest first, with parents and labels."""
    from selaras.cli.render_prompt import print_history, version_value
    from selaras.template.versions import history

    versions = history(_path(str(file), folder))[::-1]
    if as_json:
        print_json([version_value(version) for version in versions])
    else:
        print_history(str(file), versions)


@command
def diff(
    file: Path,
    before: Annotated[
        str | None, typer.Argument(help="A version or label; the newest kept one by default.")
    ] = None,
    after: Annotated[
        str | None, typer.Argument(help="A version or label; the file as it is by default.")
    ] = None,
    folder: ProjectOption = Path(),
    text: Annotated[
        bool, typer.Option("--text", help="Line by line, front matter and comments too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what changed between two versions, message by message, or line by line (--text)."""
    import dataclasses

    from selaras.cli.render_prompt import print_changes
    from selaras.template import load_prompt
    from selaras.template.diff import segment_diff, text_diff
    from selaras.template.versions import read_version

    path = _path(str(file), folder)
    old = read_version(path, before or "latest").template
    new_one = read_version(path, after).template if after else load_prompt(path)
    names = (before or "latest", after or str(file))
    lines, changes = text_diff(old, new_one, names), segment_diff(old, new_one)
    if as_json:
        print_json({"changes": [dataclasses.asdict(change) for change in changes], "text": lines})
    elif text:
        typer.echo(lines or "no difference")
    else:
        print_changes(changes)


@command
def label(
    file: Path,
    name: Annotated[str, typer.Argument(help="The label, such as production.")],
    version: Annotated[
        str | None, typer.Argument(help="A version or another label; the file as it is by default.")
    ] = None,
    folder: ProjectOption = Path(),
) -> None:
    """Put a label on a version; a System names it as prompts/x.prompt@LABEL."""
    from selaras.template.versions import keep_as_it_is, put_label

    path = _path(str(file), folder)
    found = put_label(path, name, version or keep_as_it_is(path).version)
    say(f"{name} is version {found.version} of {file}")


@command
def examples(
    file: Path,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=50)] = 4,
    by: Annotated[str, typer.Option(help="policy, similarity or diversity.")] = "policy",
    like: Annotated[
        str | None, typer.Option(help="With --by similarity: the text they should be like.")
    ] = None,
    folder: ProjectOption = Path(),
) -> None:
    """Choose few-shot examples out of the development rows, and name them in the template."""
    from selaras.prompt.shown import show_examples

    path = _path(str(file), folder)
    project = open_project_at(folder)
    with showing() as progress:
        rows = show_examples(project, path, count, by, like, progress)
    for row in rows:
        say(f"  {row.id}  {row.kind.value}")
    say(f"{file} shows {len(rows)} development rows")


def _named(file: str, folder: Path) -> "NamedPrompt":
    from selaras.template.versions import named_prompt

    name, at, version = file.rpartition("@")
    if not at:
        return named_prompt(Path(), str(_path(file, folder)))
    return named_prompt(Path(), f"{_path(name, folder)}@{version}")


def _file_of(file: str, folder: Path) -> Path:
    return _path(file.rpartition("@")[0] or file, folder)


def _path(file: str, folder: Path) -> Path:
    """Return the path as given from here, or from the project's folder."""
    path = Path(file)
    return path if path.exists() or not (folder / path).exists() else folder / path


def _project(folder: Path, needed: bool = False) -> "Project | None":
    from selaras.core.errors import InputError

    try:
        return open_project_at(folder)
    except InputError:
        if needed or folder != Path():
            raise
        return None


def _prompts(folder: Path) -> list[Path]:
    """Return the project's templates; raises InputError where there are none."""
    from selaras.core.errors import InputError

    project = open_project_at(folder)
    found = sorted((project.root / "prompts").glob("*.prompt"))
    if not found:
        raise InputError("no templates", path=project.root / "prompts", fix="name a file")
    return found


def _policies(folder: Path) -> "dict[str, Policy]":
    from selaras.policy import load_policies

    project = _project(folder)
    return load_policies(project) if project else {}
