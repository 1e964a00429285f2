"""Safeguards: a guard over what is asked and answered, where prompt and tuning are not enough.

>>> from selaras.safeguard.rules import Rules, rule
>>> guard = Guard("shop", (Rules((rule("spoilers", "the butler did it"),)),))
>>> guard.check_query("So the b.u.t.l.e.r did it?").allowed
False
"""

from selaras.safeguard.guard import Guard, OnFault, OnUnread, conversation_of
from selaras.safeguard.guarded import GuardedModel, guarded_model
from selaras.safeguard.message import Wording
from selaras.safeguard.outcome import Action, Material, Outcome, Score, Side, Stage

__all__ = [
    "Action",
    "Guard",
    "GuardedModel",
    "Material",
    "OnFault",
    "OnUnread",
    "Outcome",
    "Score",
    "Side",
    "Stage",
    "Wording",
    "conversation_of",
    "guarded_model",
]
