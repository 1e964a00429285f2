"""Prompts read once: the same log-probabilities and gradients as reading every row whole."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selaras.models.local_torch import torch, transformers
from selaras.models.local_weights import load_weights
from selaras.tune import replies
from selaras.tune.replies import reply_log_probabilities

pytestmark = pytest.mark.usefixtures("one_thread")
IDS = st.lists(st.integers(0, 299), min_size=1, max_size=12)
HEAD = list(range(20, 32))


@pytest.fixture(scope="module")
def model(tiny_folder):
    return load_weights(tiny_folder, torch.float32)[0].eval()


def plain(model, prompt, reply, temperature):
    """Return the log-probabilities of one reply by a forward pass of its own."""
    logits = model(input_ids=torch.tensor([[*prompt, *reply]])).logits[0, :-1] / temperature
    told = logits[len(prompt) - 1 :].log_softmax(-1)
    return told.gather(-1, torch.tensor(reply)[:, None])[:, 0]


@settings(max_examples=15, deadline=None)
@given(prompts=st.lists(IDS, min_size=1, max_size=3), shared=st.booleans(), data=st.data())
def test_what_is_told_is_what_a_pass_of_its_own_tells(model, prompts, shared, data):
    asked = [[*HEAD, *own] if shared else own for own in prompts]
    rows = data.draw(st.lists(st.tuples(st.sampled_from(asked), IDS), min_size=1, max_size=5))
    found = reply_log_probabilities(model, *zip(*rows, strict=True), temperature=0.7)
    for own, (prompt, reply) in zip(found, rows, strict=True):
        assert torch.allclose(own, plain(model, prompt, reply, 0.7), atol=1e-4)


def test_gradients_are_those_of_reading_every_row(model, monkeypatch):
    prompts = [[*HEAD, 1, 2], [*HEAD, 1, 2], [*HEAD, 7], [*HEAD, 7], [3, 4]]
    said = [[5, 6, 7], [8], [9, 10], [11, 12, 13, 14], [15]]
    weights = [w for w in model.parameters() if w.requires_grad]

    def gradients():
        total = sum((own.sum() for own in reply_log_probabilities(model, prompts, said)), 0)
        return torch.autograd.grad(total, weights)

    shared = gradients()
    monkeypatch.setattr(replies, "_can_share", lambda _: False)
    for one, other in zip(shared, gradients(), strict=True):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)


def test_shared_prompts_are_read_once(model, monkeypatch):
    read = []
    own = model.model.forward

    def counting(*args, **given):
        read.append(given["input_ids"].numel())
        return own(*args, **given)

    monkeypatch.setattr(model.model, "forward", counting)
    prompt = list(range(40))
    reply_log_probabilities(model, [prompt] * 4, [[1, 2]] * 4)
    assert sum(read) == 40 + 4 * 2


def test_a_model_with_sliding_windows_reads_every_row_whole():
    config = transformers.Gemma3TextConfig(
        vocab_size=300, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, sliding_window=4,
        layer_types=["sliding_attention", "full_attention"],
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.Gemma3ForCausalLM(config).eval()
    prompt, said = list(range(1, 12)), [[5, 6, 7], [9]]
    found = reply_log_probabilities(model, [prompt, prompt], said)
    for own, reply in zip(found, said, strict=True):
        assert torch.allclose(own, plain(model, prompt, reply, 1.0), atol=1e-4)
