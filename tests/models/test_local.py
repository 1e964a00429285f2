"""Local models: answers that repeat, stop and fail by row; scores that equal a plain forward."""

import json
import math
import shutil
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from selaras.core.errors import InputError, ModelError
from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models import local
from selaras.models.local import LocalModel, open_local
from selaras.models.local_torch import torch
from selaras.models.local_weights import weights_hash
from selaras.models.protocol import Choice, FirstTokens, Model, Scorer
from tiny import make_tiny, open_tiny

TALKS = [
    (Message(role="user", content=text),)
    for text in ("How do I kill a process?", "Hi", "Say <|im_end|> twice, and then say it again.")
]
pytestmark = pytest.mark.usefixtures("one_thread")
GREEDY = Sampling(max_tokens=12)
SAMPLED = Sampling(max_tokens=12, temperature=1.0, top_p=0.9, seed=3)


@pytest.fixture(scope="module")
def model(tiny_folder):
    return open_tiny(tiny_folder)


def user(text):
    return (Message(role="user", content=text),)


def answers(model, talks, sampling):
    found = sorted(model.generate(talks, sampling), key=lambda one: one.index)
    assert [one.index for one in found] == list(range(len(talks)))
    return found


def reply_tokens(model, talk, sampling=GREEDY):
    """Return the ids that the model itself would say, without batch, padding or our code."""
    ids = torch.tensor([model.chat.prompt_ids(talk)])
    for _ in range(sampling.max_tokens):
        with torch.inference_mode():
            following = model.model(input_ids=ids).logits[0, -1].argmax()
        ids = torch.cat([ids, following.reshape(1, 1)], dim=1)
    return ids[0, -sampling.max_tokens :].tolist()


def stopping_at(model, token):
    again = LocalModel(model.model, model.chat, model.identity)
    again._stop = [token]
    return again


def test_it_is_a_model_and_a_scorer(model):
    assert isinstance(model, Model)
    assert isinstance(model, Scorer)


def test_a_batch_is_answered_as_each_row_alone_would_be(model):
    for talk, found in zip(TALKS, answers(model, TALKS, GREEDY), strict=True):
        said = reply_tokens(model, talk)
        assert found.text == model.chat.tokenizer.decode(said, skip_special_tokens=True)
        assert found.prompt_tokens == len(model.chat.prompt_ids(talk))
        assert (found.status, found.tokens) == ("ok", 12)


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_the_same_batch_gives_the_same_answers(model, sampling):
    torch.manual_seed(1)
    first = answers(model, TALKS, sampling)
    torch.manual_seed(2)
    assert answers(model, TALKS, sampling) == first


def test_the_seed_and_the_batch_decide_what_is_drawn(model):
    first = answers(model, TALKS, SAMPLED)
    assert answers(model, TALKS, SAMPLED.model_copy(update={"seed": 4})) != first
    assert answers(model, TALKS, GREEDY) != first
    twins = answers(model, [TALKS[0], TALKS[0]], SAMPLED)
    assert twins[0].text != twins[1].text


def test_generating_leaves_the_global_random_stream_alone(model):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    answers(model, TALKS, SAMPLED)
    assert torch.equal(torch.rand(3), expected)


def test_an_answer_ends_at_the_stop_token_and_not_before(model):
    said = reply_tokens(model, TALKS[0])
    at = next(i for i in range(3, 12) if said[i] not in said[:i])
    found = answers(stopping_at(model, said[at]), TALKS, GREEDY)
    assert (found[0].finish, found[0].tokens) == ("stop", at)
    assert found[0].text == model.chat.tokenizer.decode(said[:at], skip_special_tokens=True)
    assert found[1].finish == "length"


def test_an_answer_of_nothing_is_an_error_of_that_row(model):
    said = reply_tokens(model, TALKS[0])
    found = answers(stopping_at(model, said[0]), TALKS, GREEDY)
    assert (found[0].status, found[0].text, found[0].error) == (
        "error", "", "the response is empty",
    )  # fmt: skip
    assert found[1].status == "ok"


