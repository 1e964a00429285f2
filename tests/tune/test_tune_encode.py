"""Rows to ids and labels: the loss covers the response and its stop token, and nothing leaks in."""

from hypothesis import given
from hypothesis import strategies as st

from selaras.core.project import UseCase
from selaras.core.records import Example, Message
from selaras.template import PLAIN, render
from selaras.tune.encode import IGNORED, encode
from tiny import CONTROL, tiny_chat

CHAT = tiny_chat()
TOKENIZER = CHAT.tokenizer
CONTROL_IDS = {TOKENIZER.convert_tokens_to_ids(word) for word in CONTROL}
ANSWER = UseCase(id="answer", title="Answer")

text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Co"]), min_size=1, max_size=40),
    st.lists(st.sampled_from([*CONTROL, "a", "\n", "<|"]), min_size=1, max_size=4).map("".join),
)


def plain(row):
    return render(PLAIN, row, ANSWER).messages


def one(query, response, **more):
    row = Example(id="r", query=query, response=response, **more)
    encoded = encode([row], plain, CHAT, 100_000)
    return encoded.input_ids[0], encoded.labels[0]


@given(text.filter(str.strip), text)
def test_labels_ignore_exactly_the_prompt_and_equal_the_ids_on_the_response(query, response):
    ids, labels = one(query, response)
    prompt = CHAT.prompt_ids((Message(role="user", content=query),))
    assert list(ids[: len(prompt)]) == prompt
    assert set(labels[: len(prompt)]) == {IGNORED}
    assert labels[len(prompt) :] == ids[len(prompt) :]
    assert IGNORED not in labels[len(prompt) :]
    assert TOKENIZER.decode(labels[len(prompt) : -1]) == response


@given(text.filter(str.strip), text)
def test_the_stop_token_is_trained_last_and_only_there(query, response):
    _, labels = one(query, response)
    assert labels[-1] == TOKENIZER.eos_token_id
    trained = [label for label in labels if label in CONTROL_IDS]
    assert trained == [TOKENIZER.eos_token_id]


def test_no_metadata_reaches_the_model():
    secrets = {
        "id": "ID-quartz", "policies": ("POLICY-basalt",), "use_case": "USECASE-granite",
        "source": "SOURCE-marble", "licence": "LICENCE-slate", "parents": ("PARENT-gneiss",),
        "cluster": "CLUSTER-shale", "kind": "look_alike", "expected": "safe_completion",
        "response_label": "safe",
    }  # fmt: skip
    row = Example(query="How do I kill a process?", response="Use kill.", **secrets)
    encoded = encode([row], plain, CHAT, 1000)
    shown = TOKENIZER.decode(encoded.input_ids[0])
    assert "How do I kill a process?" in shown
    assert shown.endswith("<|im_start|>assistant\nUse kill.<|im_end|>")
    for value in secrets.values():
        for word in (value,) if isinstance(value, str) else value:
            assert word not in shown
            assert word.partition("-")[2] not in shown or "-" not in word


@given(st.dictionaries(st.sampled_from(["id", "source", "licence", "cluster", "use_case"]),
                       st.text("abcdef", min_size=1, max_size=9)))  # fmt: skip
def test_metadata_changes_nothing_in_ids_or_labels(metadata):
    row = Example(id="r", query="Hi", response="Hello.")
    other = row.model_copy(update=metadata)
    first, second = (encode([r], plain, CHAT, 1000) for r in (row, other))
    assert (first.input_ids, first.labels) == (second.input_ids, second.labels)


@given(st.lists(st.integers(0, 60), max_size=12), st.integers(40, 120))
def test_a_row_that_is_too_long_is_left_out_whole_and_named(lengths, limit):
    rows = [Example(id=f"r{i}", query="Hi", response="z" * n) for i, n in enumerate(lengths)]
    encoded = encode(rows, plain, CHAT, limit)
    all_rows = encode(rows, plain, CHAT, 10_000)
    fits = [len(ids) <= limit for ids in all_rows.input_ids]
    assert encoded.too_long == tuple(row.id for row, fit in zip(rows, fits, strict=True) if not fit)
    assert encoded.input_ids == tuple(
        ids for ids, fit in zip(all_rows.input_ids, fits, strict=True) if fit
    )
    assert encoded.tokens == sum(map(len, encoded.input_ids))
    assert len(encoded.labels) == len(encoded.input_ids)


def test_a_response_goes_on_from_its_beginning_in_the_tokens_of_running_text():
    row = Example(id="r", query="q", response="I can't help with that.")
    encoded = encode([row], plain, CHAT, 1000, begun={"r": "Sure, here is how to do it:"})
    whole = CHAT.reply_ids("Sure, here is how to do it: I can't help with that.")
    assert list(encoded.input_ids[0][-len(whole) :]) == whole
    taught = [label for label in encoded.labels[0] if label != IGNORED]
    assert TOKENIZER.decode(taught[:-1]) == " I can't help with that."
