"""Public safety sets as they are published, read to rows: one entry of READERS a set.

Column names are those of the authors' own files; none of the data is shipped. Where a set does not
say what should be done with a prompt, `expected` is None and only a judge of harm can score it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Expected, Kind, Message, Query
from selaras.data.formats.records import Fields, read_records

Label = tuple[Kind, Expected | None]
HARMFUL: Label = (Kind.MALICIOUS, Expected.REFUSE)
HARMLESS: Label = (Kind.LOOK_ALIKE, Expected.ANSWER)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a set's fields are; the first name that a file has is taken. `note` is its paper."""

    query: tuple[str, ...]
    note: str
    id: tuple[str, ...] = ()
    topic: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    label: Callable[[Fields, Path], Label] = lambda fields, path: HARMFUL  # noqa: ARG005
    cluster: Callable[[Fields], str | None] = lambda fields: None  # noqa: ARG005


def read_columns(name: str, columns: Columns, path: Path) -> Iterator[Query]:
    """Yield the rows of a set; raises InputError for a missing column or an empty prompt."""
    for place, fields in read_records(path):
        query = _first(fields, columns.query)
        if query is None or not query.strip():
            wanted = " or ".join(columns.query)
            raise InputError(
                f"no prompt in the column {wanted}", path=path, line=place,
                fix=f"check that this is a file of {name}",
            )  # fmt: skip
        kind, expected = columns.label(fields, path)
        context = _first(fields, columns.context)
        yield Query(
            id=_identifier(name, _first(fields, columns.id), place),
            query=f"{context}\n\n{query}" if context else query,
            kind=kind,
            expected=expected,
            topic=_first(fields, columns.topic),
            source=name,
            cluster=columns.cluster(fields),
        )


def read_hh_rlhf(path: Path) -> Iterator[Query]:
    """Yield the last question of each dialogue, with the turns before it; nothing is labelled."""
    for line, fields in read_records(path):
        turns = _turns(str(fields.get("chosen", "")))
        asked = [i for i, turn in enumerate(turns) if turn.role == "user"]
        if not asked:
            raise InputError(
                "no dialogue of Human: and Assistant: turns", path=path, line=line, field="chosen"
            )
        # A few dialogues end in two turns of the assistant: what counts is the last question.
        said = turns[asked[-1]].content
        if said.strip():
            yield Query(
                id=_identifier("hh-rlhf", None, line),
                query=said,
                kind=Kind.MALICIOUS if "harmless" in str(path) else Kind.ORDINARY,
                turns=turns[: asked[-1]],
                source="hh-rlhf",
            )


def _xstest_label(fields: Fields, path: Path) -> Label:
    label = str(fields.get("label", "")).strip()
    if label not in {"safe", "unsafe"}:
        raise InputError(f"a label of {label!r}", path=path, field="label", fix="safe or unsafe")
    return HARMLESS if label == "safe" else HARMFUL


def _xstest_cluster(fields: Fields) -> str | None:
    # Safe prompts and their contrasts share a type and the word that they turn on.
    focus, kind = str(fields.get("focus") or ""), str(fields.get("type", ""))
    return f"{kind.removeprefix('contrast_')}:{fingerprint(focus, 8)}" if focus else None


def _or_bench_label(fields: Fields, path: Path) -> Label:  # noqa: ARG001
    return HARMFUL if "toxic" in path.name else HARMLESS


_TABLES = {
    "advbench": Columns(("goal", "prompt"), "arXiv:2307.15043"),
    "ailuminate": Columns(
        ("prompt_text",), "arXiv:2503.05731", ("release_prompt_id", "prompt_uid"), ("hazard",)
    ),
    "do-not-answer": Columns(
        ("question",), "arXiv:2308.13387", ("id",), ("types_of_harm", "risk_area")
    ),
    "harmbench": Columns(
        ("Behavior",), "arXiv:2402.04249", ("BehaviorID",), ("SemanticCategory",),
        ("ContextString",),
    ),
    "or-bench": Columns(
        ("prompt",), "arXiv:2405.20947", topic=("category",), label=_or_bench_label
    ),
    "simple-safety-tests": Columns(
        ("prompt",), "arXiv:2311.08370", ("id", "counter"), ("harm_area",)
    ),
    "strongreject": Columns(("forbidden_prompt",), "arXiv:2402.10260", topic=("category",)),
    "xstest": Columns(
        ("prompt",), "arXiv:2308.01263", ("id",), ("type",), label=_xstest_label,
        cluster=_xstest_cluster,
    ),
}  # fmt: skip

READERS: dict[str, Callable[[Path], Iterator[Query]]] = {
    **{name: partial(read_columns, name, columns) for name, columns in _TABLES.items()},
    "hh-rlhf": read_hh_rlhf,
}


def _first(fields: Fields, names: tuple[str, ...]) -> str | None:
    low = {str(key).casefold(): value for key, value in fields.items()}
    for name in names:
        value = low.get(name.casefold())
        if value is not None and str(value).strip():
            return str(value)
    return None


def _identifier(name: str, given: str | None, place: int) -> str:
    clean = "".join(c if c.isalnum() or c in "_.-" else "-" for c in given or f"{place}")
    return f"{name}-{clean}"[:100]


def _turns(text: str) -> tuple[Message, ...]:
    found: list[Message] = []
    for part in text.split("\n\nHuman:")[1:]:
        said, *replies = part.split("\n\nAssistant:")
        found.append(Message(role="user", content=said.strip()))
        found += [Message(role="assistant", content=reply.strip()) for reply in replies]
    return tuple(found)
