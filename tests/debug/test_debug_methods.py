"""Methods: exact where they claim to be, measured where they are not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from selaras.core.errors import InputError
from selaras.core.records import Message
from selaras.debug import (
    AblationStore,
    LocalProbe,
    Segment,
    Settings,
    ablatable,
    attribute,
    cut,
    faithfulness,
    select,
    view_prompt,
    whole_response,
)  # fmt: skip
from selaras.debug.design import foldover, unseen
from selaras.debug.faithfulness import spearman
from selaras.debug.forward import _plain, chunks_of, kept_ids
from selaras.debug.gradient import _through, _TokenLogP, embeddings, gradients
from selaras.debug.integrated import baseline
from selaras.debug.leave_one_out import joint_loss, one_out
from selaras.debug.probe import Cost, Rows, identity_of, prepared, values
from selaras.debug.segments import PromptView
from selaras.debug.surrogate import fit
from selaras.debug.target import Target, logit, value
from selaras.models.local_chat import Tokens
from selaras.models.local_torch import torch
from selaras.template import Rendered
from selaras.template import Segment as Stretch
from tiny import open_tiny

SYSTEM = "Be brief. Never shout. Use the kill command. Be kind to the dog."
USER = "How do I kill a process that hangs? It does not mind. Ask a pharmacist."
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tiny_folder: Path):
    return prepared(open_tiny(tiny_folder))


def probe_of(model, response: str = "Use the kill command.", against=(), store=None):
    said = Rendered(
        (Message(role="system", content=SYSTEM), Message(role="user", content=USER)),
        (Stretch("system", "system", 0, 0, len(SYSTEM)), Stretch("user", "user", 1, 0, len(USER))),
    )
    view = view_prompt(model.chat, said)
    target = whole_response(model.chat, response, against)
    return LocalProbe(model, view, target, store or AblationStore(None, "tiny"))


class Planted:
    """A model that is linear in what it is shown."""

    def __init__(self, weights: Sequence[float], bias: float = -20.0) -> None:
        self.weights, self.bias, self.cost = np.array(weights), bias, Cost()
        count = len(weights)
        self.segments = tuple(Segment("user", "user", i, i + 1, (i,)) for i in range(count))
        self.view = PromptView(Tokens("x" * count, (0,) * count, ()), self.segments)
        # Two responses, so that the objective is linear as it is (log-odds).
        self.target = Target((Tokens("a", (0,), ((0, 1),)), Tokens("b", (0,), ((0, 1),))), (0,),
                             ((0, 1),))  # fmt: skip

    def ask(self, segments: Sequence[Segment], rows: Rows):
        order = [segment.start for segment in segments]
        self.cost.forwards += len(rows)
        return [(rows @ self.weights[order] + self.bias)[:, None], np.zeros((len(rows), 1))]


@pytest.mark.parametrize("method", ["leave-one-out", "surrogate", "hierarchy"])
def test_a_planted_linear_model_is_recovered_exactly(method: str) -> None:
    weights = [3.0, -1.5, 0.0, 0.7, 0.0, 2.0]
    probe = Planted(weights)
    found = attribute(probe, probe.segments, method, Settings(keep=99))
    if method == "hierarchy":
        assert found.ranked()[0] == 0
    else:
        assert found.scores == pytest.approx(weights, abs=1e-6)
        assert found.faithfulness is not None
        assert found.faithfulness.figures.lds == pytest.approx(1.0, abs=1e-3)
        assert found.faithfulness.above_baselines


def test_many_segments_few_masks_sparse_weights() -> None:
    weights = np.zeros(40)
    weights[[3, 17, 31]] = [4.0, -3.0, 5.0]
    probe = Planted(list(weights))
    found = attribute(probe, probe.segments, "surrogate", Settings(masks=64), check=False)
    assert found.scores == pytest.approx(weights, abs=1e-6)
    assert found.forwards == 64


@pytest.mark.parametrize("method", ["leave-one-out", "surrogate"])
def test_the_order_of_irrelevant_segments_changes_nothing(method: str) -> None:
    probe = Planted([5.0, 0.0, 0.0, 2.0, 0.0])
    straight = attribute(probe, probe.segments, method, check=False)
    turned = [probe.segments[i] for i in (0, 4, 2, 3, 1)]
    shuffled = attribute(probe, turned, method, check=False)
    assert straight.scores == pytest.approx(shuffled.scores, abs=1e-6)


def test_a_map_that_knows_nothing_says_so() -> None:
    probe = Planted([0.0, 0.0, 0.0, 0.0, 6.0, 0.0])
    found = faithfulness(probe, probe.segments, np.array([5.0, 4, 3, 2, 1, 0]), Settings())
    assert not found.above_baselines
    assert found.badge.startswith("no better than the baselines")
    assert found.figures.hold == pytest.approx(6.0)


@pytest.mark.parametrize("more", [0.0, 99.0])  # by the trie, in large batches
@pytest.mark.parametrize("unit", ["sentence", "word"])
def test_ablations_are_those_of_plain_forwards(model, monkeypatch, more: float, unit: str) -> None:
    from selaras.debug import forward

    monkeypatch.setattr(forward, "MORE", more)
    probe = probe_of(model, against=("No.",))
    segments = ablatable(cut(probe.view, unit))
    rows = np.random.default_rng(1).random((12, len(segments))) < 0.6
    rows[0], rows[1], rows[2:7] = True, False, one_out(len(segments))[[1, 2, 4, 5, -1]]
    found = probe.ask(segments, rows)
    chunks = chunks_of(probe.view.tokens.ids, [s.tokens for s in segments])
    for r, response in enumerate(probe.target.responses):
        for row, got in zip(rows, found[r], strict=True):
            with torch.inference_mode():
                expected = _plain(model.model, kept_ids(chunks, row), response.ids)
            np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("more", [0.0, 99.0])
def test_a_prompt_may_end_in_a_segment(model, monkeypatch, more: float) -> None:
    """Without a template's end the deletion of the last segment left its last token standing."""
    from selaras.debug import forward

    monkeypatch.setattr(forward, "MORE", more)
    ids = tuple(int(i) for i in np.random.default_rng(3).integers(5, 400, 9))
    chunks = chunks_of(ids, [(0,), (1, 2, 3, 4), (5,), (6, 7, 8)])
    rows = np.array([[bool(n >> k & 1) for k in range(4)] for n in range(16)])
    response = (7, 11, 13)
    for part, (found,) in forward.log_probabilities(model.model, chunks, rows, [response]):
        for i, got in zip(part, found, strict=True):
            kept = [t for k, c in enumerate(chunks) if rows[i][k] for t in c.ids] or [ids[-1]]
            with torch.inference_mode():
                expected = _plain(model.model, kept, response)
            np.testing.assert_allclose(got, expected, atol=2e-5)


