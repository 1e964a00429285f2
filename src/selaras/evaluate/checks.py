"""Capability checks: fixed questions whose replies a program can mark.

The project's own are JSON Lines; `capability: FORMAT:FILE` in selaras.yaml reads published files
(`gsm8k`, `ifeval`, `bbh`). Asked without worked examples, so that figures are not those of papers;
between two Systems they are alike. A quarter of them is for choosing (development rows, a tuning's
points), the others are what sealed evaluations report: the best of many points on some checks would
flatter on the same ones.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from selaras.core.errors import InputError, one_line
from selaras.core.files import read_jsonl
from selaras.core.fingerprint import fingerprint, seed_from
from selaras.core.project import FILE, Project
from selaras.core.records import Identifier, Record
from selaras.data.formats.records import Fields, read_records


class ChoiceCheck(Record):
    """A question with candidate answers: right when the right one is the likeliest reply."""

    id: Identifier
    type: Literal["choice"]
    query: str = Field(min_length=1)
    choices: tuple[str, ...] = Field(min_length=2)
    answer: int = Field(ge=0)
    topic: str = ""


class ExactCheck(Record):
    """A question with accepted answers: right when the reply holds one of them as whole words."""

    id: Identifier
    type: Literal["exact"]
    query: str = Field(min_length=1)
    accept: tuple[str, ...] = Field(min_length=1)
    topic: str = ""


class NumberCheck(Record):
    """A sum: right when the number after ####, else the last number of the reply, is the answer."""

    id: Identifier
    type: Literal["number"]
    query: str = Field(min_length=1)
    answer: str = Field(pattern=r"^-?[\d,]*\.?\d+$")
    topic: str = ""


class FinalCheck(Record):
    """A puzzle: right when what the reply ends with is the answer, such as (B), valid or True."""

    id: Identifier
    type: Literal["final"]
    query: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    topic: str = ""


class RulesCheck(Record):
    """Instructions that a program can verify: right when the reply follows all of them."""

    id: Identifier
    type: Literal["rules"]
    query: str = Field(min_length=1)
    rules: tuple[str, ...] = Field(min_length=1)
    settings: tuple[dict[str, Any], ...]
    topic: str = ""


Generated = ExactCheck | NumberCheck | FinalCheck | RulesCheck
Check = ChoiceCheck | Generated
_CHECK: TypeAdapter[Check] = TypeAdapter(Annotated[Check, Field(discriminator="type")])
Part = Literal["choosing", "reported"]
# One check in so many is chosen by; a file of fewer than UNDIVIDED is too small to divide.
CHOOSING_IN, UNDIVIDED = 4, 30
_TYPES = {"choice", "exact", "number", "final", "rules"}


def load_checks(project: Project, part: Part | None = None) -> tuple[Check, ...]:
    """Return the project's capability checks, or a `part` of them, as the file has them.

    With `capability_rows`, so many of them, chosen by their content. Raises InputError for a wrong
    one.
    """
    path = project.checks_file
    if path is None or project.file.capability is None:
        return ()
    kind, colon, _ = project.file.capability.rpartition(":")
    if colon and kind not in CHECKS:
        raise InputError(
            f"no format {kind!r} of checks", path=project.root / FILE, field="capability",
            fix=f"write FORMAT:FILE with one of: {', '.join(CHECKS)}",
        )  # fmt: skip
    checks: dict[str, Check] = {}
    for line, check in CHECKS[kind](path) if colon else _own(path):
        if check.id in checks:
            raise InputError(f"the id {check.id!r} stands twice", path=path, line=line, field="id")
        checks[check.id] = check
    if not checks:
        raise InputError("no checks", path=path)
    found = list(checks.values() if part is None else part_of(tuple(checks.values()), part))
    wanted = project.file.capability_rows
    if wanted is None or wanted >= len(found):
        return tuple(found)
    order = sorted(found, key=lambda c: fingerprint([project.file.seed, c.query]))
    keep = {check.id for check in order[:wanted]}
    return tuple(check for check in found if check.id in keep)


def part_of(checks: Sequence[Check], part: Part) -> tuple[Check, ...]:
    """Return the checks that are chosen by, or those that sealed evaluations report.

    A check's id alone says where it belongs, so that adding others moves none. Fewer than
    UNDIVIDED serve both: what so few say has no weight.
    """
    if len(checks) < UNDIVIDED:
        return tuple(checks)
    return tuple(
        check
        for check in checks
        if (seed_from("capability", check.id) % CHOOSING_IN == 0) == (part == "choosing")
    )


def _own(path: Path) -> Iterator[tuple[int, Check]]:
    for line, value in read_jsonl(path):
        yield line, _check(value, path, line)


def _gsm8k(path: Path) -> Iterator[tuple[int, Check]]:
    for place, fields in read_records(path):
        solution, marked, answer = str(_field(fields, "answer", path, place)).rpartition("####")
        if not marked or not solution:
            raise InputError("no #### before the answer", path=path, line=place, field="answer")
        asked = _field(fields, "question", path, place)
        value = {
            "id": f"gsm8k-{place}",
            "type": "number",
            "query": f"{asked}\n\nEnd with the final number after ####.",
            "answer": answer.strip(),
            "topic": "arithmetic",
        }
        yield place, _check(value, path, place)


def _bbh(path: Path) -> Iterator[tuple[int, Check]]:
    for place, fields in read_records(path):
        asked = _field(fields, "input", path, place)
        value = {
            "id": f"{path.stem}-{place}"[:100],
            "type": "final",
            "query": f'{asked}\n\nEnd with "So the answer is" and the answer alone.',
            "answer": str(_field(fields, "target", path, place)).strip(),
            "topic": path.stem,
        }
        yield place, _check(value, path, place)


def _ifeval(path: Path) -> Iterator[tuple[int, Check]]:
    for place, fields in read_records(path):
        rules = _field(fields, "instruction_id_list", path, place)
        settings = fields.get("kwargs") or [{}] * len(rules)
        if not isinstance(rules, list) or len(settings) != len(rules):
            raise InputError(
                "as many kwargs as instructions are needed", path=path, line=place, field="kwargs"
            )
        value = {
            "id": f"ifeval-{fields.get('key', place)}",
            "type": "rules",
            "query": _field(fields, "prompt", path, place),
            "rules": rules,
            "settings": [
                {key: item for key, item in (own or {}).items() if item is not None}
                for own in settings
            ],
            "topic": "instructions",
        }
        yield place, _check(value, path, place)


CHECKS: dict[str, Callable[[Path], Iterator[tuple[int, Check]]]] = {
    "bbh": _bbh,
    "gsm8k": _gsm8k,
    "ifeval": _ifeval,
}


def _field(fields: Fields, name: str, path: Path, place: int) -> Any:
    if fields.get(name) in (None, ""):
        raise InputError("missing", path=path, line=place, field=name)
    return fields[name]


def _check(value: dict[str, Any], path: Path, line: int) -> Check:
    try:
        check = _CHECK.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"].startswith("union_tag"):
            raise InputError(
                "says no known type of check", path=path, line=line, field="type",
                fix=f"write one of: {', '.join(sorted(_TYPES))}",
            ) from error  # fmt: skip
        loc = [str(part) for part in first["loc"] if part not in _TYPES]
        raise InputError(
            one_line(first["msg"], 160), path=path, line=line, field=".".join(loc) or None
        ) from error
    if isinstance(check, ChoiceCheck) and check.answer >= len(check.choices):
        raise InputError("the answer names no choice", path=path, line=line, field="answer")
    return check