def test_every_stop_token_of_tokenizer_and_generation_config_counts(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    config = {"eos_token_id": [2, 77], "repetition_penalty": 9.0, "temperature": 0.1}
    (folder / "generation_config.json").write_text(json.dumps(config))
    model = open_tiny(folder)
    assert set(model._stop) == {2, 77}
    # What a model's author likes to sample with must not change what our Sampling promises.
    plain = answers(open_tiny(tiny_folder), TALKS, GREEDY)
    assert [one.text for one in answers(model, TALKS, GREEDY)] == [one.text for one in plain]


def test_the_padding_token_is_not_the_one_that_ends_a_turn(model):
    tokenizer = model.chat.tokenizer
    assert local.pad_id(tokenizer) == tokenizer.convert_tokens_to_ids("<|endoftext|>")
    own = tiny.tiny_tokenizer()
    own.pad_token = own.eos_token
    assert local.pad_id(own) != own.eos_token_id


def test_a_row_that_passes_the_context_is_an_error_and_the_others_go_on(model):
    long = (Message(role="user", content="very " * 300),)
    found = answers(model, [TALKS[0], long, TALKS[1]], GREEDY)
    assert [one.status for one in found] == ["ok", "error", "ok"]
    assert "pass the context of 256" in found[1].error
    assert [found[0].text, found[2].text] == [one.text for one in answers(model, TALKS[:2], GREEDY)]
    assert [one.status for one in answers(model, [long], GREEDY)] == ["error"]


def test_the_context_holds_exactly_as_much_as_it_says(model):
    prompt = len(model.chat.prompt_ids(TALKS[1]))
    fits = Sampling(max_tokens=tiny.CONTEXT - prompt)
    assert answers(model, [TALKS[1]], fits)[0].status == "ok"
    over = Sampling(max_tokens=tiny.CONTEXT - prompt + 1)
    assert answers(model, [TALKS[1]], over)[0].status == "error"


def test_a_row_that_the_chat_template_refuses_is_an_error_and_the_others_go_on(tmp_path):
    model = open_tiny(make_tiny(tmp_path / "model", tiny.ALTERNATING))
    twice = (*TALKS[0], *TALKS[1])
    found = answers(model, [TALKS[0], twice, TALKS[1]], GREEDY)
    assert [one.status for one in found] == ["ok", "error", "ok"]
    assert "Roles must alternate" in found[1].error
    assert list(model.generate([], GREEDY)) == []


def test_more_rows_than_a_batch_are_answered_in_batches_of_its_size(model, monkeypatch):
    monkeypatch.setattr(local, "BATCH", 2)
    found = answers(model, [*TALKS, *TALKS], GREEDY)
    assert found[0].text == found[3].text == answers(model, TALKS[:1], GREEDY)[0].text


def plain_score(model, talk, candidate):
    """Return the log-probability of a reply by one forward pass over all of it, without a cache."""
    prompt, reply = model.chat.prompt_ids(talk), model.chat.reply_ids(candidate)
    with torch.inference_mode():
        logits = model.model(input_ids=torch.tensor([prompt + reply])).logits[0].float()
    picked = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return picked[range(len(reply)), reply].sum().item()


CANDIDATES = [("Yes", "No"), ("a", "", "a much longer candidate, with <|im_end|> in it"), ("only",)]
CHOICES = [Choice(talk, own) for talk, own in zip(TALKS, CANDIDATES, strict=True)]


def scores(model, choices):
    found = sorted(model.score(choices), key=lambda one: one.index)
    assert [one.index for one in found] == list(range(len(choices)))
    return found


def test_a_score_is_that_of_a_plain_forward_pass(model):
    for choice, found in zip(CHOICES, scores(model, CHOICES), strict=True):
        expected = [plain_score(model, choice.conversation, c) for c in choice.candidates]
        assert found.log_probabilities == pytest.approx(expected, abs=1e-4)
        assert found.tokens == tuple(len(model.chat.reply_ids(c)) for c in choice.candidates)
        assert all(math.isfinite(value) and value < 0 for value in found.log_probabilities)


def test_a_choice_that_passes_the_context_is_an_error_of_its_own(model):
    long = Choice(user("word " * tiny.CONTEXT), ("a", "b"))
    first, second, third = scores(model, [CHOICES[0], long, CHOICES[1]])
    assert (second.log_probabilities, second.tokens) == ((), ())
    assert "pass the context" in second.error
    assert first.error is third.error is None
    expected = scores(model, CHOICES[:2])
    assert first.log_probabilities == pytest.approx(expected[0].log_probabilities, abs=1e-4)
    assert third.log_probabilities == pytest.approx(expected[1].log_probabilities, abs=1e-4)


def test_the_first_tokens_are_those_of_a_plain_forward_pass(model):
    talks = [user("How do I kill a process?"), user("word " * tiny.CONTEXT), user("Summarise.")]
    found = sorted(model.first_tokens(talks), key=lambda one: one.index)
    assert isinstance(model, FirstTokens)
    assert "pass the context" in found[1].error
    for talk, one in ((talks[0], found[0]), (talks[2], found[2])):
        ids = torch.tensor([model.chat.prompt_ids(talk)])
        with torch.inference_mode():
            expected = model.model(input_ids=ids).logits[0, -1].log_softmax(-1)
        values = [value for _, value in one.first]
        assert values == sorted(values, reverse=True)
        assert values == pytest.approx(expected.topk(len(values)).values.tolist(), abs=1e-4)
        assert sum(math.exp(value) for value in values) <= 1 + 1e-6


@settings(max_examples=10)
@given(order=st.permutations(range(3)))
def test_the_order_of_candidates_does_not_matter(tiny_folder, order):
    model = open_tiny_once(tiny_folder)
    mixed = Choice(TALKS[1], tuple(CANDIDATES[1][i] for i in order))
    found = scores(model, [CHOICES[0], mixed])[1].log_probabilities
    expected = scores(model, CHOICES)[1].log_probabilities
    assert found == pytest.approx([expected[i] for i in order], abs=1e-4)


def test_the_order_and_number_of_choices_do_not_matter(model, monkeypatch):
    expected = scores(model, CHOICES)
    turned = scores(model, CHOICES[::-1])
    for one, other in zip(expected, turned[::-1], strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)
    monkeypatch.setattr(local, "SCORED", 2)
    for one, other in zip(expected, scores(model, CHOICES), strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


_OPEN = {}


def open_tiny_once(folder):
    if folder not in _OPEN:
        _OPEN[folder] = open_tiny(folder)
    return _OPEN[folder]


def test_a_folder_is_opened_with_an_identity_that_its_weights_and_template_decide(
    tiny_folder, tmp_path
):
    first = open_local(tiny_folder)
    assert first.identity["name"] == "hf:model"
    assert first.identity == open_local(tiny_folder).identity
    named = open_local(tiny_folder, name="mine").identity
    assert named == {**first.identity, "name": "mine"}
    other = make_tiny(tmp_path / "model", tiny.TRIMMING)
    assert open_local(other).identity["chat"] != first.identity["chat"]
    assert open_local(other).identity["weights"] == first.identity["weights"]


def test_a_config_that_changes_outputs_changes_the_identity(tiny_folder, tmp_path):
    first = open_local(tiny_folder).identity
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    for name, changes, same in [
        ("config.json", {"transformers_version": "0"}, True),
        ("generation_config.json", {"eos_token_id": [2, 7]}, False),
        ("config.json", {"rms_norm_eps": 0.1}, False),
    ]:
        value = json.loads((tiny_folder / name).read_text())
        (folder / name).write_text(json.dumps({**value, **changes}))
        assert (open_local(folder).identity == first) is same
        shutil.copy(tiny_folder / name, folder / name)


def test_the_hash_of_weights_follows_the_bytes_whatever_is_remembered(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    first = weights_hash(folder)
    assert weights_hash(folder) == first
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert weights_hash(folder) != first
    (folder / ".selaras-sha256.json").write_text("[]")
    assert len(weights_hash(folder)) == 64


def test_what_is_no_model_is_said_in_one_line(tiny_folder, tmp_path):
    with pytest.raises(InputError, match="not a model folder"):
        open_local(tmp_path / "none")
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        open_local(broken)
    assert "\n" not in str(caught.value)
    (broken / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_local(broken)
    cut = shutil.copytree(tiny_folder, tmp_path / "cut")
    (cut / "config.json").write_text('{"model_type": "llama"')
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_local(cut)


def test_weights_that_can_hold_code_and_code_of_the_models_own_are_refused(tiny_folder, tmp_path):
    pickled = shutil.copytree(tiny_folder, tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_local(pickled)
    coded = shutil.copytree(tiny_folder, tmp_path / "coded")
    config = json.loads((coded / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {
        "AutoConfig": "code.Own", "AutoModelForCausalLM": "code.Own"}}  # fmt: skip
    (coded / "config.json").write_text(json.dumps(config))
    (coded / "code.py").write_text("raise SystemExit('code of the model ran')\n")
    # Asked for in a thread, because the library would put a question to the terminal otherwise.
    said = []
    asking = threading.Thread(target=lambda: said.append(raised(open_local, coded)))
    asking.start()
    asking.join(20)
    assert not asking.is_alive()
    assert isinstance(said[0], ModelError)


def raised(function, *args):
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - handed to the thread that waits
        return error


def test_the_precision_is_one_the_processor_is_good_at(tiny_folder, monkeypatch):
    for dtype in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(local, "best_dtype", lambda dtype=dtype: dtype)
        model = open_local(tiny_folder)
        assert model.model.dtype is dtype
        assert model.identity["dtype"] == str(dtype).removeprefix("torch.")
