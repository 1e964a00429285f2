"""A template and a row to messages, with every stretch's origin kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from selaras.core.errors import InputError
from selaras.core.project import UseCase
from selaras.core.records import Message, Query
from selaras.template.prompt import (
    INPUT,
    QUERY,
    Filled,
    Literal,
    Piece,
    PromptTemplate,
    Turn,
    Variable,
    parse_pieces,
)
from selaras.template.segment import Origin, Rendered, Segment


@dataclass(frozen=True, slots=True)
class _Stretch:
    text: str
    origin: Origin
    name: str | None = None


def render(template: PromptTemplate, row: Query, use_case: UseCase) -> Rendered:
    """Return the messages of a row under a template.

    The row's earlier turns stand before the template's last turn. A variable without a value takes
    the template's `input.default`. Raises InputError for a variable without either, for few-shot
    examples whose rows were not read, and for a value that has no place in the template: input
    that never reaches the model would make every figure meaningless.

    >>> from selaras.template.prompt import PLAIN
    >>> case = UseCase(id="answer", title="Answer")
    >>> render(PLAIN, Query(id="a", query="{{article}}?"), case).messages[0].content
    '{{article}}?'
    """
    for name in sorted({INPUT, QUERY} & set(row.context)):
        raise InputError(
            f"row {row.id}: a context value cannot be called {name!r}", field="context",
            fix="give it another name",
        )  # fmt: skip
    if template.unfilled:
        raise InputError(
            f"the few-shot examples were not read: {', '.join(template.unfilled[:3])}",
            field="selaras.examples", fix="fill the template with with_examples first",
        )  # fmt: skip
    values = {**row.context, QUERY: row.query}
    inner = parse_pieces(use_case.input)
    used: set[str] = set()
    messages: list[Message] = []
    segments: list[Segment] = []
    last = len(template.turns) - 1
    for number, turn in enumerate(template.turns):
        if number == last:
            messages += row.turns
            segments += [
                Segment(m.role, "user", i, 0, len(m.content))
                for i, m in enumerate(row.turns, number)
            ]
        origin = _origin(turn, number, template)
        given = {**template.front.input.default, **values}
        stretches = _stretches(turn.pieces, origin, given, inner, used)
        position = 0
        for stretch in stretches:
            end = position + len(stretch.text)
            segments.append(
                Segment(turn.role, stretch.origin, len(messages), position, end, stretch.name)
            )
            position = end
        messages.append(Message(role=turn.role, content="".join(s.text for s in stretches)))
    _nothing_lost(row, used)
    return Rendered(tuple(messages), tuple(segments))


def written_input(row: Query, use_case: UseCase) -> str:
    """Return the row as its use case writes it: what {{input}} stands for.

    >>> case = UseCase(id="sum", title="Sum up", input="{{query}} ({{article}})")
    >>> written_input(Query(id="a", query="Sum up", context={"article": "Moss"}), case)
    'Sum up (Moss)'
    """
    values = {**row.context, QUERY: row.query}
    pieces = parse_pieces(use_case.input)
    return "".join(s.text for s in _stretches(pieces, "user", values, (), set()))


def _origin(turn: Turn, number: int, template: PromptTemplate) -> Origin:
    if turn.role == "system":
        return "system"
    return "user" if number == len(template.turns) - 1 else "few_shot"


def _stretches(
    pieces: tuple[Piece, ...],
    origin: Origin,
    values: Mapping[str, str],
    inner: tuple[Piece, ...],
    used: set[str],
) -> list[_Stretch]:
    made: list[_Stretch] = []
    for piece in pieces:
        if isinstance(piece, Filled):
            made.append(_Stretch(piece.text, "few_shot", piece.mark))
        elif isinstance(piece, Literal):
            example = (piece.mark or "").startswith("example:")
            made.append(_Stretch(piece.text, "few_shot" if example else origin, piece.mark))
        elif piece.name == INPUT:
            if any(isinstance(p, Variable) and p.name == INPUT for p in inner):
                raise InputError(
                    "the use case's input stands for itself", field="input",
                    fix="write {{query}} and the names of context values in it",
                )  # fmt: skip
            made += _stretches(inner, origin, values, (), used)
        elif piece.name in values:
            used.add(piece.name)
            kind: Origin = "user" if piece.name == QUERY else "variable"
            made.append(_Stretch(values[piece.name], kind, piece.name))
        else:
            raise InputError(
                f"the variable {{{{{piece.name}}}}} has no value in this row",
                fix=f"give the row a context with {piece.name!r}",
            )
    return made


def _nothing_lost(row: Query, used: set[str]) -> None:
    lost = sorted(set(row.context) - used)
    if lost:
        raise InputError(
            f"row {row.id}: the template has no place for {', '.join(lost)}",
            fix="add {{" + lost[0] + "}} to the template or to the use case's input",
        )
    if not used:
        raise InputError(
            f"row {row.id}: the template has no place for the query",
            fix="add {{input}} or {{query}} to the template",
        )
