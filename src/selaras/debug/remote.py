"""Models that are only an endpoint: their own log-probabilities, or a local model as a proxy.

An OpenAI-compatible chat endpoint tells log-probabilities of what it generates, not of a given
text. So a remote model is asked with segments deleted from the messages, one call an ablation, for
the likeliest first tokens (`first_tokens`): the target is the response's first token, the value its
log-probability (the smallest that was told, where it is not among them: a bound, and said so).
Where no log-probabilities are offered, a local `proxy` is explained instead, named as such, with
the agreement that was measured: how often both give the same first words. Else it cannot be done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from selaras.core.errors import InputError
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Conversation, Message
from selaras.core.system import Sampling
from selaras.debug.opening import Asked, open_probe
from selaras.debug.probe import Cost, Rows, prepared
from selaras.debug.segments import PromptView, Segment
from selaras.debug.target import Array, Target
from selaras.models.local_chat import Tokens
from selaras.models.names import Place, open_model
from selaras.models.protocol import FirstTokens, Model
from selaras.template import Rendered

SCHEMES_HERE = ("bundled:", "hf:", "gguf:", "run:")
AGREED_WORDS = 3
CANNOT = (
    "this model gives no log-probabilities, so what a segment does to its response cannot be "
    "measured"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that can be explained; `note` says what stands between it and the one asked for."""

    name: str
    model: Any
    remote: Model | None = None
    note: str | None = None

    def probe(
        self, rendered: Rendered, asked: Asked, cache: Path | None, progress: Progress = SILENT
    ) -> Any:
        """Return the probe of a prompt."""
        if self.remote is not None:
            return remote_probe(self.remote, rendered, asked, progress)
        return open_probe(self.model, rendered, asked, cache, progress)


def open_any(name: str, place: Place, proxy: str | None = None) -> Opened:
    """Return the model ready to be explained, by a proxy where one is named.

    Raises InputError for a model that gives no log-probabilities, without a proxy.
    """
    if name.startswith(SCHEMES_HERE):
        model = prepared(open_model(name, place))
        return Opened(str(model.identity["name"]), model)
    remote = open_model(name, place)
    if proxy is not None:
        local = prepared(open_model(proxy, place))
        agreed, asked = agreement(remote, local)
        label = str(local.identity["name"])
        return Opened(label, local, note=(
            f"{label} is a proxy for {name}: the first {AGREED_WORDS} words of both agree on "
            f"{agreed} of {asked} short questions; what it needs is not what {name} needs"
        ))  # fmt: skip
    if not isinstance(remote, FirstTokens):
        raise InputError(f"{name}: {CANNOT}", fix="name a local --proxy")
    return Opened(name, None, remote, "only the first token of the response is explained: the "
                  "endpoint tells no log-probabilities of a given text")  # fmt: skip


def agreement(remote: Model, local: Model) -> tuple[int, int]:
    """Return (prompts whose first words are the same, prompts) over the planted prompts."""
    from selaras.debug.planted import planted_prompts

    talks = [planted.rendered().messages for planted in planted_prompts()]
    said = [
        {made.index: made.text for made in model.generate(talks, Sampling(max_tokens=8))}
        for model in (remote, local)
    ]
    same = sum(_words(said[0].get(i, "")) == _words(said[1].get(i, "-")) for i in range(len(talks)))
    return same, len(talks)


def _words(text: str) -> list[str]:
    return text.lower().split()[:AGREED_WORDS]


