"""A model that answers from a file: for tests, tutorials and dry runs, with no weights and no key.

A JSONL file holds one rule a line. The first rule whose `match` occurs in the last user message
(whatever its case) answers; the rule with `match` null answers where no other does:

    {"match": "kill a process", "response": "Use kill -TERM and the process id."}
    {"match": "weather", "responses": ["Sunny.", "Rain."]}
    {"match": null, "response": "I can't help with that."}

`responses` are cycled by the sampling seed. max_tokens and temperature change nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.files import read_jsonl
from selaras.core.fingerprint import sha256_file
from selaras.core.records import Conversation, Record
from selaras.core.system import Sampling
from selaras.models.answer import failed
from selaras.models.names import Place
from selaras.models.protocol import Generation


class Rule(Record):
    """One line of a script: what it answers to, and with what."""

    match: str | None = Field(default=None, min_length=1)
    response: str | None = None
    responses: tuple[str, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _answers_one_way(self) -> "Rule":
        if (self.response is None) == (self.responses is None):
            raise ValueError("a rule has either a response or responses")
        return self

    def answer(self, seed: int) -> str:
        """Return the response; of several, the one that the seed picks."""
        choices = self.responses or (self.response or "",)
        return choices[seed % len(choices)]


class ScriptedModel:
    """Answers from the rules of a file; raises InputError where the file is not a script."""

    batch_size = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sha256 = sha256_file(path)
        self._rules: list[tuple[str, Rule]] = []
        self._default: Rule | None = None
        for number, value in read_jsonl(path):
            rule = checked(Rule, value, path=path, line=number)
            if rule.match is not None:
                self._rules.append((rule.match.casefold(), rule))
            elif self._default is None:
                self._default = rule
            else:
                raise InputError(
                    "a second default", path=path, line=number, field="match", fix="keep one"
                )
        if not self._rules and self._default is None:
            raise InputError(
                "no rules", path=path, fix='write one a line: {"match": null, "response": "Yes."}'
            )

    @property
    def identity(self) -> dict[str, Any]:
        """The script's name and the sha256 of its bytes."""
        return {"name": f"scripted:{self.path.name}", "sha256": self._sha256}

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        """Yield the answer of the first rule that matches, in the conversations' order."""
        for index, conversation in enumerate(conversations):
            rule = self._rule(conversation)
            if rule is None:
                yield failed(index, "no rule matches")
            else:
                yield Generation(index, rule.answer(sampling.seed), finish="stop")

    def _rule(self, conversation: Conversation) -> Rule | None:
        said = [message.content for message in conversation if message.role == "user"]
        last = said[-1].casefold() if said else ""
        return next((rule for match, rule in self._rules if match in last), self._default)


def open_scripted(argument: str, place: Place | None = None) -> ScriptedModel:
    """Return the model of `scripted:FILE`; a relative path starts at the place's root."""
    if not argument.strip():
        raise InputError("'scripted:' names no file", fix="write scripted:FILE.jsonl")
    path = Path(argument).expanduser()
    return ScriptedModel(place.root / path if place else path)
