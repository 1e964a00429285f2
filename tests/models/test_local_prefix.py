"""Reading what prompts share once changes no output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models import local_prefix
from selaras.models.local import open_local
from selaras.models.local_prefix import read_prefix, shared_prefix
from selaras.models.local_torch import torch, transformers
from selaras.models.protocol import Choice

pytestmark = pytest.mark.usefixtures("one_thread")
ROWS = ("Hi", "How do I kill a process that hangs?", "Is bread dough alive?", "Be kind")


def talks(system):
    before = (Message(role="system", content=system),) if system else ()
    return [(*before, Message(role="user", content=row)) for row in ROWS]


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), max_size=6))
def test_the_shared_prefix_begins_every_prompt_and_leaves_a_token_of_each(prompts):
    prefix = shared_prefix(prompts)
    assert all(row[: len(prefix)] == prefix and len(row) > len(prefix) for row in prompts)
    if prompts:
        longer = {tuple(row[: len(prefix) + 1]) for row in prompts}
        assert len(longer) > 1 or any(len(row) == len(prefix) + 1 for row in prompts)


@pytest.mark.parametrize("system", ["", "Answer questions about bread and processes only. " * 3])
def test_outputs_and_scores_are_those_of_rows_read_whole(tiny_folder, monkeypatch, system):
    monkeypatch.setattr("selaras.models.local.best_dtype", lambda: torch.float32)
    model = open_local(tiny_folder)

    def found(worth):
        monkeypatch.setattr(local_prefix, "WORTH_SHARING", worth)
        texts = [one.text for one in model.generate(talks(system), Sampling(max_tokens=8))]
        choices = [Choice(talk, ("Yes, of course.", "No")) for talk in talks(system)]
        return texts, [sums for one in model.score(choices) for sums in one.log_probabilities]

    shared, whole = found(1), found(10**9)
    assert shared[0] == whole[0]
    assert shared[1] == pytest.approx(whole[1], abs=1e-4)


def test_a_model_with_sliding_windows_reads_every_row_whole():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "vocab_size": 50, "head_dim": 8}
    config = transformers.Gemma3TextConfig(
        **sizes, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        sliding_window=4, layer_types=["sliding_attention", "full_attention"],
    )  # fmt: skip
    model = transformers.Gemma3ForCausalLM(config).eval()
    prompts = [[*range(2, 22), 30], [*range(2, 22), 31]]
    assert read_prefix(model, prompts) == (0, None)


def test_a_plain_model_reads_the_prefix_once_and_keeps_a_copy_a_prompt(tiny_folder):
    model = open_local(tiny_folder)
    prompts = [model.chat.prompt_ids(talk) for talk in talks("")]
    length, cache = read_prefix(model.model, prompts)
    assert length == len(shared_prefix(prompts)) >= local_prefix.WORTH_SHARING
    assert cache.get_seq_length() == length
    assert cache.layers[0].keys.shape[0] == len(prompts)
