"""Which development rows are trained on, which are kept to choose a checkpoint by."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from selaras.core.errors import InputError
from selaras.core.records import Example, Expected, Kind, Query
from selaras.core.tuning import Tuning
from selaras.data import Development
from selaras.data.split import split_groups
from selaras.evaluate.suite import asked

Recipe = Literal["guarded", "naive"]


@dataclass(frozen=True, slots=True)
class TuningRows:
    """Rows to train on and rows to choose by; no group has rows in both."""

    train: tuple[Example, ...]
    selection: tuple[Query, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many training rows of each kind."""
        return dict(sorted(Counter(row.kind.value for row in self.train).items()))


def refusals(row: Example) -> bool:
    """Return whether the row teaches to refuse."""
    return row.expected is Expected.REFUSE


def naive(row: Example) -> bool:
    """The obvious recipe: refusals and ordinary rows. It teaches to refuse what sounds bad."""
    return refusals(row) or row.kind is Kind.ORDINARY


def guarded(row: Example) -> bool:
    """What `naive` takes, and answered look-alikes and safe completions."""
    return naive(row) or row.expected in {Expected.ANSWER, Expected.SAFE_COMPLETION}


RECIPES: dict[Recipe, Callable[[Example], bool]] = {"guarded": guarded, "naive": naive}


def keeps(recipe: Recipe, row: Example) -> bool:
    """Return whether the recipe trains on the row. Only responses labelled safe are targets."""
    is_target = row.response_label == "safe" and bool(row.response.strip())
    return is_target and RECIPES[recipe](row)


def choose_rows(
    development: Development, recipe: Recipe, settings: Tuning, seed: int
) -> TuningRows:
    """Return the rows of a recipe; both recipes keep the same rows aside for choosing.

    Only responses labelled safe are ever targets, and only those of `settings.use_cases` where some
    are named. Raises InputError where no refusal is left to train on, and, for `guarded`, where a
    policy that is to be refused has fewer answered look-alikes than `minimum_look_alikes`.
    """
    aside = set_aside(development, settings.selection_share, seed)
    train = tuple(
        row
        for row in development.rows
        if row.id not in aside
        and isinstance(row, Example)
        and keeps(recipe, row)
        and (not settings.use_cases or row.use_case in settings.use_cases)
    )
    if not any(refusals(row) for row in train):
        raise InputError(
            "no rows teach a refusal",
            fix="add rows with expected: refuse, response_label: safe and a response",
        )
    if recipe == "guarded":
        _enough_look_alikes(train, settings.minimum_look_alikes)
    selection = asked(row for row in development.rows if row.id in aside)
    return TuningRows(train, selection)


def set_aside(development: Development, share: float, seed: int) -> frozenset[str]:
    """Return the ids of the development rows that are kept to choose by, whole groups of them."""
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(development.rows):
        groups.setdefault(development.groups[row.id], []).append(i)
    split = split_groups(development.rows, [tuple(g) for g in groups.values()], share, seed)
    return frozenset(development.rows[i].id for group in split.held_out for i in group)


def _enough_look_alikes(train: tuple[Example, ...], minimum: int) -> None:
    refused = {policy for row in train if refusals(row) for policy in row.policies}
    answered = Counter(
        policy
        for row in train
        if row.kind is Kind.LOOK_ALIKE and row.expected is Expected.ANSWER
        for policy in row.policies
    )
    for policy in sorted(refused):
        if answered[policy] < minimum:
            raise InputError(
                f"the policy {policy!r} has {answered[policy]} answered look-alikes to train on, "
                f"{minimum} are needed: without them the model learns to refuse what sounds alike",
                fix="add look-alikes, or --set tune.minimum_look_alikes=0 to go on all the same",
            )