def test_leave_one_out_reads_half_of_the_tokens_in_large_batches(model, monkeypatch) -> None:
    from selaras.debug import forward

    read = []
    run = forward._run

    def counted(model, cache, rows, ids, *rest, **more):
        read.append(ids.numel())
        return run(model, cache, rows, ids, *rest, **more)

    monkeypatch.setattr(forward, "_run", counted)
    probe = probe_of(model)
    segments = ablatable(cut(probe.view, "word"))
    rows = one_out(len(segments))
    probe.ask(segments, rows)
    *prompts, response = read
    many = len(probe.view.tokens.ids) - 1
    assert response == len(rows) * len(probe.target.responses[0].ids)
    assert sum(prompts) < 0.65 * len(rows) * many
    assert len(prompts) < len(rows) / 2


def test_pieces_of_cache_and_logits_change_nothing(model, monkeypatch) -> None:
    from selaras.debug import forward

    probe = probe_of(model)
    segments = ablatable(cut(probe.view, "sentence"))
    rows = np.random.default_rng(2).random((9, len(segments))) < 0.5
    whole = values(probe, segments, rows)
    monkeypatch.setattr(forward, "CACHE_BYTES", 1 << 18)
    monkeypatch.setattr(forward, "LOGITS", 2000)
    np.testing.assert_allclose(values(probe_of(model), segments, rows), whole, atol=2e-5)
    monkeypatch.setattr(forward, "can_share", lambda _: False)
    np.testing.assert_allclose(values(probe_of(model), segments, rows), whole, atol=2e-5)


def test_a_new_target_is_a_refit_without_a_forward(model, tmp_path: Path) -> None:
    probe = probe_of(model, store=AblationStore(tmp_path / "a.sqlite", identity_of(model)))
    segments = cut(probe.view, "sentence")
    first = attribute(probe, segments, "surrogate")
    assert first.forwards > 0
    probe.target = select(probe.target, [(0, 3)])
    assert attribute(probe, segments, "surrogate").forwards == 0
    kept = probe_of(model, store=AblationStore(tmp_path / "a.sqlite", identity_of(model)))
    again = attribute(kept, segments, "surrogate")
    assert (again.forwards, again.scores) == (0, first.scores)


def test_a_large_vocabulary_costs_no_precision() -> None:
    logits = torch.randn(3, 60_000, generator=torch.Generator().manual_seed(0)) * 4
    ids, weights = torch.tensor([5, 59_999, 0]), torch.tensor([1.0, -2.0, 0.5]).double()
    found = []
    for each in (logits, logits.double()):
        leaf = each.requires_grad_(True)
        logp = _TokenLogP.apply(leaf, ids)
        found.append((logp, *torch.autograd.grad((logp * weights).sum(), leaf)))
    exact = logits.detach().double().log_softmax(-1).gather(-1, ids[:, None])[:, 0]
    assert torch.allclose(found[0][0], exact, rtol=0, atol=1e-9)
    assert torch.allclose(found[0][1].double(), found[1][1], rtol=0, atol=1e-7)
    # Where words share a large component their weighted sum all but cancels.
    upstream, weight = found[0][1], 100 + torch.randn(60_000, 8)
    through, wanted = _through(upstream, weight), upstream.double() @ weight.double()
    assert torch.allclose(through.double(), wanted, rtol=1e-6, atol=1e-7)


