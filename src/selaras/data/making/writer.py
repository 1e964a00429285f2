"""Calls to the writing model: journalled one by one, counted against a budget, read as JSON.

A reply that cannot be read is asked for once more and then recorded with its reason; a model that
declines to write is recorded at once and never pressed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from selaras.core.errors import SelarasError, one_line
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Conversation, Message
from selaras.core.system import Sampling
from selaras.judge.question import json_objects
from selaras.judge.refusal import refusal_rules
from selaras.models.protocol import Generation, Model, Structured

DECLINED = "the model declined to write"
UNREAD = "the reply is no such JSON object"


class CallsSpentError(SelarasError):
    """Raised when the next call would pass the budget; what was written is in the journal."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the text, or its JSON fields, or the reason why there is neither."""

    text: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None


@dataclass(slots=True)
class Writer:
    """A model that writes, with the journal of what it has written and what it may still spend."""

    model: Model
    journal: Journal
    sampling: Sampling
    max_calls: int | None = None
    progress: Progress = SILENT
    calls: int = field(default=0, init=False)
    prompt_tokens: int = field(default=0, init=False)
    tokens: int = field(default=0, init=False)
    malformed: int = field(default=0, init=False)

    def texts(
        self, title: str, asked: Mapping[str, Conversation], sampling: Sampling | None = None
    ) -> dict[str, Reply]:
        """Return the reply to each request by its key; raises CallsSpentError at the budget."""
        found = self._generated(title, asked, None, sampling)
        return {key: self._plain(found[key]) for key in asked}

    def objects(
        self, title: str, asked: Mapping[str, Conversation], schema: Mapping[str, Any]
    ) -> dict[str, Reply]:
        """Return the JSON object of each reply by its key, asked for once more where unreadable."""
        found = self._generated(title, asked, schema)
        replies = {key: read_object(found[key], schema) for key in asked}
        again = {
            f"{key}/again": _again(asked[key], found[key].text)
            for key, reply in replies.items()
            if reply.failure == UNREAD
        }
        self.malformed += len(again)
        second = self._generated(f"{title}, once more", again, schema)
        for key, generation in second.items():
            replies[key.removesuffix("/again")] = read_object(generation, schema)
        return replies

    def _generated(
        self,
        title: str,
        asked: Mapping[str, Conversation],
        schema: Mapping[str, Any] | None,
        sampling: Sampling | None = None,
    ) -> dict[str, Generation]:
        found = {key: Generation(0, **hit) for key in asked if (hit := self.journal.get(key))}
        left = [key for key in asked if key not in found]
        room = len(left) if self.max_calls is None else self.max_calls - self.calls
        if left:
            with self.progress.task(title, len(asked)) as task:
                task.advance(len(found))
                drawn = sampling or self.sampling
                chosen = {key: asked[key] for key in left[: max(0, room)]}
                for key, generation in self._asked(chosen, schema, drawn):
                    found[key] = generation
                    task.advance()
        if room < len(left):
            self.journal.sync()
            raise CallsSpentError(
                f"the budget of {self.max_calls} calls is spent and {len(left) - room} more are to "
                "be made: go on with --resume and a new --max-calls"
            )
        return found

    def _asked(
        self,
        asked: Mapping[str, Conversation],
        schema: Mapping[str, Any] | None,
        sampling: Sampling,
    ) -> Iterator[tuple[str, Generation]]:
        keys = list(asked)
        conversations = list(asked.values())
        if schema is not None and isinstance(self.model, Structured):
            made = self.model.generate_json(conversations, sampling, schema)
        else:
            made = self.model.generate(conversations, sampling)
        for generation in made:
            self.calls += 1
            self.prompt_tokens += generation.prompt_tokens
            self.tokens += generation.tokens
            key = keys[generation.index]
            if generation.status == "ok":
                # A failed call is no answer: it is made again when the run goes on.
                self.journal.add(key, {"text": generation.text, "finish": generation.finish})
            yield key, generation

    def _plain(self, generation: Generation) -> Reply:
        if failure := _failed(generation):
            return Reply(generation.text, failure=failure)
        return Reply(generation.text.strip())


def read_object(generation: Generation, schema: Mapping[str, Any]) -> Reply:
    """Return the fields of the JSON object in a reply, or why there are none.

    >>> schema = {"required": ["query"], "properties": {"query": {"type": "string"}}}
    >>> read_object(Generation(0, 'Sure! {"query": "Hi"}'), schema).fields
    {'query': 'Hi'}
    >>> read_object(Generation(0, "I'm sorry, I can't help with that."), schema).failure
    'the model declined to write'
    """
    if generation.status != "ok":
        return Reply(failure=one_line(generation.error or "the call failed", 200))
    for value in json_objects(generation.text, strict=False):
        if isinstance(value, dict) and all(
            _fits(value, name, schema) for name in schema["required"]
        ):
            return Reply(generation.text, {name: value[name] for name in schema["required"]})
    refused = refusal_rules.judge("", generation.text).value == "full"
    return Reply(generation.text, failure=DECLINED if refused else UNREAD)


def _fits(value: Mapping[str, Any], name: str, schema: Mapping[str, Any]) -> bool:
    kinds: dict[str, type] = {"string": str, "boolean": bool}
    wanted = schema["properties"][name]
    item = value.get(name)
    if not isinstance(item, kinds[wanted["type"]]):
        return False
    if wanted.get("minLength") and not (isinstance(item, str) and item.strip()):
        return False
    return "enum" not in wanted or item in wanted["enum"]


def _failed(generation: Generation) -> str | None:
    if generation.status != "ok":
        return one_line(generation.error or "the call failed", 200)
    if not generation.text.strip():
        return "the reply is empty"
    return "the reply was cut off" if generation.finish == "length" else None


def _again(asked: Conversation, said: str) -> Conversation:
    wanted = asked[-1].content.rpartition("\n\n")[2]
    return (*asked, Message(role="assistant", content=said[:2000] or "(nothing)"),
            Message(role="user", content=f"That was not it. {wanted}"))  # fmt: skip
