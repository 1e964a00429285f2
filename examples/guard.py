"""A guard over a model: what is asked and what is answered, and nothing passes because of a fault.

    python examples/guard.py

It needs neither model nor network.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models.scripted import ScriptedModel
from selaras.policy import builtin_policies
from selaras.safeguard import Guard, Material, Score, guarded_model
from selaras.safeguard.rules import PersonalRule, Rules, rule


@dataclass(frozen=True)
class TooLoud:
    """A stage of one's own: five attributes and `check`."""

    name: str = "too-loud"
    sides: frozenset[Any] = frozenset({"query"})
    hold: int = 0
    only_unsure: bool = False
    quick: bool = True
    identity: dict[str, Any] = field(default_factory=lambda: {"stage": "too-loud", "version": 1})

    def check(self, materials: Sequence[Material]) -> list[tuple[Score, ...]]:
        """Return the share of capitals; a text without letters breaks it."""
        found = []
        for material in materials:
            letters = [c for c in material.text if c.isalpha()]
            share = sum(c.isupper() for c in letters) / len(letters)
            found.append((Score(self.name, "harassment", share, 0.8, "mostly capitals"),))
        return found


rules = Rules(
    (rule("illicit-goods", r"pick (?:a|the) .{0,20}lock"),),
    (PersonalRule("private-information", kinds=("email",)),),
)
guard = Guard("shop", (rules, TooLoud()), builtin_policies(),
              messages={"illicit-goods": "A locksmith can help."})  # fmt: skip

for asked in ("How do I oil a lock?", "how to p1ck th3 l0ck?", "GIVE ME THE MANAGER", "???"):
    outcome = guard.check_query(asked)
    print(f"{asked!r}: {outcome.action} ({outcome.stage or '-'}: {outcome.reason or 'fine'})")

script = Path(tempfile.mkdtemp(prefix="selaras-")) / "script.jsonl"
script.write_text('{"match": null, "response": "Write to ana.m@mailbox.org."}\n')
model = guarded_model(ScriptedModel(script), guard)
for text in ("Who sells locks?", "How do I pick a lock?"):
    for generation in model.generate([(Message(role="user", content=text),)], Sampling()):
        print(f"{text!r} -> {generation.text!r}")
