"""The loss of a step does not depend on how its rows are worked through."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from selaras.models import local_prefix
from selaras.models.local_torch import torch
from selaras.tune import response_loss, running, trainer
from selaras.tune.response_loss import Weights, first_token_weights, parts_of_alike_length

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_first_token_weight_leans_on_the_first_tokens_of_each_response():
    wanted = torch.tensor([[0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]]).bool()
    found = first_token_weights(wanted, 5.0)
    assert found.tolist() == [[1, 5, 5, 5, 5, 1, 1], [1, 1, 1, 5, 5, 1, 1]]
    assert first_token_weights(wanted, 1.0).unique().tolist() == [1]


@pytest.mark.parametrize("weights", [Weights(), Weights(3.0, kl=0.5, kl_first_token=5.0)])
@pytest.mark.parametrize(("part", "worth"), [(60, 10**9), (10**9, 1), (90, 1)])
def test_parts_and_a_shared_beginning_leave_the_step_as_it_is(
    training, tmp_path, monkeypatch, part, worth, weights
):
    def adapter(folder, tokens, at_least):
        monkeypatch.setitem(response_loss.PART_TOKENS, "cpu", tokens)
        monkeypatch.setattr(local_prefix, "WORTH_SHARING", at_least)
        # The optimiser's first step is the sign of the gradient: a second one tells its size too.
        one = training(tmp_path / folder, epochs=2, batch_size=64, precision="fp32")
        done = trainer.train(dataclasses.replace(one, weights=weights))
        return load_file(done[-1] / "adapter_model.safetensors")

    plain = adapter("plain", 10**9, 10**9)
    other = adapter("other", part, worth)
    assert plain.keys() == other.keys()
    for name, tensor in plain.items():
        assert torch.allclose(tensor, other[name], atol=2e-5), name


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 900))
def test_parts_hold_every_row_once_and_no_more_tokens_than_asked(lengths, most):
    parts = parts_of_alike_length(lengths, most)
    assert sorted(row for part in parts for row in part) == list(range(len(lengths)))
    for part in parts:
        assert len(part) == 1 or len(part) * max(lengths[i] for i in part) <= most


def test_a_model_that_caps_its_logits_is_trained_on_capped_ones(training, tmp_path, monkeypatch):
    one = training(tmp_path, epochs=1, batch_size=64, precision="fp32")
    loaded = running.load_weights

    def capped(*given):
        model, tokenizer = loaded(*given)
        model.config.final_logit_softcapping = 1e-6
        forward = model.forward

        def cap(*args, **options):
            out = forward(*args, **options)
            out.logits = torch.tanh(out.logits / 1e-6) * 1e-6
            return out

        model.forward = cap
        return model, tokenizer

    monkeypatch.setattr(running, "load_weights", capped)
    trainer.train(one)
    model, _ = loaded(one.base, torch.float32)
    uniform = torch.tensor(model.config.vocab_size).log().item()
    assert trainer.loss_curve(tmp_path)[0]["loss"] == pytest.approx(uniform, abs=1e-4)
