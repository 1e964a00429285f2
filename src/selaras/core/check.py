"""Pydantic's errors, said as ours: one line with file, line, field and what to do."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from selaras.core.errors import InputError, one_line

Model = TypeVar("Model", bound=BaseModel)


def checked(
    model: type[Model], value: Any, *, path: str | Path | None = None, line: int | None = None
) -> Model:
    """Return `value` as an instance of `model`; raises InputError naming the first wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # A misspelt field is also a missing one: what is there tells more than what is not.
        first = min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
        field = ".".join(str(part) for part in first["loc"]) or None
        more = error.error_count() - 1
        raise InputError(
            _said(first) + (f" (and {more} more)" if more else ""),
            path=path,
            line=line,
            field=field,
            fix=_fix(first, model),
        ) from error


def _said(first: Any) -> str:
    if first["type"] == "extra_forbidden":
        return "unknown field"
    if first["type"] == "missing":
        return "missing"
    message = str(first["msg"]).removeprefix("Value error, ")
    shown = "" if isinstance(first["input"], dict | list) else f", not {first['input']!r}"
    return one_line(message[0].lower() + message[1:] + shown, 200)


def _fix(first: Any, model: type[BaseModel]) -> str | None:
    if first["type"] != "extra_forbidden":
        return None
    fields = _fields(model, first["loc"][:-1])
    if not fields:
        return None
    alike = get_close_matches(str(first["loc"][-1]), fields, n=1)
    meant = f"did you mean {alike[0]}? " if alike else ""
    return f"{meant}the fields are {', '.join(sorted(fields))}"


def _fields(model: type[BaseModel], place: tuple[Any, ...]) -> list[str]:
    """Return the fields of the record at a place in a model, none where it is no plain record."""
    for part in place:
        field = model.model_fields.get(str(part))
        kind = field.annotation if field else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return []
        model = kind
    return list(model.model_fields)
