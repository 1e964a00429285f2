"""Rows to token ids and labels: the loss covers the response and the token that ends it, only.

Nothing but ids and labels leaves this module, so that no metadata can reach the model.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from selaras.core.records import Conversation, Example, Expected, Query
from selaras.models.local_chat import ChatTokenizer

IGNORED = -100
NAMED = 5


@dataclass(frozen=True, slots=True)
class Encoded:
    """Training rows as ids and labels of equal length; `too_long` are the rows left out.

    `kept` says of each row whether the model should go on answering it as it does; none said so
    where it is empty.
    """

    input_ids: tuple[tuple[int, ...], ...]
    labels: tuple[tuple[int, ...], ...]
    too_long: tuple[str, ...]
    kept: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def tokens(self) -> int:
        """Tokens in one epoch."""
        return sum(len(ids) for ids in self.input_ids)


def encode(
    rows: Iterable[Example],
    render: Callable[[Query], Conversation],
    chat: ChatTokenizer,
    max_tokens: int,
    cut: Collection[str] = (),
    begun: Mapping[str, str] = MappingProxyType({}),
) -> Encoded:
    """Return the rows encoded; one longer than `max_tokens` is left out and named, never cut.

    `cut` names the rows whose response was cut already: they do not teach to stop there. `begun`
    holds, by row, what stands before the response in the model's turn and is not taught; the space
    between them is taught, since tokens of words begin with it.
    """
    ids: list[tuple[int, ...]] = []
    labels: list[tuple[int, ...]] = []
    too_long: list[str] = []
    kept: list[bool] = []
    for row in rows:
        prompt = [*chat.prompt_ids(render(row)), *chat.text_ids(begun.get(row.id, ""))]
        response = f" {row.response.lstrip()}" if row.id in begun else row.response
        reply = chat.text_ids(response) if row.id in cut else chat.reply_ids(response)
        if len(prompt) + len(reply) > max_tokens:
            too_long.append(row.id)
            continue
        ids.append((*prompt, *reply))
        labels.append((*[IGNORED] * len(prompt), *reply))
        kept.append(row.expected not in {Expected.REFUSE, Expected.SAFE_COMPLETION})
    return Encoded(tuple(ids), tuple(labels), tuple(too_long), tuple(kept))


def some(names: Sequence[str]) -> str:
    """Return the first few names of rows that were left out.

    >>> some(["a", "b"]), some("abcdefg")
    ('a, b', 'a, b, c, d, e, …')
    """
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
