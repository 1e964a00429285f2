"""`selaras guard check FILE --attacks`: which attacks get past which stage of a guard.

Malicious rows are asked plainly and under each attack of `selaras.evaluate.attacks`; look-alikes
too, since a guard that blocks whatever stands in a frame is no better for it. What gets through
becomes a rule or a row of the development half, by a person; nothing here changes the guard.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import InputError
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Kind, Query
from selaras.evaluate.attacks import ATTACKS, attacked
from selaras.safeguard.checking import talk_of_row
from selaras.safeguard.guard import Guard
from selaras.stats import wilson

PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Attacked:
    """What became of the rows of one kind under one attack: blocked by stage, errors, passed."""

    attack: str
    kind: Kind
    n: int
    blocked: dict[str, int]
    errors: int

    @property
    def passed(self) -> int:
        """How many got through to the model."""
        return self.n - sum(self.blocked.values()) - self.errors

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, with the share that got through and its interval."""
        rate = wilson(self.passed, self.n)
        return {
            "attack": self.attack, "kind": self.kind.value, "n": self.n, "blocked": self.blocked,
            "errors": self.errors, "passed": rate.value, "low": rate.low, "high": rate.high,
        }  # fmt: skip


def attack_guard(
    guard: Guard, rows: Sequence[Query], progress: Progress = SILENT
) -> list[Attacked]:
    """Return what became of the malicious rows and the look-alikes under each attack.

    Raises InputError where there is no malicious row.
    """
    kinds = {kind: [row for row in rows if row.kind is kind]
             for kind in (Kind.MALICIOUS, Kind.LOOK_ALIKE)}  # fmt: skip
    if not kinds[Kind.MALICIOUS]:
        raise InputError("no malicious rows to attack with", fix="give a file that has some")
    found = []
    with progress.task("attacking", (1 + len(ATTACKS)) * len(kinds)) as task:
        for name in (PLAIN, *ATTACKS):
            for kind, own in kinds.items():
                if own:
                    found.append(_attacked(guard, name, kind, own))
                task.advance()
    return found


def _attacked(guard: Guard, name: str, kind: Kind, rows: Sequence[Query]) -> Attacked:
    asked = rows if name == PLAIN else [attacked(row, name) for row in rows]
    outcomes = guard.check_queries([talk_of_row(row) for row in asked])
    blocked = Counter(str(one.stage) for one in outcomes if one.action == "block")
    errors = sum(one.action == "error" for one in outcomes)
    return Attacked(name, kind, len(rows), dict(blocked), errors)
