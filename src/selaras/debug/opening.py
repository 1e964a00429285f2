"""From what a user names (a System, a row, a text, a response) to a probe that can be asked.

Rows come from the project's own data files; sealed rows are not among them. The response is the one
that is given, or the model's own; the target is all of it until something is chosen.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project, UseCase
from selaras.core.records import Query
from selaras.core.system import Sampling
from selaras.data.rows import load_rows
from selaras.debug.probe import LocalProbe, identity_of, prepared
from selaras.debug.segments import view_prompt
from selaras.debug.store import AblationStore
from selaras.debug.target import (
    Target,
    select,
    select_first,
    select_text,
    whole_response,
)
from selaras.judge.refusal import RefusalRules
from selaras.models.names import Place, open_model
from selaras.template import PromptTemplate, Rendered, render

MODEL = "bundled:smollm2-135m-instruct"
REFUSAL = "I can't help with that."
REFUSAL_TOKENS = 4
GENERATED = 48


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a response is asked about: texts, spans, first tokens, a refusal, or a label."""

    response: str | None = None
    texts: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    first: int | None = None
    refusal: bool = False
    against: tuple[str, ...] = ()
    label: str | None = None
    labels: tuple[str, ...] = ()


def render_prompt(
    template: PromptTemplate, *, row: Query | None = None, text: str | None = None,
    use_case: UseCase | None = None,
) -> Rendered:  # fmt: skip
    """Return the messages of a row, or of a text that stands for one; InputError for neither."""
    if row is None:
        if text is None or not text.strip():
            raise InputError("nothing to explain", fix="name a row, or give --input TEXT")
        row = Query(id="input", query=text)
    return render(template, row, use_case or UseCase(id="plain", title="plain"))


def row_of(project: Project, name: str) -> Query:
    """Return a development row by its id; raises InputError where there is none."""
    for row in load_rows(project).kept:
        if row.id == name:
            return row
    raise InputError(
        f"no development row {name!r}", fix="see 'selaras data list'; sealed rows stay sealed"
    )


def open_debugged(name: str, place: Place) -> Any:
    """Return a local model ready for debugging; raises InputError where it has no weights here."""
    return prepared(open_model(name, place))


def open_probe(
    model: Any, rendered: Rendered, asked: Asked, cache: Path | None, progress: Progress = SILENT
) -> LocalProbe:
    """Return the probe of a prompt; the model answers where no response is given."""
    store = AblationStore(cache / "ablations.sqlite" if cache else None, identity_of(model))
    view = view_prompt(model.chat, rendered)
    target = choose(model, rendered, asked)
    return LocalProbe(model, view, target, store, progress)


def choose(model: Any, rendered: Rendered, asked: Asked) -> Target:
    """Return the target that was asked for."""
    against = asked.against
    response = asked.response
    if asked.label is not None:
        response = asked.label
        against = tuple(label for label in asked.labels if label != asked.label)
    if response is None:
        response = answer(model, rendered)
        if asked.refusal and RefusalRules().judge("", response).value == "none":
            response = REFUSAL
    target = whole_response(model.chat, response, against)
    if asked.refusal:
        return select_first(target, asked.first or REFUSAL_TOKENS)
    if asked.first is not None:
        target = select_first(target, asked.first)
    elif asked.texts:
        target = select_text(target, asked.texts)
    elif asked.spans:
        target = select(target, asked.spans)
    return target


def same_response(target: Target) -> Asked:
    """Return what asks another prompt for the very target that one prompt was asked for."""
    against = tuple(response.text for response in target.responses[1:])
    return Asked(target.responses[0].text, spans=target.spans, against=against)


def answer(model: Any, rendered: Rendered, most: int = GENERATED) -> str:
    """Return the model's greedy answer; raises InputError where it says nothing."""
    (made,) = model.generate([rendered.messages], Sampling(max_tokens=most))
    if made.error is not None:
        raise InputError(f"the model gave no response to explain ({made.error})",
                         fix="give one with --response")  # fmt: skip
    return str(made.text)
