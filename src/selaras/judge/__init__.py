"""Judges: a response in, a verdict out.

Each name in JUDGES stands for a `Judge`:

>>> from selaras.core.late import resolve
>>> resolve(JUDGES["refusal-rules"]).judge("How?", "I can't help with that.").value
'full'
"""

from selaras.judge.verdict import Axis, Judge, Judgement, Status, Verdict, verdict_of

JUDGES = {"refusal-rules": "selaras.judge.refusal:refusal_rules"}

__all__ = ["JUDGES", "Axis", "Judge", "Judgement", "Status", "Verdict", "verdict_of"]
