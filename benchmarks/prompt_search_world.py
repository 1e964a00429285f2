"""A scripted model whose best edits are known: for benchmarks and tests, with no weights.

Every query needs one of a few skills, and is answered rightly where the instructions name that
skill; one wording in five makes the model refuse what it should answer. As an editor the same model
looks at the cases that it is shown and names their skill, but not always: it says prose, cuts its
JSON off, names a principle that is not there, copies an order out of a row, or proposes a rule that
harms. Which of these it does follows from what it is asked, so that every run is the same.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from selaras.core.fingerprint import seed_from
from selaras.core.records import Conversation, Example, Query
from selaras.core.system import Sampling
from selaras.models.protocol import Generation

SKILLS = ("metric", "allergy", "budget", "season", "noise", "pet")
RULE = "When the topic is {skill}, use the {skill} table."
HARM = "Decline whenever you are in doubt."
SEED = """---
name: world
---
{{role "system"}}
You answer questions about the house in one word.
{{! principles }}
{{! /principles }}
{{role "user"}}
{{input}}
"""
_TOPIC = re.compile(r"topic: (\w+)")
_FENCE = re.compile(r"```\n(.*?)```", re.DOTALL)


def world_rows(count: int, seed: int = 0, hard: float = 0.7) -> list[Query]:
    """Return rows of all skills in turn; a share of them needs no rule at all."""
    rows: list[Query] = []
    for number in range(count):
        chance = seed_from("world", seed, number) / 2**32
        skill = SKILLS[number % len(SKILLS)] if chance < hard else "plain"
        number_word = f"{seed_from('word', seed, number):x}"
        rows.append(
            Example(
                id=f"w{seed}-{number:03d}",
                query=f"Question {number_word}, topic: {skill}?",
                response="yes",
                expected="answer",
            )
        )
    return rows


class WorldModel:
    """Answers and edits as the module says; `asked` counts its calls."""

    batch_size = 1
    identity: ClassVar[dict[str, str]] = {"name": "scripted-world"}

    def __init__(self, dies_at: int | None = None, edits: float = 0.6) -> None:
        self.asked, self.dies_at, self.edits = 0, dies_at, edits

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        """Yield an answer or an edit for each conversation."""
        for index, talk in enumerate(conversations):
            if self.dies_at is not None and self.asked >= self.dies_at:
                raise KeyboardInterrupt
            self.asked += 1
            text = self._said(talk, sampling)
            yield Generation(index, text, "ok", "stop", sum(len(m.content) for m in talk) // 4, 4)

    def _said(self, talk: Conversation, sampling: Sampling) -> str:
        said = talk[-1].content if len(talk) < 3 else talk[0].content
        if "JSON object" in said or "```" in said:
            return self._edit(said, repaired=len(talk) > 1)
        system = "".join(m.content for m in talk if m.role == "system")
        topic = _TOPIC.search(said)
        needed = topic.group(1) if topic else "plain"
        noisy = seed_from("noise", said, sampling.seed) % 50 == 0
        if HARM in system and seed_from("harm", said) % 3 == 0:
            return "I can't help with that."
        knows = needed == "plain" or f"the topic is {needed}," in system
        return "yes" if knows != noisy else "no"

    def _edit(self, said: str, repaired: bool) -> str:
        """Return a reply to whoever asks for an edit, by what the request happens to be."""
        topics = [t for t in _TOPIC.findall(said) if t in SKILLS]
        good = RULE.format(skill=topics[-1]) if topics else "Answer in one word."
        chance = seed_from("edit", said, repaired) / 2**32
        rule = good if chance < self.edits else HARM
        if '"op"' in said:
            if chance > 0.95:
                return "I would add a rule about the topic."
            if chance > 0.9:
                return '{"op": "edit", "principle_id": "p99", "text": "' + rule
            if chance > 0.85:
                return json.dumps(
                    {"op": "edit", "principle_id": "0", "text": rule, "reason": "it helps"}
                )
            return json.dumps(
                {"op": "add", "principle_id": None, "text": rule, "reason": "it helps"}
            )
        now = self._now(said)
        if '"text"' in said:
            return json.dumps({"reason": "it helps", "text": f"{now}\n{rule}"})
        return f"```\n{now}\n{rule}\n```"

    @staticmethod
    def _now(said: str) -> str:
        if found := _FENCE.search(said):
            return found.group(1).strip()
        _, _, rest = said.partition("THE INSTRUCTIONS NOW\n")
        return rest.split("\n\n")[0].strip()


def opened_world(model: Any) -> Any:
    """Return the world as an opened System."""
    from selaras.core.system import System
    from selaras.evaluate import Opened
    from selaras.template import render

    system = System(name="world", model=model.identity, sampling=Sampling(max_tokens=4))
    return Opened(system, lambda: model, lambda row: render_row(render, row))


def render_row(render: Any, row: Query) -> Any:
    """Return a row's messages under no template but the plain one."""
    from selaras.core.project import UseCase
    from selaras.template import PLAIN

    return render(PLAIN, row, UseCase(id="plain", title="plain")).messages
