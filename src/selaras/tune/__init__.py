"""Tuning: SFT of an adapter, guarded against refusing what merely sounds unsafe.

The modules that need torch are imported by name (`selaras.tune.sft`); this one stays light.
"""
