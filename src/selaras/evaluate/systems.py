"""Systems with their parts in hand: what they are is known before a model is opened."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.late import resolve
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project, UseCase
from selaras.core.records import Conversation, Query
from selaras.core.system import Sampling, System, SystemSpec
from selaras.data import open_development
from selaras.evaluate.guarding import Guarding
from selaras.models.identities import lazily
from selaras.models.names import place_of
from selaras.models.protocol import Model
from selaras.template import (
    PLAIN,
    PromptTemplate,
    next_example,
    read_examples,
    render,
    written_input,
)
from selaras.template.versions import named_prompt

# Opens the guard that a System names: `(Project, file) -> Guarding`; the stage to the left of this
# one, so it is known by name only.
GUARD = "selaras.safeguard.spec:open_guard"


@dataclass(frozen=True, slots=True)
class Opened:
    """A System with its parts in hand; the model is opened when it is first asked for.

    `guard` stands before and behind the model; it opens what it needs at its first check.
    `examples` are the rows that its prompt shows: measuring on them measures memory. `until` is
    where an answer ends (see `Job`).
    """

    system: System
    opening: Callable[[], Model]
    render: Callable[[Query], Conversation]
    run: str | None = None
    prompt: str | None = None
    guard: Guarding | None = None
    guard_file: str | None = None
    examples: tuple[str, ...] = ()
    until: str | None = None

    @property
    def model(self) -> Model:
        """The model itself; opening a local one takes seconds."""
        return self.opening()


def open_system(
    project: Project, name: str, spec: SystemSpec, progress: Progress = SILENT
) -> Opened:
    """Return a System ready to answer rows; raises InputError where a part is missing."""
    guard: Guarding | None = resolve(GUARD)(project, spec.guard) if spec.guard else None
    named = named_prompt(project.root, spec.prompt) if spec.prompt else None
    template = with_rows_read(project, named.template, progress) if named else PLAIN
    if template.front.model not in {None, spec.model}:
        progress.say(f"{name}: the prompt was written for {template.front.model}, "
                     f"and runs on {spec.model} here")  # fmt: skip
    cases = {case.id: case.input for case in project.file.use_cases}
    identity, opening = lazily(spec.model, place_of(project, progress))
    system = System(
        name=name,
        model=identity,
        template=fingerprint([template.fingerprint, cases]),
        guard=guard.fingerprint if guard else None,
        sampling=sampling_of(spec, template),
    )
    scheme, _, argument = spec.model.partition(":")
    run = argument.partition("@")[0].partition("/")[0] if scheme == "run" else None
    prompt = str(named.path.relative_to(project.root)) if named else None
    render = renderer(project, template)
    examples = template.front.selaras.examples.rows
    until = next_example(template)
    return Opened(system, opening, render, run, prompt, guard, spec.guard, examples, until)


def sampling_of(spec: SystemSpec, template: PromptTemplate) -> Sampling:
    """Return the sampling of a System: its own fields, else the template's `config`.

    >>> from selaras.template import parse_prompt
    >>> template = parse_prompt("---\\nconfig: {max_tokens: 7, temperature: 1}\\n---\\n{{input}}")
    >>> spec = SystemSpec(model="scripted:x", sampling=Sampling(temperature=0.5))
    >>> sampled = sampling_of(spec, template)
    >>> sampled.max_tokens, sampled.temperature
    (7, 0.5)
    """
    config = template.front.config or Sampling()
    own = {name: getattr(spec.sampling, name) for name in spec.sampling.model_fields_set}
    return config.model_copy(update=own)


def with_rows_read(
    project: Project, template: PromptTemplate, progress: Progress = SILENT
) -> PromptTemplate:
    """Return the template with the few-shot examples that it names read from development rows."""
    if not template.unfilled:
        return template
    rows = open_development(project, progress).rows
    return read_examples(template, rows, lambda row: written_input(row, _use_case(project, row)))


def named_systems(project: Project, names: Sequence[str]) -> dict[str, SystemSpec]:
    """Return the Systems of those names; a model string is a System without a prompt."""
    first = next(iter(project.file.systems.values()), None)
    found = {}
    for name in names:
        if name in project.file.systems or ":" not in name:
            found[name] = project.system_spec(name)
        else:
            sampling = first.sampling if first else Sampling()
            spec = SystemSpec(model=name, sampling=sampling)
            if found.setdefault(_safe(name), spec) != spec:
                raise InputError(
                    f"{name!r} and another System would both be called {_safe(name)!r}",
                    fix=f"name it in {FILE}",
                )
    return found


def renderer(project: Project, template: PromptTemplate) -> Callable[[Query], Conversation]:
    """Return the function that turns a row into messages under its use case."""

    def rendered(row: Query) -> Conversation:
        return render(template, row, _use_case(project, row)).messages

    return rendered


def _use_case(project: Project, row: Query) -> UseCase:
    return project.use_case(row.use_case) if row.use_case else UseCase(id="plain", title="plain")


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:100] or "system"
