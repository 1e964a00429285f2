"""Prompt debugging: which part of the prompt made the model say that, and how sure that is."""
