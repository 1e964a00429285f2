"""Chat templates for pre-trained models, which have none: attached by name or from a file.

    chatml   <|im_start|>role … <|im_end|>, as Qwen and SmolLM write it
    gemma    <start_of_turn>user … <end_of_turn>; a system text goes into the first user turn
    plain    "User: …" and "Assistant:", without control words: for any vocabulary

The reply ends with the token that the tokenizer ends a text with, whatever the template.
"""

from pathlib import Path

from selaras.core.errors import InputError
from selaras.core.files import read_text

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{{ message['content'] }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
PLAIN = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{{ message['content'] }}\n\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
TEMPLATES = {"chatml": CHATML, "gemma": GEMMA, "plain": PLAIN}


def read_chat_template(name: str, root: Path) -> str:
    """Return the Jinja text of a template: one of TEMPLATES, or a file of the project.

    Raises InputError where there is neither.
    """
    if name in TEMPLATES:
        return TEMPLATES[name]
    path = root / name
    if not path.is_file():
        raise InputError(
            f"no chat template {name!r}", field="tune.chat_template",
            fix=f"use one of: {', '.join(TEMPLATES)}; or name a Jinja file of the project",
        )  # fmt: skip
    return read_text(path)
