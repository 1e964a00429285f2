"""Prompt templates improved from feedback, behind gates, proven on held-out rows."""
