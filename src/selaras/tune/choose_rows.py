"""Which development rows are trained on, which are kept to choose a checkpoint by."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from selaras.core.errors import InputError
from selaras.core.fingerprint import normalise
from selaras.core.records import Example, Expected, Kind, Query
from selaras.core.tuning import Tuning
from selaras.data import Development
from selaras.data.split import split_groups
from selaras.evaluate.suite import asked

Recipe = Literal["guarded", "naive"]
Draw = Callable[[Sequence[Example]], Sequence[Example]]
TRAINED, UNMIXED = "trained on", "left out of the mix"
UNSAFE = "never a target: the rejected side of pairs, the reward model, the guard"


@dataclass(frozen=True, slots=True)
class TuningRows:
    """Rows to train on and rows to choose by; no group has rows in both.

    `went` counts where the development rows with a response went, and `unsafe` holds those whose
    response is labelled unsafe: they are never targets. `notes` is what a reader has to know.
    """

    train: tuple[Example, ...]
    selection: tuple[Query, ...]
    went: dict[str, int] = field(default_factory=dict)
    unsafe: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()

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
    development: Development, recipe: Recipe, settings: Tuning, seed: int,
    draw: Draw | None = None,
) -> TuningRows:  # fmt: skip
    """Return the rows of a recipe; both recipes keep the same rows aside for choosing.

    Only responses labelled safe are ever targets, and only those of `settings.use_cases` where some
    are named; `draw` takes those of a mix out of them. Raises InputError where no refusal is left
    to train on, and, for `guarded`, where no row is kept aside or a policy that is to be refused
    has fewer answered look-alikes than `minimum_look_alikes`.
    """
    aside = set_aside(development, settings.selection_share, seed)
    train, unsafe, went = _divided(development, aside, recipe, settings)
    if draw is not None:
        drawn = list(draw(train))
        went.update({TRAINED: len(drawn) - len(train), UNMIXED: len(train) - len(drawn)})
        train, went = drawn, +went
    refuse_one_sided(train, recipe, settings)
    selection = asked(row for row in development.rows if row.id in aside)
    notes = [*_without_look_alikes(train, settings.minimum_look_alikes)]
    if recipe == "guarded":
        enough_aside(selection, "tune")
        notes += [blind] if (blind := blind_side(selection)) else []
    return TuningRows(tuple(train), selection, dict(went), tuple(unsafe), tuple(notes))


def refuse_one_sided(train: Sequence[Example], recipe: Recipe, settings: Tuning) -> None:
    """Raise InputError where rows teach no refusal or, for `guarded`, too few answers."""
    if not any(refusals(row) for row in train):
        raise InputError(
            "no rows teach a refusal",
            fix="add rows with expected: refuse, response_label: safe and a response",
        )
    if recipe == "guarded":
        _enough_look_alikes(train, settings.minimum_look_alikes)


def _divided(
    development: Development, aside: Collection[str], recipe: Recipe, settings: Tuning
) -> tuple[list[Example], list[Example], Counter[str]]:
    """Return the rows to train on, those labelled unsafe, and where all rows went."""
    went: Counter[str] = Counter()
    train: list[Example] = []
    unsafe: list[Example] = []
    seen: set[tuple[str, str]] = set()
    for row in development.rows:
        if not isinstance(row, Example):
            continue
        place = "kept aside to choose by" if row.id in aside else _place(row, recipe, settings)
        text = (row.query_key, normalise(row.response))
        if place == TRAINED and settings.deduplicate and text in seen:
            place = "left out: an exact copy of another row"
        if place in {TRAINED, UNSAFE}:
            # A copy that was left out for another reason is no reason to leave this one out.
            seen.add(text)
        went[place] += 1
        if place == TRAINED:
            train.append(row)
        elif place == UNSAFE:
            unsafe.append(row)
    return train, unsafe, went


def set_aside(development: Development, share: float, seed: int) -> frozenset[str]:
    """Return the ids of the development rows that are kept to choose by, whole groups of them."""
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(development.rows):
        groups.setdefault(development.groups[row.id], []).append(i)
    split = split_groups(development.rows, [tuple(g) for g in groups.values()], share, seed)
    return frozenset(development.rows[i].id for group in split.held_out for i in group)


def enough_aside(selection: Sequence[Query], section: str) -> None:
    """Raise InputError where no row is kept aside: nothing would choose checkpoint and scale."""
    if not selection:
        raise InputError(
            "no row is kept aside to choose checkpoint and scale by",
            fix=f"add rows, or raise --set {section}.selection_share",
        )


def blind_side(rows: Sequence[Query]) -> str | None:
    """Return what rows to choose by cannot show, None where they show both sides.

    >>> blind_side([Query(id="a", query="q", expected="answer")])
    'no row kept aside is to be refused: points are told by over-refusal alone'
    """
    expected = {row.expected for row in rows}
    if Expected.REFUSE not in expected:
        return "no row kept aside is to be refused: points are told by over-refusal alone"
    if Expected.ANSWER not in expected:
        return (
            "no row kept aside is to be answered: points are told by what they refuse alone, and "
            "one that refuses everything looks best"
        )
    return None


def _place(row: Example, recipe: Recipe, settings: Tuning) -> str:
    """Return where a row that may be trained on goes."""
    if settings.use_cases and row.use_case not in settings.use_cases:
        return "left out: another use case"
    if row.response_label == "unsafe":
        return UNSAFE
    if row.response_label is None or not row.response.strip():
        return "left out: no response that is labelled safe"
    return TRAINED if keeps(recipe, row) else f"left out by the {recipe} recipe"


def _without_look_alikes(train: Sequence[Example], minimum: int) -> Iterator[str]:
    """Yield a line for each policy whose look-alikes are too few to teach the difference."""
    refused, answered = _by_policy(train)
    for policy in sorted(refused | set(answered)):
        if answered[policy] < max(1, minimum):
            yield f"the policy {policy!r} has {answered[policy]} answered look-alikes to train on"


def _by_policy(train: Sequence[Example]) -> tuple[set[str], Counter[str]]:
    refused = {policy for row in train if refusals(row) for policy in row.policies}
    answered = Counter(
        policy
        for row in train
        if row.kind is Kind.LOOK_ALIKE and row.expected is Expected.ANSWER
        for policy in row.policies
    )
    return refused, answered


def _enough_look_alikes(train: Sequence[Example], minimum: int) -> None:
    refused, answered = _by_policy(train)
    for policy in sorted(refused):
        if answered[policy] < minimum:
            raise InputError(
                f"the policy {policy!r} has {answered[policy]} answered look-alikes to train on, "
                f"{minimum} are needed: without them the model learns to refuse what sounds alike",
                fix="add look-alikes, or --set tune.minimum_look_alikes=0 to go on all the same",
            )
