"""`.prompt` files: parsed to segments before any value is put in, rendered to messages."""

from selaras.template.prompt import PLAIN, PromptTemplate, load_prompt, parse_prompt
from selaras.template.render import render
from selaras.template.segment import Rendered, Segment

__all__ = [
    "PLAIN",
    "PromptTemplate",
    "Rendered",
    "Segment",
    "load_prompt",
    "parse_prompt",
    "render",
]
