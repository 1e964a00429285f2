"""Few-shot examples: rows into the examples block of a template, their text never scanned."""

from collections.abc import Callable, Mapping, Sequence

from selaras.core.errors import InputError
from selaras.core.records import Example, Preference, Query
from selaras.template.lex import lex
from selaras.template.prompt import INPUT, QUERY, RESPONSE, PromptTemplate, Shown, filled_with
from selaras.template.write import with_front

Written = Callable[[Query], str]


def with_examples(
    template: PromptTemplate, rows: Sequence[Query], written: Written = lambda row: row.query
) -> PromptTemplate:
    """Return the template with these rows as its few-shot examples, named in its front matter.

    `written` says what {{input}} stands for in a row. Raises InputError where the template has no
    examples block, or a row has no response.
    """
    if template.span("examples") is None:
        raise InputError(
            "the template has no place for few-shot examples",
            fix="mark it: {{! examples }}{{query}} {{response}}{{! /examples }}",
        )
    examples = template.front.selaras.examples
    value = {"rows": [row.id for row in rows], "inline": list(map(dict, examples.inline))}
    kept = {name: items for name, items in value.items() if items}
    return read_examples(with_front(template, {"examples": kept or None}), rows, written)


def read_examples(
    template: PromptTemplate, rows: Sequence[Query], written: Written = lambda row: row.query
) -> PromptTemplate:
    """Return the template with the rows that its front matter names read out of `rows`.

    Raises InputError for a row that is not among them: give development rows only.
    """
    by_id: Mapping[str, Query] = {row.id: row for row in rows}
    examples = template.front.selaras.examples
    for name in examples.rows:
        if name not in by_id:
            raise InputError(
                f"the few-shot example {name!r} is not among the development rows",
                field="selaras.examples", fix="name another row (a sealed one is never shown)",
            )  # fmt: skip
    inline = [Shown(f"inline-{i}", values) for i, values in enumerate(examples.inline, 1)]
    shown = [Shown(name, values_of(by_id[name], written)) for name in examples.rows]
    return filled_with(template, [*inline, *shown])


def next_example(template: PromptTemplate) -> str | None:
    """Return how the next example of a raw prefix would begin: where a model's answer ends.

    A pre-trained model goes on after its answer, with an example of its own making. None for a
    chat, which the model ends itself, and where no example shows the pattern.

    >>> from selaras.template.prompt import parse_prompt
    >>> head = "---\\nselaras: {form: raw, examples: {inline: [{query: a, response: b}]}}\\n---\\n"
    >>> block = "{{! examples }}\\nQ: {{query}}\\nA: {{response}}\\n{{! /examples }}\\n"
    >>> next_example(parse_prompt(head + block + "Q: {{input}}\\nA:"))
    '\\nQ:'
    """
    span = template.span("examples")
    if template.front.selaras.form != "raw" or span is None or not template.shown:
        return None
    first = next(lex(template.body[span.start : span.end].lstrip()), None)
    label = first.text.strip().split("\n")[0] if first and first.kind == "text" else ""
    return f"\n{label}" if label else None


def values_of(row: Query, written: Written = lambda row: row.query) -> dict[str, str]:
    """Return what a row puts into an examples block; raises InputError where it has no response."""
    response = ""
    if isinstance(row, Example):
        response = row.response
    elif isinstance(row, Preference) and row.best != "tie":
        response = row.response_a if row.best == "a" else row.response_b
    if not response.strip():
        raise InputError(f"row {row.id} has no response to show", fix="choose another example")
    return {**row.context, QUERY: row.query, INPUT: written(row), RESPONSE: response}
