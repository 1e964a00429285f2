"""The embedded model: a prompt as it reaches it, and a whole `selaras start` on it."""

from pathlib import Path

import pytest

from selaras.models.names import Place
from selaras.prompt.shown import told_row
from selaras.starter.start import Request, start
from selaras.template import parse_prompt

pytestmark = pytest.mark.real
MODEL = "bundled:smollm2-135m-instruct"


def test_the_hidden_system_prompt_is_shown_and_tokens_are_the_models_own(tmp_path):
    from selaras.models.local_told import open_chat

    told = told_row(parse_prompt("{{query}}"), None, None, {"query": "Why?"}, MODEL)
    assert told.counted_by == MODEL
    assert any("SmolLM" in note for note in told.notes)
    chat = open_chat(MODEL, Place(tmp_path, tmp_path, tmp_path))
    text = "".join(stretch.text for stretch in told.stretches)
    assert told.tokens == len(chat.tokenizer(text, add_special_tokens=False)["input_ids"])
    system = parse_prompt('{{role "system"}}Be brief.{{role "user"}}{{query}}')
    spoken = told_row(system, None, None, {"query": "Why?"}, MODEL)
    assert [s.origin for s in spoken.stretches if s.text == "Be brief."] == ["system"]
    assert not spoken.notes


def test_a_start_on_the_embedded_model(tmp_path: Path) -> None:
    prompt = tmp_path / "shop.txt"
    prompt.write_text("You are the support agent of a plant shop. Answer in one sentence.")
    found = start(Request(tmp_path / "p", prompt, MODEL, most=12))
    assert found.before.figures["errors"]["count"] == 0
    assert found.worst
    assert found.principle is not None
    assert found.after is not None
    assert found.comparisons
