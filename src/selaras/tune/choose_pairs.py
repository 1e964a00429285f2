"""Which pairs are trained on and which are kept aside, and as which token ids."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from selaras.core.decisions import Removal
from selaras.core.errors import InputError
from selaras.core.records import Conversation, Preference, Query
from selaras.data import Development
from selaras.data.formats.format import pair
from selaras.data.pairs import HELPFUL, SAFE, direction, usable_pairs
from selaras.data.split import split_groups
from selaras.models.local_chat import ChatTokenizer
from selaras.tune.encode import some

Ids = tuple[int, ...]


class TooFewPairsError(InputError):
    """The usable pairs cannot be divided into some to train on and some to choose by."""


@dataclass(frozen=True, slots=True)
class PairRows:
    """Pairs to train on and pairs to choose by (no group has pairs in both), and what was left."""

    train: tuple[Preference, ...] = field(repr=False)
    aside: tuple[Preference, ...] = field(repr=False)
    left_out: tuple[Removal, ...] = ()

    def fitting(self, too_long: Collection[str]) -> "PairRows":
        """Return the rows without those to train on that were left out as too long."""
        return replace(self, train=tuple(row for row in self.train if row.id not in too_long))

    @property
    def directions(self) -> dict[str, int]:
        """How many training pairs teach each direction."""
        found = [direction(row) for row in self.train]
        return {name: found.count(name) for name in (SAFE, HELPFUL)}


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """Pairs as ids: what is asked, the better and the worse reply; `too_long` were left out."""

    prompts: tuple[Ids, ...]
    chosen: tuple[Ids, ...]
    rejected: tuple[Ids, ...]
    too_long: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def tokens(self) -> int:
        """Tokens in one epoch: the prompt counts twice, as it is read twice."""
        replies = sum(map(len, (*self.chosen, *self.rejected)))
        return replies + 2 * sum(map(len, self.prompts))


def one_sided(directions: dict[str, int]) -> str | None:
    """Return the warning where pairs teach one direction only, None where they teach both or none.

    >>> one_sided({SAFE: 3, HELPFUL: 0})
    "no pair teaches 'helpful over refusing': what is learnt may be to refuse whatever is asked"
    """
    missing = [name for name, count in directions.items() if not count]
    if len(missing) != 1:
        return None
    habit = "refuse" if missing[0] == HELPFUL else "comply with"
    return f"no pair teaches {missing[0]!r}: what is learnt may be to {habit} whatever is asked"


def left_out_lines(left_out: Sequence[Removal], too_long: Sequence[str]) -> list[str]:
    """Return a line for each reason for which pairs are not trained on.

    >>> left_out_lines([Removal("p1", "a tie")], ["p7"])
    ['left out 1: a tie (p1)', 'left out 1: too long (p7)']
    """
    by_reason: dict[str, list[str]] = {}
    for removal in left_out:
        by_reason.setdefault(removal.reason, []).append(removal.record)
    if too_long:
        by_reason["too long"] = [*too_long]
    return [f"left out {len(own)}: {why} ({some(own)})" for why, own in by_reason.items()]


def choose_pairs(
    development: Development, share: float, seed: int, policy: str | None = None
) -> PairRows:
    """Return the development pairs, `share` of them kept aside by whole groups.

    With a policy, only the pairs that name it. Raises TooFewPairsError where fewer than two groups
    of usable pairs are left.
    """
    rows = [row for row in development.rows if policy is None or policy in row.policies]
    found = usable_pairs(rows)
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(found.kept):
        groups.setdefault(development.groups[row.id], []).append(i)
    if len(groups) < 2:
        about = f" of the policy {policy!r}" if policy else ""
        reasons = sorted({removal.reason for removal in found.left_out})
        left = f" ({len(found.left_out)} left out: {', '.join(reasons)})" if reasons else ""
        raise TooFewPairsError(
            f"{len(found.kept)} usable preference pairs{about} in {len(groups)} groups: too few to "
            f"train on some and choose by others{left}",
            fix="add rows with response_a, response_b and best",
        )
    split = split_groups(found.kept, [tuple(own) for own in groups.values()], share, seed)
    aside = {i for group in split.held_out for i in group}
    if not aside:
        # A share of a few groups may round to none, and then nothing could be chosen by.
        aside = set(split.development[-1])
    elif not split.development:
        # Nor may a large share leave nothing to train on.
        aside -= set(split.held_out[0])
    return PairRows(
        tuple(row for i, row in enumerate(found.kept) if i not in aside),
        tuple(row for i, row in enumerate(found.kept) if i in aside),
        found.left_out,
    )


def encode_pairs(
    rows: Iterable[Preference],
    render: Callable[[Query], Conversation],
    chat: ChatTokenizer,
    max_tokens: int,
) -> EncodedPairs:
    """Return the pairs encoded; one with a side longer than `max_tokens` is left out and named."""
    prompts: list[Ids] = []
    sides: list[tuple[Ids, Ids]] = []
    too_long: list[str] = []
    for row in rows:
        prompt = chat.prompt_ids(render(row))
        good, bad = (tuple(chat.reply_ids(text)) for text in pair(row))
        if len(prompt) + max(len(good), len(bad)) > max_tokens:
            too_long.append(row.id)
            continue
        prompts.append(tuple(prompt))
        sides.append((good, bad))
    return EncodedPairs(
        tuple(prompts), tuple(good for good, _ in sides), tuple(bad for _, bad in sides),
        tuple(too_long),
    )  # fmt: skip
