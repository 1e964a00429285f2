"""What `selaras debug` does once its options are read."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.cli.frame import print_json, say, showing
from selaras.core.errors import InputError
from selaras.core.files import write_jsonl, write_text
from selaras.core.project import Project, open_project
from selaras.debug import Settings, attribute, cut, opening
from selaras.evaluate.systems import with_rows_read
from selaras.models.catalogue import cache_folder
from selaras.models.names import Place, place_of
from selaras.template import PLAIN, Rendered, load_prompt
from selaras.template.versions import named_prompt


@dataclass(frozen=True, slots=True)
class Source:
    """What the options name, read: the model's name, its place, the prompts and their titles."""

    model: str
    place: Place
    prompts: tuple[tuple[str, Rendered], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to explain it; `proxy` names a local model that stands for a remote one."""

    unit: str
    regex: str | None
    method: str
    settings: Settings
    proxy: str | None = None


def explain(
    source: Source, asked: opening.Asked, plan: Plan, html: Path | None, as_json: bool
) -> None:
    """Print the map, or write its page."""
    from selaras.debug.remote import open_any

    with showing(as_json) as progress:
        opened = open_any(source.model, source.place, plan.proxy)
        (_, rendered), *_ = source.prompts
        probe = opened.probe(rendered, asked, source.place.cache, progress)
        segments = cut(probe.view, plan.unit, plan.regex)
        found = attribute(probe, segments, plan.method, plan.settings, model=opened.name)
        if html is not None:
            write_text(html, _page(source, plan, opened, probe, progress))
    if html is not None:
        say(f"wrote {html}")
    notes = [opened.note] if opened.note else []
    if probe.cost.bounded:
        notes.append(f"{probe.cost.bounded} of {probe.cost.forwards} values are bounds: the token "
                     "was not among the likeliest that the endpoint told")  # fmt: skip
    for note in notes:
        say(f"warning: {note}")
    if as_json:
        print_json({**found.to_dict(), **({"notes": notes} if notes else {})})
        return
    from selaras.cli.debug_show import print_summary, show

    print_summary(found) if html else show(found, probe.view)


def _page(source: Source, plan: Plan, opened: Any, first: Any, progress: Any) -> str:
    """Return the page of one prompt, or of two for the same response; `first` is probed."""
    from selaras.debug.page import render_page
    from selaras.debug.panel import add_maps, panel

    panels = []
    # The second prompt is asked for the first one's response.
    asked = opening.same_response(first.target)
    for number, (title, rendered) in enumerate(source.prompts):
        probe = first
        if number:
            probe = opened.probe(rendered, asked, source.place.cache, progress)
        shown = panel(probe, title, opened.name, opened.note)
        methods = list(dict.fromkeys([plan.method, "surrogate", "leave-one-out"]))
        add_maps(shown, probe, methods, plan.unit, plan.settings, plan.regex)
        panels.append(shown)
    return render_page(panels, unit=plan.unit)


def serve(source: Source, asked: opening.Asked, plan: Plan, port: int) -> None:
    """Serve the page until Ctrl-C."""
    from selaras.core.errors import MissingExtraError
    from selaras.core.loopback import bound_socket
    from selaras.debug.remote import open_any
    from selaras.debug.serve import application, open_live

    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("uvicorn", "studio") from error
    with bound_socket("127.0.0.1", port) as bound:
        with showing() as progress:
            opened = open_any(source.model, source.place, plan.proxy)
            if opened.model is None:
                raise InputError("--serve needs a model with weights here",
                                 fix="name a local --proxy")  # fmt: skip
            live = open_live(
                opened.model, source.prompts, asked, plan.unit, source.place.cache, progress,
                regex=plan.regex, note=opened.note,
            )  # fmt: skip
        live.settings = plan.settings
        say(f"open http://127.0.0.1:{bound.getsockname()[1]}/ (Ctrl-C ends it)")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(uvicorn.Config(application(live), log_level="warning")).run([bound])


def over_rows(
    folder: Path, system: str | None, rows: Path, limit: int, settings: Settings,
    out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Aggregate over rows; print the findings and write them."""
    from selaras.debug.aggregate import aggregate

    project = open_project(folder)
    with showing(as_json) as progress:
        found = aggregate(project, system, rows, limit, settings, progress)
    if out is not None:
        write_jsonl(out, [finding.model_dump(mode="json") for finding in found.findings])
        say(f"wrote {out}")
        if found.findings and found.prompt:
            say(f"next: selaras prompt lint {found.prompt} --findings {out}")
            say(f"      selaras prompt improve {found.prompt} --findings {out}")
    if as_json:
        print_json(found.to_dict())
        return
    from selaras.cli.debug_show import show_rows

    show_rows(found)


def source(
    folder: Path, system: str | None, model: str | None, prompt: Path | None,
    row: str | None, text: str | None, versus: Path | None,
) -> Source:  # fmt: skip
    """Return what the options name; raises InputError where they name nothing, or two things."""
    if (row is None) == (text is None):
        raise InputError("name a row or give --input TEXT, one of the two")
    project = case = found = None
    title, template = "no prompt file", PLAIN
    if row is None and system is None and (model or prompt):
        name = model or opening.MODEL
    else:
        project = open_project(folder)
        spec = project.system_spec(system or next(iter(project.file.systems), ""))
        if spec.prompt:
            named = named_prompt(project.root, spec.prompt)
            title, template = named.path.name, named.template
        found = opening.row_of(project, row) if row else None
        case = project.use_case(found.use_case) if found and found.use_case else None
        name = model or spec.model
    if prompt is not None:
        title, template = prompt.name, load_prompt(prompt)
    shown = [(title, template)]
    if versus is not None:
        shown.append((versus.name, load_prompt(versus)))
    if project is not None:
        shown = [(title, with_rows_read(project, each)) for title, each in shown]
    prompts = tuple(
        (title, opening.render_prompt(each, row=found, text=text, use_case=case))
        for title, each in shown
    )
    return Source(name, place(folder), prompts)


def place(folder: Path) -> Place:
    """Return the project's place, or one for models without a project."""
    project = _project(folder)
    if project is not None:
        return place_of(project)
    root = folder.resolve()
    return Place(root, root / "runs", cache_folder() / "debug")


def _project(folder: Path) -> Project | None:
    try:
        return open_project(folder)
    except InputError:
        return None


def labels_of(label: str | None, labels: str | None) -> tuple[str, ...]:
    """Return the labels that a label is told from."""
    found = tuple(part.strip() for part in (labels or "").split(",") if part.strip())
    if label is not None and len({*found, label}) < 2:
        raise InputError("a label needs others to be told from", field="labels",
                         fix="give --labels safe,unsafe")  # fmt: skip
    return found
