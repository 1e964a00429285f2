"""One step of RL against TRL's own on the same batch, and what the loss may not depend on."""

import dataclasses

import pytest
import rl_world
from hypothesis import given, settings
from hypothesis import strategies as st

from selaras.core.records import Message
from selaras.core.tuning import Tuning
from selaras.models.local_torch import torch
from selaras.tune import policy as policy_module
from selaras.tune import policy_step
from selaras.tune.policy import Exchange, open_policy
from selaras.tune.policy_step import backward
from selaras.tune.rollouts import Rollout, Scored

pytestmark = pytest.mark.usefixtures("one_thread")
GROUPS, SAMPLES = 3, 4
# Rewards with spread within groups, and one response that ends at once.
REWARDS = [0.5, -1.0, 2.0, 0.1, 1.0, 1.5, -0.5, 0.0, 3.0, -2.0, 0.7, 0.2]


@pytest.fixture(scope="module")
def policy(tiny_folder):
    """Return a policy whose adapter has moved off the base, in float32."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_module, "best_dtype", lambda: torch.float32)
        made = open_policy(tiny_folder, tuning(), 0)
    generator = torch.Generator().manual_seed(5)
    for name, weight in made.parameters.items():
        if "lora_B" in name:
            weight.data = 0.05 * torch.randn(weight.shape, generator=generator)
    return made


def tuning(**rl):
    return Tuning.model_validate(
        {"rank": 2, "layers": 1.0,
         "rl": {"samples": SAMPLES, "max_tokens": 8, "kl_coefficient": 0.3, **rl}}
    )  # fmt: skip


def batch(policy):
    """Return rollouts of the base's vocabulary: of different lengths, some cut."""
    chat, rows = policy.local.chat, rl_world.queries(2, 2)
    (stop,) = policy.local.stop_ids
    generator = torch.Generator().manual_seed(3)
    found = []
    for i in range(GROUPS * SAMPLES):
        row = rows[i // SAMPLES]
        talk = (Message(role="user", content=row.query),)
        length = 1 + i % 7
        reply = torch.randint(4, 300, (length,), generator=generator).tolist()
        finished = i % 5 != 0
        exchange = Exchange(
            tuple(chat.prompt_ids(talk)), (*reply, stop) if finished else tuple(reply), finished
        )
        found.append(Rollout(row, talk, exchange, chat.tokenizer.decode(reply)))
    return found


def scored(policy, rollouts):
    reference = policy.reference_log_probabilities([r.exchange for r in rollouts])
    return [
        Scored(reward, {}, False, told) for reward, told in zip(REWARDS, reference, strict=True)
    ]


def gradients(policy):
    found = {name: weight.grad.clone() for name, weight in policy.parameters.items()}
    policy.model.zero_grad()
    return found


def ours(policy, rollouts, **rl):
    made = backward(policy, rollouts, scored(policy, rollouts), REWARDS, tuning(**rl).rl)
    return made, gradients(policy)


def theirs(policy, rollouts, folder, monkeypatch, algorithm, masked):
    """Return TRL's advantages, loss and gradients for the same tokens and rewards."""
    import datasets
    import trl

    config, trainer = {"rloo": (trl.RLOOConfig, trl.RLOOTrainer),
                       "grpo": (trl.GRPOConfig, trl.GRPOTrainer)}[algorithm]  # fmt: skip
    args = config(
        output_dir=str(folder), per_device_train_batch_size=GROUPS * SAMPLES, use_cpu=True,
        num_generations=SAMPLES, beta=0.3, mask_truncated_completions=masked, bf16=False,
        gradient_checkpointing=False, report_to="none", max_completion_length=8,
    )  # fmt: skip
    data = datasets.Dataset.from_dict({"prompt": ["x"] * GROUPS * SAMPLES})
    made = trainer(
        model=policy.model, reward_funcs=[lambda **_: REWARDS], args=args, train_dataset=data,
        processing_class=policy.local.chat.tokenizer,
    )  # fmt: skip
    # TRL takes the adapter as it is for its reference; ours is the base.
    made.model.delete_adapter("ref")
    prompts = [list(r.exchange.prompt) for r in rollouts]
    replies = [list(r.exchange.reply) for r in rollouts]
    given = (prompts, replies, [r.text for r in rollouts])
    if algorithm == "grpo":
        # TRL's own order: ids, ids, tool mask, texts, log-probabilities, extra, images, tools'.
        given = (prompts, replies, None, given[2], None, {}, None, None)
    monkeypatch.setattr(made, "_generate", lambda *_: given)
    made.model.train()
    inputs = made._generate_and_score_completions([{"prompt": "x"}] * GROUPS * SAMPLES)
    made.current_gradient_accumulation_steps = 1
    loss = made.compute_loss(made.model, inputs)
    loss.backward()
    policy.model.eval()
    return inputs["advantages"].tolist(), float(loss.detach()), gradients(policy)


@pytest.mark.parametrize(("algorithm", "masked"), [("rloo", True), ("rloo", False),
                                                  ("grpo", True)])  # fmt: skip
def test_a_step_is_trls(policy, tmp_path, monkeypatch, algorithm, masked):
    rollouts = batch(policy)
    made, found = ours(policy, rollouts, mask_truncated=masked, algorithm=algorithm)
    advantages, loss, expected = theirs(
        open_copy(policy), rollouts, tmp_path, monkeypatch, algorithm, masked
    )
    assert made.advantages == pytest.approx(advantages, abs=2e-4)
    assert made.loss == pytest.approx(loss, abs=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert torch.allclose(gradient, expected[name], atol=2e-5, rtol=2e-3), name


def open_copy(policy):
    """Return a copy of the policy: TRL changes how a model's forward works, for good."""
    import copy

    model = copy.deepcopy(policy.model)
    return dataclasses.replace(policy, model=model, causal=model.get_base_model())


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_a_step_does_not_depend_on_its_parts(policy, monkeypatch, algorithm):
    rollouts = batch(policy)
    one, whole = ours(policy, rollouts, algorithm=algorithm)
    monkeypatch.setitem(policy_step.PART_TOKENS, "cpu", 1)
    other, parts = ours(policy, rollouts, algorithm=algorithm)
    assert one.advantages == pytest.approx(other.advantages, abs=1e-4)
    for name, gradient in whole.items():
        assert torch.allclose(gradient, parts[name], atol=1e-5, rtol=1e-3), name


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_responses_that_were_cut_have_no_gradient_but_count_in_the_baseline(policy, algorithm):
    rollouts = batch(policy)
    cut = [dataclasses.replace(r, exchange=dataclasses.replace(r.exchange, finished=False))
           for r in rollouts]  # fmt: skip
    made, found = ours(policy, cut, algorithm=algorithm)
    assert all(not gradient.any() for gradient in found.values())
    assert any(made.advantages)
    _, learnt = ours(policy, cut, algorithm=algorithm, mask_truncated=False)
    assert any(gradient.any() for gradient in learnt.values())


def test_the_loss_covers_the_response_and_not_the_prompt(policy):
    """Return-to-text probabilities are those of the reply's tokens alone, counted by hand."""
    for rollout in batch(policy)[:4]:
        exchange = rollout.exchange
        (told,) = policy.own_log_probabilities([exchange])
        assert len(told) == len(exchange.reply)
        ids = torch.tensor([[*exchange.prompt, *exchange.reply]])
        with torch.no_grad():
            logits = policy.causal(input_ids=ids).logits[0].float().log_softmax(-1)
        start = len(exchange.prompt)
        expected = [logits[start + i - 1, token] for i, token in enumerate(exchange.reply)]
        assert told.tolist() == pytest.approx([float(value) for value in expected], abs=1e-4)


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(4, 300), min_size=1, max_size=9), min_size=1, max_size=6))
def test_probabilities_do_not_depend_on_the_batch(policy, replies):
    prompt = tuple(policy.local.chat.prompt_ids((Message(role="user", content="Why?"),)))
    exchanges = [Exchange(prompt, tuple(reply), False) for reply in replies]
    together = policy.own_log_probabilities(exchanges)
    for exchange, told in zip(exchanges, together, strict=True):
        (alone,) = policy.own_log_probabilities([exchange])
        assert told.tolist() == pytest.approx(alone.tolist(), abs=1e-4)


def test_the_reference_is_the_base_and_kl_is_never_negative(policy, tiny_folder):
    rollouts = batch(policy)
    told = scored(policy, rollouts)
    exchanges = [r.exchange for r in rollouts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_module, "best_dtype", lambda: torch.float32)
        base = open_policy(tiny_folder, tuning(), 1)
    for own, each in zip(base.own_log_probabilities(exchanges), told, strict=True):
        assert own.tolist() == pytest.approx(each.reference.tolist(), abs=1e-4)
    made, _ = ours(policy, rollouts)
    assert all(value >= -1e-6 for value in made.kl)
    assert any(value > 0.01 for value in made.kl)
