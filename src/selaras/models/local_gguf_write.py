"""Plain models to GGUF files, as llama.cpp reads them.

What llama.cpp wants otherwise than transformers keeps it is said once an architecture: Llama's
query and key rows lie in another order (llama.cpp rotates neighbours, transformers halves), and
Gemma's norms are stored with the 1 that transformers adds at run time. Tokens keep their ids.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError, MissingExtraError
from selaras.core.files import read_json
from selaras.models.local_gguf_vocabulary import write_vocabulary
from selaras.models.local_torch import torch

try:
    import gguf
    from safetensors import safe_open
except ImportError as error:
    raise MissingExtraError(error.name or "gguf", "local") from error

Precision = Literal["f32", "f16", "bf16", "q8_0"]
PRECISIONS: dict[Precision, tuple[gguf.GGMLQuantizationType, gguf.LlamaFileType]] = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "bf16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
# llama.cpp takes every sixth layer of Gemma 3 for one of full attention; no key says otherwise.
GEMMA3_FULL_EVERY = 6


@dataclass(frozen=True, slots=True)
class Architecture:
    """How llama.cpp knows an architecture, and what its weights want changed."""

    name: str
    tensors: gguf.MODEL_ARCH
    interleaved: bool = False
    norms_plus_one: bool = False


ARCHITECTURES = {
    "llama": Architecture("llama", gguf.MODEL_ARCH.LLAMA, interleaved=True),
    "mistral": Architecture("llama", gguf.MODEL_ARCH.LLAMA, interleaved=True),
    "gemma3_text": Architecture("gemma3", gguf.MODEL_ARCH.GEMMA3, norms_plus_one=True),
}


def write_gguf(
    folder: Path, target: Path, precision: Precision, *, name: str, licence: str = ""
) -> None:
    """Write the model of a folder in HF layout into the GGUF file `target`.

    Matrices take the precision, norms stay float32. Raises InputError for an architecture, a
    rotation of positions or a tokenizer that this cannot carry over, before anything is written.
    """
    config = read_json(folder / "config.json")
    made = _architecture(config)
    writer = gguf.GGUFWriter(str(target), made.name)
    writer.add_name(name)
    if licence:
        writer.add_license(licence)
    _write_sizes(writer, config)
    write_vocabulary(writer, folder, int(config["vocab_size"]))
    kind, file_type = PRECISIONS[precision]
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for tensor, weight in _tensors(folder, config, made):
        own = gguf.GGMLQuantizationType.F32 if weight.ndim == 1 else kind
        try:
            stored = gguf.quants.quantize(weight, own)
        except ValueError as error:
            raise InputError(
                f"{tensor} cannot be stored as {precision} ({error})", fix="use --precision f16"
            ) from error
        writer.add_tensor(tensor, stored, raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _architecture(config: dict[str, Any]) -> Architecture:
    kind = str(config.get("model_type"))
    if kind not in ARCHITECTURES:
        raise InputError(
            f"GGUF of the architecture {kind!r} is not written here "
            f"(known: {', '.join(ARCHITECTURES)})",
            fix="export --to merged, and convert the folder with llama.cpp's own script",
        )
    if what := _unsaid(config):
        raise InputError(
            f"GGUF with {what} is not written here",
            fix="export --to merged, and convert the folder with llama.cpp's own script",
        )
    return ARCHITECTURES[kind]


def _unsaid(config: dict[str, Any]) -> str | None:
    """Return what the model does that no key written here would tell llama.cpp."""
    if any(rope.get("rope_type", "default") != "default" for rope in _ropes(config)):
        return "scaled positions"
    if config["model_type"] != "gemma3_text":
        return None
    layers = config.get("layer_types") or []
    full = [i for i, kind in enumerate(layers) if kind == "full_attention"]
    if full != list(range(GEMMA3_FULL_EVERY - 1, len(layers), GEMMA3_FULL_EVERY)):
        return "this order of attention layers"
    return None if config["query_pre_attn_scalar"] == config["head_dim"] else "this attention scale"


def _ropes(config: dict[str, Any]) -> list[dict[str, Any]]:
    ropes = config.get("rope_parameters") or {}
    return [rope for rope in ropes.values() if isinstance(rope, dict)] or [ropes]


def _write_sizes(writer: Any, config: dict[str, Any]) -> None:
    ropes = config.get("rope_parameters") or {}
    rope = ropes.get("full_attention", ropes)
    heads = int(config["num_attention_heads"])
    head = int(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_vocab_size(int(config["vocab_size"]))
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(int(config["hidden_size"]))
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta", 10000.0)))
    if config.get("sliding_window"):
        writer.add_sliding_window(int(config["sliding_window"]))


def _tensors(
    folder: Path, config: dict[str, Any], made: Architecture
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield (GGUF name, float32 weights), one file after the other."""
    names = gguf.get_tensor_name_map(made.tensors, int(config["num_hidden_layers"]))
    heads = int(config["num_attention_heads"])
    shared = int(config.get("num_key_value_heads") or heads)
    turned = {".q_proj.weight": heads, ".k_proj.weight": shared}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as source:
            for name in source.keys():  # noqa: SIM118 - no mapping
                if name == "lm_head.weight" and config.get("tie_word_embeddings"):
                    continue
                told = names.get_name(name, try_suffixes=(".weight", ".bias"))
                if told is None:
                    raise InputError(f"llama.cpp has no place for {name}", path=path)
                weight = source.get_tensor(name).to(torch.float32).numpy()
                if made.interleaved:
                    for ending, count in turned.items():
                        weight = _interleaved(weight, count) if name.endswith(ending) else weight
                if made.norms_plus_one and name.endswith("norm.weight"):
                    weight = weight + 1
                yield told, np.ascontiguousarray(weight)


def _interleaved(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Return rows reordered so that what is rotated together lies side by side.

    >>> _interleaved(np.arange(4.0).reshape(4, 1), 1)[:, 0].tolist()
    [0.0, 2.0, 1.0, 3.0]
    """
    rows = weight.shape[0]
    halves = weight.reshape(heads, 2, rows // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)
