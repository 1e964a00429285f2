"""The memory plan against what is really there: weights by weight, and what autograd keeps."""

import pytest
import rl_world

from selaras.core.tuning import Tuning
from selaras.models.local_torch import torch, transformers
from selaras.tune import policy as policy_module
from selaras.tune.policy import Exchange, open_policy
from selaras.tune.rl_memory import GIGABYTE, SHAPES, Shape, fitting, plan_memory, shape_of

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4,
         "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16}  # fmt: skip


@pytest.fixture(scope="module")
def model_folder(tiny_folder, tmp_path_factory):
    """Return a model of a likelier shape than the tiny one: activations outweigh overheads."""
    from tiny import tiny_tokenizer

    folder = tmp_path_factory.mktemp("memory")
    tokenizer = tiny_tokenizer()
    config = transformers.LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **SIZES)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def settings(**rl):
    return Tuning.model_validate({"rank": 4, "layers": 0.5, "rl": rl})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_adapter_and_activations_are_counted_as_they_are(model_folder, monkeypatch, dtype):
    monkeypatch.setattr(policy_module, "best_dtype", lambda: dtype)
    policy = open_policy(model_folder, settings(), 0)
    width = torch.empty(0, dtype=dtype).element_size()
    prompt, reply, rows = 40, 24, 8
    plan = plan_memory(
        shape_of(model_folder), settings(max_tokens=reply, samples=rows), width=width,
        part_tokens=1, prompt=prompt,
    )  # fmt: skip
    trained = {weight.data_ptr() for weight in policy.parameters.values()}
    frozen = [p for p in policy.model.parameters() if p.data_ptr() not in trained]
    assert plan.policy == sum(p.numel() * p.element_size() for p in frozen)
    assert plan.adapter == sum(p.numel() * p.element_size() for p in policy.parameters.values())
    known = {p.untyped_storage().data_ptr() for p in policy.model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    # The prompts differ at their first token, so that none is shared.
    exchanges = [Exchange((i + 4, *range(4, 3 + prompt)), tuple(range(9, 9 + reply)), False)
                 for i in range(rows)]  # fmt: skip
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        told = policy.log_probabilities(exchanges, 1.0)
        sum(own.sum() for own in told)
    assert sum(kept.values()) == pytest.approx(plan.activations + plan.logits, rel=0.3)


def test_named_sizes_have_the_parameters_that_their_authors_say():
    published = {"SmolLM2-135M": 134.5e6, "SmolLM2-360M": 361.8e6, "Qwen2.5-0.5B": 494e6,
                 "Llama-3.2-1B": 1235.8e6, "Qwen2.5-1.5B": 1543.7e6, "Llama-3.2-3B": 3212.7e6,
                 "Qwen2.5-7B": 7615.6e6, "Llama-3.1-8B": 8030.3e6}  # fmt: skip
    assert published.keys() == SHAPES.keys()
    for name, count in published.items():
        assert SHAPES[name].parameters == pytest.approx(count, rel=0.001)


def test_the_table_says_what_fits_24_gigabytes():
    found = {name: (plan, fits) for name, plan, fits in fitting(settings(max_tokens=256))}
    assert found["Llama-3.2-1B"][1]
    assert not found["Llama-3.1-8B"][1], "three copies of 8B in bf16 are 45 GB"
    for plan, fits in found.values():
        assert fits == (plan.peak <= 24 * GIGABYTE)
        assert plan.peak >= plan.kept > plan.policy
        assert plan.reference == 0


def test_more_of_anything_never_takes_less():
    shape = Shape(4, 128, 384, 8, 2, 16, 1000, True)
    least = plan_memory(shape, settings()).peak
    for more in ({"max_tokens": 512}, {"samples": 64}, {"queries": 512}):
        assert plan_memory(shape, settings(**more)).peak >= least
    assert plan_memory(shape, settings(), reward_models=2).peak > least


def test_a_dry_run_shows_the_plan_of_the_base(tmp_path, tiny_folder, monkeypatch):
    from selaras.tune import rl

    monkeypatch.setattr(rl, "open_development", lambda *_: rl_world.development())
    plan = rl.plan_rl(rl_world.write_project(tmp_path, tiny_folder))
    assert plan.to_dict()["memory"]["policy"] > 0
    assert "memory, at most:" in plan.text
    # What the weights are held in here, not what they would be elsewhere.
    monkeypatch.setattr(rl, "best_dtype", lambda: torch.float32)
    wide = rl.plan_rl(rl_world.write_project(tmp_path, tiny_folder)).memory
    monkeypatch.setattr(rl, "best_dtype", lambda: torch.bfloat16)
    narrow = rl.plan_rl(rl_world.write_project(tmp_path, tiny_folder)).memory
    assert wide.policy == 2 * narrow.policy == 4 * shape_of(tiny_folder).parameters
    assert "50% adversarial" in plan.text
