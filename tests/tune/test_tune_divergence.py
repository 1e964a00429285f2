"""KL(base || tuned): nothing without tuning, kept small by its term, and a budget that stops."""

import dataclasses
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.records import Example, Message, Query
from selaras.models.local import open_local, pad_id
from selaras.models.local_adapter import Adapter
from selaras.models.local_torch import torch
from selaras.tune.divergence import divergences, mean_divergences
from selaras.tune.encode import IGNORED, encode
from selaras.tune.kept_answers import MOST_ROWS, some_answered
from selaras.tune.recovery import recovery_rows
from selaras.tune.response_loss import Weights
from selaras.tune.trainer import divergence_curve, epoch_checkpoints, train
from tiny import tiny_chat

pytestmark = pytest.mark.usefixtures("one_thread")


@given(st.integers(0, 9), st.integers(2, 30), st.integers(0, 99))
def test_divergence_is_the_sum_over_the_vocabulary_and_0_for_the_same(rows, words, seed):
    made = torch.Generator().manual_seed(seed)
    base, own = (torch.randn(rows, words, generator=made) for _ in range(2))
    p, q = base.softmax(-1), own.softmax(-1)
    assert torch.allclose(divergences(base, own), (p * (p / q).log()).sum(-1), atol=1e-5)
    assert divergences(base, base).abs().sum() < 1e-5


def moved(one, path):
    """Return the mean KL of the training rows of a checkpoint."""
    base, tuned = open_local(one.base), open_local(one.base, adapter=Adapter(path))
    found = mean_divergences(
        lambda: nullcontext(base.model), lambda: nullcontext(tuned.model), one.rows,
        pad_id(base.chat.tokenizer),
    )  # fmt: skip
    return sum(found) / len(found)


def test_the_kl_term_keeps_kept_rows_near_the_base_and_leaves_others(training, tmp_path):
    def end(name, **changes):
        one = dataclasses.replace(training(tmp_path / name, precision="fp32"), **changes)
        return moved(one, train(one)[-1])

    free = end("free")
    assert end("kept", weights=Weights(kl=50.0)) < free / 2
    rows = training(tmp_path / "x").rows
    none = dataclasses.replace(rows, kept=(False,) * len(rows))
    assert end("none", rows=none, weights=Weights(kl=50.0)) == pytest.approx(free, rel=1e-3)


def test_a_budget_stops_at_a_checkpoint_that_stays_a_candidate(training, tmp_path):
    one = training(tmp_path, precision="fp32")
    tight = dataclasses.replace(one, probe=one.rows, kl_budget=1e-6)
    (stopped,) = train(tight)
    assert stopped.name == "checkpoint-4", "the first look is at the first checkpoint"
    assert epoch_checkpoints(tmp_path, one.steps_per_epoch) == [stopped]
    (note,) = divergence_curve(tmp_path)
    assert note["kl"] > 1e-6
    assert train(tight) == [stopped], "it does not go on behind the budget's back"


def test_recovery_rows_teach_the_refusal_only():
    row = Example(id="m", query="q", expected="refuse", response="I can't help with that.",
                  response_label="safe", policies=("hate",))  # fmt: skip
    bad = row.model_copy(
        update={"id": "u", "response": "Take a hammer.", "response_label": "unsafe"}
    )
    chat = tiny_chat()

    def ask(own):
        return (Message(role="user", content=own.query),)

    for recorded in ((), (bad,)):
        made = recovery_rows([row], recorded, 1.0, 0)
        encoded = encode(made.rows, ask, chat, 1000, begun=made.begun)
        labels = [label for label in encoded.labels[0] if label != IGNORED]
        assert chat.tokenizer.decode(labels[:-1]) == f" {row.response}"
        shown = chat.tokenizer.decode(encoded.input_ids[0])
        assert f"{made.begun['m+recovery']} {row.response}" in shown
    assert recovery_rows([row], [], 0.0, 0).rows == ()


def test_kl_is_measured_on_rows_of_every_kind_where_there_are_more_than_enough():
    rows = [
        Query(id=f"{kind}{i}", query=f"{kind} {i}?", kind=kind, expected=expected)
        for kind, expected in (
            ("malicious", "refuse"), ("ordinary", "answer"), ("look_alike", "answer"))
        for i in range(80)
    ]  # fmt: skip
    chosen = some_answered(rows)
    kinds = [row.kind.value for row in chosen]
    assert len(chosen) == MOST_ROWS
    assert 16 < kinds.count("look_alike") < 48
    assert chosen == [row for row in rows if row in chosen]
    assert some_answered(rows[::-1]) == chosen[::-1]
    assert some_answered(rows[70:90]) == rows[80:90]
