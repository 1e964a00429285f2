"""A fast tokenizer's vocabulary as GGUF metadata: the same text gives the same ids in llama.cpp.

Two kinds are carried over: byte-level BPE (llama.cpp's "gpt2") and BPE over characters that falls
back on bytes, as Gemma's and Llama 2's ("llama", which merges by score: a merge's rank stands for
it). How text is cut before merging is a name in llama.cpp, told from the tokenizer's own rule.
"""

from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.files import read_json, read_text

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
NO_SCORE = -1e6
_LLAMA3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
_QWEN2 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
# The beginning of a rule that cuts text to llama.cpp's name for it.
RULES = {_LLAMA3: "llama-bpe", _QWEN2: "qwen2"}


def write_vocabulary(writer: Any, folder: Path, size: int) -> None:
    """Add tokens, merges or scores, special ids and chat template of a folder's tokenizer.

    Raises InputError for a tokenizer of another kind. Ids past the tokenizer's own, up to `size`,
    are marked unused.
    """
    path = folder / "tokenizer.json"
    told = read_json(path)
    model = told.get("model", {})
    if model.get("type") != "BPE":
        raise InputError(
            f"a tokenizer of type {model.get('type')!r} is not carried over to GGUF", path=path,
            fix="export --to merged, and convert the folder with llama.cpp's own script",
        )  # fmt: skip
    ids = {**model["vocab"], **{token["content"]: token["id"] for token in told["added_tokens"]}}
    if max(ids.values()) >= size:
        raise InputError(
            f"the tokenizer has ids up to {max(ids.values())}, the model has rows for {size}",
            path=path,
        )
    words = {number: word for word, number in ids.items()}
    tokens = [words.get(i, f"[UNUSED{i}]") for i in range(size)]
    types = _types(told, tokens, words)
    merges = [pair.split(" ", 1) if isinstance(pair, str) else pair for pair in model["merges"]]
    if model.get("byte_fallback"):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(_scores(tokens, merges))
        writer.add_add_space_prefix(_adds_space(told))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_rule(told, path))
        writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    _write_special(writer, folder, ids)


def _types(told: dict[str, Any], tokens: list[str], words: dict[int, str]) -> list[int]:
    types = [NORMAL if i in words else UNUSED for i in range(len(tokens))]
    if told["model"].get("byte_fallback"):
        types = [
            BYTE if len(token) == 6 and token.startswith("<0x") else kind
            for token, kind in zip(tokens, types, strict=True)
        ]
    for token in told["added_tokens"]:
        types[token["id"]] = CONTROL if token["special"] else USER_DEFINED
    return types


def _scores(tokens: list[str], merges: list[list[str]]) -> list[float]:
    """Return scores by which llama.cpp merges in the order of the ranks.

    >>> _scores(["a", "b", "ab"], [["a", "b"]])
    [-1000000.0, -1000000.0, -0.0]
    """
    ranks: dict[str, int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault("".join(pair), rank)
    return [-float(ranks[token]) if token in ranks else NO_SCORE for token in tokens]


def _adds_space(told: dict[str, Any]) -> bool:
    steps = _flat(told.get("normalizer"), "normalizers")
    cut = told.get("pre_tokenizer") or {}
    return any(step["type"] == "Prepend" for step in steps) or (
        cut.get("type") == "Metaspace" and cut.get("prepend_scheme") != "never"
    )


def _rule(told: dict[str, Any], path: Path) -> str:
    """Return llama.cpp's name for how the tokenizer cuts text before merging."""
    steps = _flat(told.get("pre_tokenizer"), "pretokenizers")
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"]:
        rule = str(steps[0]["pattern"].get("Regex", ""))
        for beginning, name in RULES.items():
            if rule.startswith(beginning):
                return name
    raise InputError(
        f"how this tokenizer cuts text ({', '.join(kinds) or 'not at all'}) has no name here",
        path=path,
        fix="export --to merged, and convert the folder with llama.cpp's own script",
    )


def _flat(step: dict[str, Any] | None, inner: str) -> list[dict[str, Any]]:
    if not step:
        return []
    return list(step[inner]) if step["type"] == "Sequence" else [step]


def _write_special(writer: Any, folder: Path, ids: dict[str, int]) -> None:
    config = read_json(folder / "tokenizer_config.json")
    added = {
        "bos_token": writer.add_bos_token_id,
        "eos_token": writer.add_eos_token_id,
        "unk_token": writer.add_unk_token_id,
        "pad_token": writer.add_pad_token_id,
    }
    for field, add in added.items():
        word = config.get(field)
        word = word.get("content") if isinstance(word, dict) else word
        if word in ids:
            add(ids[word])
    after = read_json(folder / "tokenizer.json").get("post_processor") or {}
    single = [piece for step in _flat(after, "processors") for piece in step.get("single", [])]
    writer.add_add_bos_token(bool(single) and "SpecialToken" in single[0])
    writer.add_add_eos_token(False)
    template = folder / "chat_template.jinja"
    text = read_text(template) if template.is_file() else config.get("chat_template")
    if text:
        writer.add_chat_template(text)
