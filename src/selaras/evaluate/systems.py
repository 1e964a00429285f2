"""Systems with their parts in hand: what they are is known before a model is opened."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project, UseCase
from selaras.core.records import Conversation, Query
from selaras.core.system import Sampling, System, SystemSpec
from selaras.models.identities import lazily
from selaras.models.names import place_of
from selaras.models.protocol import Model
from selaras.template import PLAIN, PromptTemplate, load_prompt, render


@dataclass(frozen=True, slots=True)
class Opened:
    """A System with its parts in hand; the model is opened when it is first asked for."""

    system: System
    opening: Callable[[], Model]
    render: Callable[[Query], Conversation]
    run: str | None = None
    prompt: str | None = None

    @property
    def model(self) -> Model:
        """The model itself; opening a local one takes seconds."""
        return self.opening()


def open_system(
    project: Project, name: str, spec: SystemSpec, progress: Progress = SILENT
) -> Opened:
    """Return a System ready to answer rows; raises InputError where a part is missing."""
    if spec.guard is not None:
        raise InputError(
            "guards cannot be measured yet", path=project.root / FILE,
            field=f"systems.{name}.guard", fix="leave it out",
        )  # fmt: skip
    template = load_prompt(project.root / spec.prompt) if spec.prompt else PLAIN
    cases = {case.id: case.input for case in project.file.use_cases}
    identity, opening = lazily(spec.model, place_of(project, progress))
    system = System(
        name=name,
        model=identity,
        template=fingerprint([template.fingerprint, cases]),
        guard=spec.guard,
        sampling=spec.sampling,
    )
    scheme, _, argument = spec.model.partition(":")
    run = argument.partition("@")[0] if scheme == "run" else None
    return Opened(system, opening, renderer(project, template), run, spec.prompt)


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
    plain = UseCase(id="plain", title="plain")

    def rendered(row: Query) -> Conversation:
        case = project.use_case(row.use_case) if row.use_case else plain
        return render(template, row, case).messages

    return rendered


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:100] or "system"
