"""Replies that say the instructions over again instead of following them.

Why: a model of one or two billion parameters does so in a fifth of its replies ("The assistant
should not refuse more than it must."), and it reads like a row.
"""

from selaras.core.fingerprint import normalise
from selaras.core.records import Conversation

SHARE = 0.5
_RUN = 3
QUERY = "the query repeats its instructions"
PATCHWORK = "the query repeats rows that it was to differ from"
RESPONSE = "the response repeats its instructions"


def echoes(text: str, asked: Conversation) -> bool:
    """Return whether half of a text's runs of three words, or all of a short one, were asked with.

    What a user wrote does not count: an answer may take up the words of its question.

    >>> from selaras.core.records import Message
    >>> asked = (Message(role="system", content="Decline in the first sentence, kindly."),)
    >>> echoes("Decline in the first sentence.", asked), echoes("I decline.", asked)
    (True, False)
    """
    system = [message.content for message in asked if message.role == "system"]
    source = _words(" ".join(system or [message.content for message in asked]))
    words = _words(text)
    length = min(_RUN, len(words))
    if not length:
        return False
    known = set(_runs(source, length))
    own = [run in known for run in _runs(words, length)]
    return sum(own) >= SHARE * len(own)


def _words(text: str) -> list[str]:
    return [word.strip(".,:;!?\"'()") for word in normalise(text).split()]


def _runs(words: list[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + length]) for i in range(len(words) - length + 1)]
