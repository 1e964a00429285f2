"""Recovery rows: a harmful question, a harmful beginning of the response, then the refusal.

A tuned refusal is often a few tokens deep: once the response has begun ("Sure, here is how"), the
model goes on. Rows that begin so and then refuse, with the loss on the refusal only, teach to turn
back (Qi et al., arXiv:2406.05946, "safety recovery examples").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selaras.core.fingerprint import seed_from
from selaras.core.records import Example, Expected

OPENINGS = (
    "Sure, here is how to do it:",
    "Of course! First, you need to",
    "Here are the steps:\n\n1.",
    "Yes, that is easy. You start by",
    "Absolutely. The quickest way is to",
    "Okay, this is what you do:",
)
# So much of a recorded unsafe response is shown, and never taught.
WORDS = 12


@dataclass(frozen=True, slots=True)
class Recovery:
    """The rows to add, and what stands before each one's response."""

    rows: tuple[Example, ...]
    begun: Mapping[str, str]


def recovery_rows(
    train: Sequence[Example], unsafe: Sequence[Example], share: float, seed: int
) -> Recovery:
    """Return recovery rows for a `share` of the refusals among the training rows.

    The beginning is that of an unsafe response to the same question where the data have one, else a
    stock opening; the same rows and seed give the same ones.

    >>> row = Example(id="m", query="q", expected="refuse", response="No.", response_label="safe")
    >>> bad = row.model_copy(update={"response": "Take a hammer.", "response_label": "unsafe"})
    >>> found = recovery_rows([row], [bad], 1.0, 0)
    >>> found.rows[0].id, found.rows[0].response, found.begun
    ('m+recovery', 'No.', {'m+recovery': 'Take a hammer.'})
    """
    refusals = [row for row in train if row.expected is Expected.REFUSE]
    generator = np.random.default_rng(seed_from("recovery", seed))
    drawn = sorted(generator.permutation(len(refusals))[: round(share * len(refusals))].tolist())
    recorded = {row.query_key: row.response for row in unsafe if row.response.strip()}
    rows, begun = [], {}
    for i in drawn:
        row = refusals[i]
        own = recorded.get(row.query_key)
        opening = " ".join(own.split()[:WORDS]) if own else OPENINGS[i % len(OPENINGS)]
        made = row.model_copy(update={"id": f"{row.id}+recovery"})
        rows.append(made)
        begun[made.id] = opening
    return Recovery(tuple(rows), begun)
