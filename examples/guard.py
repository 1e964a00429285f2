"""A guard over a model: what is asked and what is answered, and nothing passes because of a fault.

    python examples/guard.py

It needs neither model nor network. A stage of one's own has five attributes and `check`.
"""

from dataclasses import dataclass
from types import MappingProxyType

from selaras.policy import builtin_policies
from selaras.safeguard import Guard, Score, Wording
from selaras.safeguard.rules import PersonalRule, Rules, rule


@dataclass(frozen=True)
class TooLoud:
    name, sides, identity = "too-loud", frozenset({"query"}), MappingProxyType({"version": 1})
    hold, only_unsure, quick = 0, False, True

    def check(self, materials):
        letters = [[c for c in material.text if c.isalpha()] for material in materials]
        loud = [sum(c.isupper() for c in each) / len(each) for each in letters]  # fails for "???"
        return [(Score(self.name, "harassment", v, 0.8, "mostly capitals"),) for v in loud]


rules = Rules(
    (rule("illicit-goods", r"pick (?:a|the) .{0,20}lock"),),
    (PersonalRule("private-information", kinds=("email",)),),
)
messages = {"illicit-goods": "A locksmith can help."}
guard = Guard("shop", (rules, TooLoud()), builtin_policies(), Wording(messages=messages))

for asked in ("How do I oil a lock?", "how to p1ck th3 l0ck?", "GIVE ME THE MANAGER", "???"):
    outcome = guard.check_query(asked)
    print(f"{asked!r}: {outcome.action} ({outcome.stage or '-'}: {outcome.message or 'fine'})")
answered = guard.check_response("Who sells locks?", "Write to ana.m@mailbox.org.")
print(answered.action, answered.policy, "->", answered.message)