@dataclass(slots=True)
class RemoteProbe:
    """A prompt under an endpoint: ablations by deleting text, one call each."""

    remote: Any
    rendered: Rendered
    view: PromptView
    target: Target
    progress: Progress = SILENT
    cost: Cost = field(default_factory=Cost)
    _known: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)

    def ask(self, segments: Sequence[Segment], rows: Rows) -> list[Array]:
        """Return log p of the first token, (rows, 1)."""
        talks = [self._without(segments, row) for row in np.atleast_2d(rows)]
        keys = [tuple((m.role, m.content) for m in talk) for talk in talks]
        missing = {key: talk for key, talk in zip(keys, talks, strict=True)
                   if key not in self._known}  # fmt: skip
        order = list(missing)
        if order:
            with self.progress.task("ablations by calls", len(order)) as task:
                for made in self.remote.first_tokens([missing[key] for key in order]):
                    if made.error is not None or not made.first:
                        raise InputError(f"{CANNOT} ({made.error or 'none were in its answer'})",
                                         fix="name a local --proxy")  # fmt: skip
                    self._known[order[made.index]] = self._value(made.first)
                    self.cost.forwards += 1
                    task.advance()
        return [np.array([[self._known[key]] for key in keys])]

    def _value(self, first: Sequence[tuple[str, float]]) -> float:
        told = dict(first)
        wanted = self.target.responses[0].text
        if wanted in told:
            return told[wanted]
        self.cost.bounded += 1
        return min(told.values())

    def _without(self, segments: Sequence[Segment], row: Sequence[bool]) -> Conversation:
        gone = [s for s, kept in zip(segments, row, strict=True) if not kept]
        talk = []
        for stretch_start, message in self._places():
            text = message.content
            for s in sorted(gone, key=lambda s: -s.start):
                if stretch_start <= s.start < stretch_start + len(message.content):
                    text = text[: s.start - stretch_start] + text[s.end - stretch_start :]
            talk.append(Message(role=message.role, content=text))
        # A message that lost all of its text is left out, as a template would not show it.
        kept = tuple(message for message in talk if message.content.strip())
        return kept or (Message(role="user", content=" "),)

    def _places(self) -> list[tuple[int, Message]]:
        found, at = [], 0
        for message in self.rendered.messages:
            found.append((at, message))
            at += len(message.content) + 1
        return found


def remote_probe(
    remote: Any, rendered: Rendered, asked: Asked, progress: Progress = SILENT
) -> RemoteProbe:
    """Return the probe of a prompt under an endpoint; the target is the response's first token."""
    (made,) = remote.first_tokens([rendered.messages])
    if made.error is not None or not made.first:
        raise InputError(f"{CANNOT} ({made.error or 'none were in its answer'})",
                         fix="name a local --proxy")  # fmt: skip
    likeliest = made.first[0][0]
    wanted = asked.response
    token = likeliest if wanted is None else max(
        (text for text, _ in made.first if text and wanted.startswith(text)), key=len, default="",
    )  # fmt: skip
    if not token:
        known = ", ".join(repr(text) for text, _ in made.first[:8])
        raise InputError(
            "the response does not begin with any of the first tokens that the endpoint tells",
            field="response", fix=f"begin it with one of: {known}",
        )  # fmt: skip
    if asked.against or asked.label is not None:
        raise InputError("an endpoint tells no contrast", fix="name a local --proxy")
    response = Tokens(token, (0,), ((0, len(token)),))
    target = Target((response,), (0,), ((0, len(token)),))
    return RemoteProbe(remote, rendered, text_view(rendered), target, progress)


def text_view(rendered: Rendered) -> PromptView:
    """Return the messages as a view; words stand for tokens, as the endpoint's are not known."""
    text, stretches = "", []
    for number, message in enumerate(rendered.messages):
        stretches += [
            Segment(s.role, "model" if s.role == "assistant" and s.origin == "user" else s.origin,
                    len(text) + s.start, len(text) + s.end, (), True, number, s.name)
            for s in rendered.segments if s.message == number and s.start < s.end
        ]  # fmt: skip
        text += message.content + "\n"
        end = len(text)
        stretches.append(Segment("template", "template", end - 1, end, ablatable=False))
    from selaras.debug.cuts import words
    from selaras.debug.segments import with_tokens

    starts = sorted({*words(text), *(s.start for s in stretches)})
    spans = tuple(zip(starts, [*starts[1:], len(text)], strict=True))
    tokens = Tokens(text, tuple(range(len(spans))), spans)
    return PromptView(tokens, tuple(with_tokens(tokens, stretches)))
