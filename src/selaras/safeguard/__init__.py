"""Safeguards: a guard that enforces the policy where prompt and tuning are not enough."""
