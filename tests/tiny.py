"""A random two-layer Llama with a small byte-level BPE tokenizer, made here without any network.

Its chat template is ChatML with a default system prompt, as SmolLM2's; the other templates are what
models in the wild do instead. `<tool_call>` is an added token that is not special, as in Qwen.
"""

from pathlib import Path
from typing import Any

from selaras.models.local import LocalModel
from selaras.models.local_chat import ChatTokenizer
from selaras.models.local_torch import torch, transformers
from selaras.models.local_weights import load_weights

CONTEXT = 256
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TOOL = "<tool_call>"
CONTROL = (*SPECIAL, TOOL)
DEFAULT_SYSTEM = "You are a helpful AI assistant named Tiny"

CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\n" + DEFAULT_SYSTEM + "<|im_end|>\n' }}"
    "{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_TURNS = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>\n' }}"
    "{% endfor %}{{ '<|im_start|>assistant\n' }}"
)
TRIMMING = _TURNS
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)
DROPS_SYSTEM = CHATML.replace(
    "{% for message in messages %}", "{% for message in messages if message['role'] != 'system' %}"
).replace("{% if loop.first and messages[0]['role'] != 'system' %}", "{% if false %}")
ALTERNATING = (
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}{% endfor %}" + _TURNS
)

_SENTENCES = (
    "How do I kill a process that hangs? Use the kill command with its number.",
    "How do I get rid of mould in the bathroom? Clean it with soda and let the room dry.",
    "I can't help with that. Here is what is safe: ask a pharmacist how much one may take.",
    "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.",
    "Summarise the article in one sentence. The article says that bread should rest.",
    "You are a helpful AI assistant. system user assistant Be brief, be kind.",
)


def tiny_tokenizer(template: str | None = CHATML) -> Any:
    """Return the tokenizer with the chat template, or with none."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    core = tokenizers.Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        show_progress=False,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator(_SENTENCES, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_tokens([TOOL])
    tokenizer.chat_template = template
    return tokenizer


def tiny_chat(template: str | None = CHATML) -> ChatTokenizer:
    """Return the tokenizer as the library uses it."""
    return ChatTokenizer(tiny_tokenizer(template))


def make_tiny(folder: Path, template: str | None = CHATML) -> Path:
    """Write the model and its tokenizer in Hugging Face layout and return the folder."""
    tokenizer = tiny_tokenizer(template)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        # Large enough that the likeliest token is never a matter of rounding.
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tiny_reward(base: Path, folder: Path, seed: int = 5) -> Path:
    """Write a reward model's adapter over the tiny model, its head and weights random."""
    import peft

    from selaras.models.local_reward import load_scalar

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, _ = load_scalar(base, torch.float32)
        config = peft.LoraConfig(
            r=2, target_modules=["q_proj", "v_proj"], task_type="SEQ_CLS", init_lora_weights=False
        )
        peft.get_peft_model(model, config).save_pretrained(folder)
    return folder


def open_tiny(folder: Path) -> LocalModel:
    """Return the model of a folder in float32, so that figures can be compared closely."""
    model, tokenizer = load_weights(folder, torch.float32)
    return LocalModel(model, ChatTokenizer(tokenizer), {"name": "tiny"})


def make_tiny_gemma(folder: Path) -> Path:
    """Write a random Gemma 3 of six layers, whose tokenizer falls back on bytes as Gemma's does."""
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    core = tokenizers.Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    core.normalizer = normalizers.Replace(" ", "▁")
    core.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=420, show_progress=False, special_tokens=special + alphabet
    )
    core.train_from_iterator(_SENTENCES, trainer)
    made = core.to_str().replace('"special":true', '"special":false')
    core = tokenizers.Tokenizer.from_str(made)
    tokenizer = transformers.GemmaTokenizerFast(
        tokenizer_object=core, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>",
        unk_token="<unk>",
    )  # fmt: skip
    config = transformers.Gemma3TextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=6,
        num_attention_heads=2, num_key_value_heads=1, head_dim=256, query_pre_attn_scalar=256,
        max_position_embeddings=CONTEXT, sliding_window=64, initializer_range=0.2,
        bos_token_id=2, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = transformers.Gemma3ForCausalLM(config)
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight"):
                torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
