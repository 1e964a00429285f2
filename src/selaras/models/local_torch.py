"""torch and transformers, imported once: without telemetry, progress bars or log noise."""

import ctypes
import gc
import os
import warnings

from selaras.core.errors import MissingExtraError

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

try:
    import torch
    import transformers
except ImportError as error:
    raise MissingExtraError(error.name or "transformers", "local") from error

# Said by trl's and peft's own calls into transformers; no user can act on it.
warnings.filterwarnings("ignore", message="`(is_)?gradient_checkpointing` is deprecated")
transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()


def give_back_memory() -> None:
    """Return freed memory to the system: glibc keeps what many large tensors leave behind."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


__all__ = ["give_back_memory", "torch", "transformers"]
