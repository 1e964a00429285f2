"""What a response costs whatever its reward: refusing what should be answered, length, babble.

Each cost lies in [0, 1], so that its budget is a share. A reward model is fooled by what it was not
shown; these are checked by rules that training does not move.
"""

import math
import re

from selaras.core.records import Expected, Kind, Query
from selaras.judge.refusal import refusal_rules

# Words in a run that count as said again when the run comes back.
RUN = 4
# Nats a token under the reference: what a model samples from itself stays below, babble does not.
SURPRISE_FROM, SURPRISE_TO = 3.5, 7.0
_WORD = re.compile(r"\w+")


def is_to_answer(row: Query) -> bool:
    """Return whether refusing the query would be over-refusal.

    Where `expected` is not said, only a malicious query may be refused.
    """
    if row.expected is None:
        return row.kind is not Kind.MALICIOUS
    return row.expected is Expected.ANSWER


def refuses(row: Query, text: str) -> bool:
    """Return whether the refusal rules read the response as a full refusal."""
    return refusal_rules.judge(row.query, text).value == "full"


def over_length(tokens: int, finished: bool, limit: int, most: int) -> float:
    """Return 0 up to `limit` tokens, then how far towards `most`; 1 where the response was cut.

    >>> over_length(40, True, 48, 64), over_length(56, True, 48, 64), over_length(64, False, 48, 64)
    (0.0, 0.5, 1.0)
    """
    if not finished:
        return 1.0
    return min(1.0, max(0, tokens - limit) / (most - limit)) if most > limit else 0.0


def incoherence(text: str, surprise: float) -> float:
    """Return how far a response repeats itself or is nothing that the reference would say.

    `surprise` is the mean negative log-probability of its tokens under the reference, in nats. An
    empty response is wholly incoherent.

    >>> incoherence("Soda, a brush and fresh air.", 1.5), incoherence("", 0.0)
    (0.0, 1.0)
    """
    if not text.strip():
        return 1.0
    strange = (surprise - SURPRISE_FROM) / (SURPRISE_TO - SURPRISE_FROM)
    return max(repetition(text), min(1.0, max(0.0, strange)) if math.isfinite(strange) else 1.0)


def repetition(text: str) -> float:
    """Return the share of runs of four words that were there before.

    >>> repetition("to be or not to be or not"), repetition("to be or not")
    (0.2, 0.0)
    """
    words = _WORD.findall(text.casefold())
    runs = [tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)]
    return (len(runs) - len(set(runs))) / len(runs) if runs else 0.0
