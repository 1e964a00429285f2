"""`tune.running` as TRL and transformers take it; what is not there is said in a line."""

import importlib.util
import os
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError, ModelError, one_line
from selaras.core.running import Running
from selaras.models.local import best_dtype
from selaras.models.local_torch import torch, transformers
from selaras.models.local_weights import load_weights

# A logger's package, and the variable that says where it writes.
LOGGERS = {
    "tensorboard": ("tensorboard", "TENSORBOARD_LOGGING_DIR"),
    "wandb": ("wandb", "WANDB_DIR"),
}


def running_arguments(running: Running, folder: Path) -> dict[str, Any]:
    """Return the fields of a TRL configuration; loggers write into `folder` unless told otherwise.

    Raises InputError where a logger that was asked for is not installed.
    """
    for name in running.report_to:
        package, variable = LOGGERS[name]
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"tune.running.report_to={name} needs the package {package!r}, which is not "
                "installed", fix=f"pip install {package}",
            )  # fmt: skip
        os.environ.setdefault(variable, str(folder / name))
        if name == "wandb":
            os.environ.setdefault("WANDB_SILENT", "true")
    return {
        "gradient_checkpointing": running.gradient_checkpointing,
        "report_to": list(running.report_to) or "none",
        # For the speed on the run's page.
        "include_num_input_tokens_seen": "non_padding",
    }


def base_weights(base: Path, running: Running, dtype: Any = None) -> tuple[Any, Any]:
    """Return (model, tokenizer) to put an adapter on, in 4 bits where that is asked for.

    `dtype` is what it multiplies in, the machine's best where none is said.

    Raises InputError where bitsandbytes is not there or cannot work on this machine.
    """
    dtype = best_dtype() if dtype is None else dtype
    if not running.four_bit:
        return load_weights(base, dtype)
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            "tune.running.four_bit needs the package 'bitsandbytes', which is not installed",
            fix="pip install bitsandbytes, or leave it out",
        )
    config = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=True,
    )
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            base, quantization_config=config, dtype=dtype, local_files_only=True,
            use_safetensors=True, trust_remote_code=False,
            device_map={"": 0} if torch.cuda.is_available() else {"": "cpu"},
        )  # fmt: skip
        tokenizer = transformers.AutoTokenizer.from_pretrained(base, local_files_only=True)
    except (ImportError, RuntimeError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"the base cannot be kept in 4 bits here ({one_line(str(error), 200)})",
            fix="--set tune.running.four_bit=false",
        ) from error
    except Exception as error:
        raise ModelError(f"{base}: cannot be loaded ({one_line(str(error), 200)})") from error
    return model, tokenizer
