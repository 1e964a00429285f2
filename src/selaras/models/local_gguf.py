"""GGUF files to plain float32 models.

transformers counts a model read from GGUF as quantised: it refuses to save and to train it. So the
weights are copied into a model built from the configuration without its `quantization_config`.
"""

from pathlib import Path

from selaras.core.errors import ModelError, one_line
from selaras.models.local import pad_id
from selaras.models.local_torch import torch, transformers


def dequantise(path: Path, target: Path) -> None:
    """Write the model and tokenizer of a GGUF file into the folder `target`.

    Raises ModelError where transformers cannot read the file.
    """
    folder, name = str(path.parent), path.name
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder, gguf_file=name, local_files_only=True
        )
        quantised = transformers.AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=name, dtype=torch.float32, local_files_only=True
        )
    except Exception as error:
        reason = one_line(str(error), 200)
        raise ModelError(f"{path}: cannot be read as GGUF ({reason})") from error
    config = quantised.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    # Some files make the padding token equal to the one that ends a turn: training would then
    # never see the end.
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad_id(tokenizer))
    config.pad_token_id = pad_id(tokenizer)
    plain = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(quantised.state_dict())
    plain.generation_config = quantised.generation_config
    plain.generation_config.pad_token_id = pad_id(tokenizer)
    plain.save_pretrained(target, safe_serialization=True)
    tokenizer.save_pretrained(target)
