"""Choosing few-shot examples: from development rows only, safe ones, spread as asked."""

import numpy as np
import pytest

from selaras.core.errors import InputError
from selaras.core.records import Example, Kind, Query
from selaras.data import Development
from selaras.prompt.examples import choose_examples


def row(name, kind=Kind.ORDINARY, policy=None, **fields):
    policies = (policy,) if policy else ()
    given = {"response": f"Answer to {name}.", **fields}
    return Example(id=name, query=f"{name}?", kind=kind, policies=policies, **given)


ROWS = (
    row("hate-m", Kind.MALICIOUS, "hate"),
    row("hate-l", Kind.LOOK_ALIKE, "hate"),
    row("dose-m", Kind.MALICIOUS, "high-stakes-advice"),
    row("dose-l", Kind.LOOK_ALIKE, "high-stakes-advice"),
    row("plain"),
    row("plain-copy"),
    row("unsafe", response_label="unsafe"),
    row("empty", response=""),
    Query(id="query", query="no response"),
)
GROUPS = {r.id: {"plain-copy": "plain", "hate-l": "hate-m"}.get(r.id, r.id) for r in ROWS}
DEVELOPMENT = Development(ROWS, GROUPS, (), None)
ANGLES = np.radians([0, 90, 180, 270, 10, 10, 45, 45, 45])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)


def chosen(count, **options):
    return [r.id for r in choose_examples(DEVELOPMENT, count, **options)]


def test_policies_come_in_turn_with_both_twins_and_nothing_unsafe():
    found = chosen(9)
    assert set(found) <= {"hate-m", "hate-l", "dose-m", "dose-l", "plain", "plain-copy"}
    assert len({"plain", "plain-copy"} & set(found)) == 1
    assert {r.split("-")[0] for r in found[:3]} == {"plain", "hate", "dose"}
    assert {"hate-m", "hate-l"} <= set(found)
    assert chosen(2, policies=["hate"])[0] in {"hate-m", "plain", "plain-copy"}
    assert chosen(4) == chosen(4)


def test_similar_rows_are_the_closest_and_diverse_ones_far_apart():
    target = np.array([1.0, 0.0], np.float32)
    assert chosen(1, by="similarity", vectors=VECTORS, target=target) == ["hate-m"]
    far = chosen(4, by="diversity", vectors=VECTORS)
    assert len({"plain", "plain-copy", "hate-m"} & set(far)) <= 1
    for by in ("similarity", "diversity"):
        with pytest.raises(InputError, match="needs embeddings"):
            chosen(1, by=by)
    with pytest.raises(InputError, match="no selector 'best'"):
        chosen(1, by="best")
    with pytest.raises(InputError, match="no development row has a response"):
        choose_examples(Development((), {}, (), None), 1)
