"""Hidden states: what is read does not depend on the batch, and costs no more layers than asked."""

import numpy as np
import pytest

from selaras.core.errors import InputError
from selaras.core.records import Message
from tiny import make_tiny, open_tiny

TALKS = [
    (Message(role="user", content=text),)
    for text in ("How do I do it?", "How do I kill a process?", "Hi", "How do I do it again, then?")
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return open_tiny(make_tiny(tmp_path_factory.mktemp("tiny")))


def test_a_state_is_the_same_in_every_batch(model) -> None:
    together = model.hidden_states(TALKS, [1, 2])
    assert together.shape == (4, 2, 2 * model.model.config.hidden_size)
    alone = np.concatenate([model.hidden_states([talk], [1, 2]) for talk in TALKS])
    assert np.allclose(together, alone, atol=1e-4)
    assert not np.allclose(together[0], together[1])


def test_layers_above_the_wanted_one_are_not_run(model) -> None:
    seen = []
    hook = model.model.base_model.layers[1].register_forward_hook(lambda *_: seen.append(1))
    try:
        first = model.hidden_states(TALKS[2:3], [1])
    finally:
        hook.remove()
    assert not seen
    assert np.allclose(first[:, 0], model.hidden_states(TALKS[2:3], [2, 1])[:, 1], atol=1e-5)


def test_a_layer_that_is_not_there_is_an_error(model) -> None:
    with pytest.raises(InputError, match="layers 1 to 2"):
        model.hidden_states(TALKS[:1], [3])
