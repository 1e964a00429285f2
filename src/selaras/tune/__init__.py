"""Tuning: SFT of an adapter, guarded against refusing what merely sounds unsafe.

The modules that need torch are imported by name (`selaras.tune.sft`); this one stays light.
"""

# What a tuned model leaves as: name to what writes it, `(Tuned, folder, precision) -> None`.
EXPORTS = {
    "adapter": "selaras.tune.export:to_adapter",
    "gguf": "selaras.tune.export:to_gguf",
    "merged": "selaras.tune.export:to_merged",
}
