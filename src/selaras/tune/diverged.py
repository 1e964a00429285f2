"""Why a loss or a gradient is no number: weights that were none before, or too large a step."""

from pathlib import Path

from selaras.core.errors import InputError, SelarasError
from selaras.models.local_weights import broken_tensor


def diverged(what: str, step: int, base: Path, section: str, rate: float) -> SelarasError:
    """Return the error for a loss or gradient (`what`, in words) that is no number at a step.

    `section` and `rate` say which learning rate is to be lowered, where the base is whole.
    """
    if found := broken_tensor(base):
        return InputError(
            f"the {what} at step {step}, and the model's own weights are no numbers ({found})",
            path=base, fix="fetch or convert the model again",
        )  # fmt: skip
    return SelarasError(
        f"the {what} at step {step}: lower the learning rate "
        f"(--set {section}.learning_rate={rate / 4:g})"
    )
