"""`.prompt` files: parsed to segments before any value is put in, rendered to messages."""

from selaras.template.few_shot import next_example, read_examples, with_examples
from selaras.template.front import ExampleSource, FrontMatter, Principle, SelarasBlock
from selaras.template.prompt import PLAIN, PromptTemplate, load_prompt, parse_prompt
from selaras.template.render import render, written_input
from selaras.template.segment import Rendered, Segment
from selaras.template.write import (
    Frozen,
    adopted,
    compile_principles,
    edited_by_hand,
    frozen_spans,
    save_prompt,
    with_body,
    with_front,
    with_principles,
    write_prompt,
)

__all__ = [
    "PLAIN",
    "ExampleSource",
    "FrontMatter",
    "Frozen",
    "Principle",
    "PromptTemplate",
    "Rendered",
    "Segment",
    "SelarasBlock",
    "adopted",
    "compile_principles",
    "edited_by_hand",
    "frozen_spans",
    "load_prompt",
    "next_example",
    "parse_prompt",
    "read_examples",
    "render",
    "save_prompt",
    "with_body",
    "with_examples",
    "with_front",
    "with_principles",
    "write_prompt",
    "written_input",
]
