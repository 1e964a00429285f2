"""A template as it is shown to people: rendered for a row, through a model where it is local."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from selaras.core.errors import InputError
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project, UseCase
from selaras.core.records import Query, Role
from selaras.data import open_development
from selaras.data.development import row_vectors, text_vectors
from selaras.models.names import Place, place_of
from selaras.prompt.examples import choose_examples
from selaras.prompt.gates import rough_tokens
from selaras.template import (
    PromptTemplate,
    load_prompt,
    read_examples,
    render,
    save_prompt,
    with_examples,
    written_input,
)
from selaras.template.prompt import INPUT, QUERY

LOCAL = ("bundled", "hf", "gguf")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a rendered prompt and its tokens."""

    origin: str
    role: Role | None
    name: str | None
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class ToldRow:
    """A row as the model reads it. `counted_by` is the tokenizer, None where tokens are guessed."""

    stretches: tuple[Stretch, ...]
    counted_by: str | None
    notes: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """All tokens of the prompt."""
        return sum(stretch.tokens for stretch in self.stretches)


def told_row(
    template: PromptTemplate,
    project: Project | None,
    row: str | None = None,
    values: Mapping[str, str] | None = None,
    model: str | None = None,
    progress: Progress = SILENT,
) -> ToldRow:
    """Return a development row, or a row made of values, as the model reads it.

    Without either, the variables stand for themselves. Raises InputError for a row that is not
    among the development rows, a variable without a value, a value without a place.
    """
    shown = _row(template, project, row, values or {}, progress)
    plain = UseCase(id="plain", title="plain")
    case = project.use_case(shown.use_case) if project and shown.use_case else plain
    if template.unfilled:
        if project is None:
            raise InputError("the few-shot examples are rows of a project", fix="name it with -C")
        rows = open_development(project, progress).rows
        template = read_examples(template, rows, lambda each: written_input(each, case))
    rendered = render(template, shown, case)
    name = model or template.front.model or ""
    if name.partition(":")[0] not in LOCAL:
        stretches = tuple(
            Stretch(s.origin, s.role, s.name, rendered.text(s), rough_tokens(rendered.text(s)))
            for s in rendered.segments
        )
        note = "tokens are guessed from the length: name a local model to count them (--model)"
        return ToldRow(stretches, None, (note,))
    from selaras.models.local_told import open_chat, told_prompt

    place = (
        place_of(project, progress) if project else Place(Path(), Path("runs"), Path(".selaras"))
    )
    chat = open_chat(name, place)
    told = told_prompt(chat, rendered)
    notes = []
    if told.folded:
        notes.append("this model has no system role: the system text begins the first user message")
    if told.hidden:
        notes.append(f"the chat template adds a system prompt of its own: {told.hidden!r}")
    has_chat = bool(getattr(chat.tokenizer, "chat_template", None))
    if template.front.selaras.form == "raw" and has_chat:
        notes.append("a raw prefix on a model with a chat template: it is sent as a user's message")
    if template.front.selaras.form == "chat" and not has_chat:
        notes.append("this model has no chat template: messages are joined line by line")
    parts = tuple(Stretch(p.origin, p.role, p.name, p.text, p.tokens) for p in told.parts)
    return ToldRow(parts, name, tuple(notes))


def show_examples(
    project: Project, path: Path, count: int, by: str = "policy", like: str | None = None,
    progress: Progress = SILENT,
) -> list[Query]:  # fmt: skip
    """Choose development rows as a template's few-shot examples, write them there, return them."""
    template = load_prompt(path)
    development = open_development(project, progress)
    vectors = target = None
    if by != "policy":
        vectors = row_vectors(project, development.rows, progress)
    if by == "similarity":
        if not like:
            raise InputError("similar to what?", fix="give a text: --like TEXT")
        target = text_vectors(project, [like], progress)[0]
    rows = choose_examples(
        development, count, by=by, policies=template.front.selaras.policies, vectors=vectors,
        target=target, seed=project.file.seed,
    )  # fmt: skip
    save_prompt(path, with_examples(template, rows))
    return rows


def _row(
    template: PromptTemplate,
    project: Project | None,
    row: str | None,
    values: Mapping[str, str],
    progress: Progress,
) -> Query:
    if row is not None and project is not None:
        for each in open_development(project, progress).rows:
            if each.id == row:
                return each
        raise InputError(f"no development row {row!r}", fix="selaras data list shows them")
    places = template.variables - {INPUT, QUERY}
    unknown = sorted(set(values) - places - {INPUT, QUERY})
    if unknown:
        known = ", ".join(sorted(template.variables))
        raise InputError(f"the template has no variable {unknown[0]!r}", fix=f"it has: {known}")
    given = {name: f"{{{{{name}}}}}" for name in places - set(template.front.input.default)}
    given |= {name: text for name, text in values.items() if name in places}
    said = values.get(QUERY) or values.get(INPUT) or "{{query}}"
    return Query(id="shown", query=said, context=given)