def test_gradients_match_finite_differences(model) -> None:
    was = model.model
    model.model = was.double()
    try:
        probe = probe_of(model, against=("No.",))
        at = embeddings(probe)
        gradient, _ = gradients(probe, at)
        direction = torch.randn(
            at.shape, generator=torch.Generator().manual_seed(0), dtype=at.dtype
        )
        step = 1e-5
        up, down = (gradients(probe, at + sign * step * direction)[1] for sign in (1, -1))
        # The norms run in float32 whatever the model's precision: 1e-3 is what is left.
        assert float((gradient * direction).sum()) == pytest.approx(
            (up - down) / (2 * step), rel=2e-2
        )
    finally:
        model.model = was.float()


def test_integrated_gradients_are_complete(model) -> None:
    probe = probe_of(model)
    segments = ablatable(cut(probe.view, "sentence"))
    found = attribute(probe, segments, "integrated", Settings(steps=256), check=False)
    end = embeddings(probe)
    gap = gradients(probe, end)[1] - gradients(probe, baseline(probe, segments, end))[1]
    assert sum(found.scores) == pytest.approx(gap, abs=0.03)
    assert (found.forwards, found.backwards) == (256, 256)


def test_gradient_sums_over_units(model) -> None:
    probe = probe_of(model)
    fine = attribute(probe, cut(probe.view, "token"), "gradient", check=False)
    coarse = attribute(probe, cut(probe.view, "message"), "gradient", check=False)
    assert sum(fine.scores) == pytest.approx(sum(coarse.scores), rel=1e-5)
    assert min(fine.scores) >= 0


def test_joint_deletion_and_contrast(model) -> None:
    probe = Planted([1.0, 2.0, 3.0])
    assert joint_loss(probe, probe.segments, [0, 2]) == pytest.approx(0.0, abs=1e-9)
    real = probe_of(model, "Yes.", ("No.",))
    mirrored = probe_of(model, "No.", ("Yes.",))
    segments = ablatable(cut(real.view, "sentence"))
    one, other = (attribute(p, segments, "leave-one-out", check=False) for p in (real, mirrored))
    assert one.scores == pytest.approx([-s for s in other.scores], abs=1e-4)


def test_half_precision_weights_are_computed_in_float32(tiny_folder: Path) -> None:
    opened = open_tiny(tiny_folder)
    opened.model = opened.model.half()
    model = prepared(opened)
    assert model.model.dtype is torch.float32
    found = attribute(probe_of(model), cut(probe_of(model).view, "word"), "gradient", check=False)
    assert min(found.scores) > 0


def test_what_cannot_be_explained_says_so(model) -> None:
    with pytest.raises(InputError, match="context of 256"):
        probe_of(model, "word " * 300)
    with pytest.raises(InputError, match="no method"):
        attribute(probe_of(model), (), "magic")
    with pytest.raises(InputError, match="no segment"):
        attribute(probe_of(model), ())
    with pytest.raises(InputError, match="no weights here"):
        prepared(object())
    planted = Planted([1.0, 2.0])
    with pytest.raises(InputError, match="endpoint gives no gradients"):
        attribute(planted, planted.segments, "gradient")


def test_designs_and_ranks() -> None:
    rows = foldover(16, 32, np.random.default_rng(0))
    assert rows.shape == (32, 16)
    signs = np.where(rows, 1, -1)
    assert (signs.T @ signs == 32 * np.eye(16)).all()
    held = unseen(6, 24, rows[:, :6], np.random.default_rng(0))
    assert not {r.tobytes() for r in held} & {r.tobytes() for r in rows[:, :6]}
    assert spearman(np.array([1.0, 1, 2, 3]), np.array([1.0, 1, 5, 9])) == pytest.approx(1)
    assert spearman(np.array([1.0]), np.array([1.0])) is None
    assert fit(rows, np.full(32, 2.0)).tolist() == [0.0] * 16
    target = Target((Tokens("ab", (0, 1), ((0, 1), (1, 2))),), (1,), ((1, 2),))
    assert value(target, [np.log([[0.5, 0.25]])]) == pytest.approx(np.log(0.25))
    assert logit(target, np.log([0.25])) == pytest.approx(np.log(1 / 3))
    assert np.isfinite(logit(target, np.zeros(1))).all()


def test_a_sliding_window_changes_nothing(tmp_path: Path, monkeypatch) -> None:
    from selaras.debug import forward
    from tiny import make_tiny_gemma

    gemma = prepared(open_tiny(make_tiny_gemma(tmp_path / "gemma")))
    probe = probe_of(gemma)
    assert len(probe.view.tokens.ids) > 64  # the window
    segments = ablatable(cut(probe.view, "sentence"))
    rows = one_out(len(segments))[:5]
    chunks = chunks_of(probe.view.tokens.ids, [s.tokens for s in segments])
    response = probe.target.responses[0].ids
    with torch.inference_mode():
        expected = np.stack([_plain(gemma.model, kept_ids(chunks, row), response) for row in rows])
    for more in (0.0, 99.0):
        monkeypatch.setattr(forward, "MORE", more)
        np.testing.assert_allclose(probe_of(gemma).ask(segments, rows)[0], expected, atol=2e-5)
