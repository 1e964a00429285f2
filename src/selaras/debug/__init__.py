"""Which part of the prompt made the model say that: attribution with its faithfulness measured.

`view_prompt` and `cut` give the segments, `whole_response` and `select` the target, a probe asks
the model, `attribute` makes the map. Nothing here is imported heavily until a model is asked.
"""

from selaras.debug.attribution import METHODS, SIGNED, Attribution, attribute
from selaras.debug.cuts import UNITS
from selaras.debug.faithfulness import Faithfulness, faithfulness
from selaras.debug.probe import LocalProbe, Probe
from selaras.debug.segments import PromptView, Segment, ablatable, cut, view_prompt
from selaras.debug.settings import Settings
from selaras.debug.store import AblationStore
from selaras.debug.target import Target, select, select_first, select_text, whole_response

__all__ = [
    "METHODS",
    "SIGNED",
    "UNITS",
    "AblationStore",
    "Attribution",
    "Faithfulness",
    "LocalProbe",
    "Probe",
    "PromptView",
    "Segment",
    "Settings",
    "Target",
    "ablatable",
    "attribute",
    "cut",
    "faithfulness",
    "select",
    "select_first",
    "select_text",
    "view_prompt",
    "whole_response",
]
