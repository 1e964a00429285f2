"""Names resolved late: `"package.module:attribute"` to the thing, imported when it is needed."""

import importlib
from typing import Any

from selaras.core.errors import InputError


def resolve(target: str) -> Any:
    """Return the attribute that `module:attribute` names; raises InputError where it is missing.

    >>> resolve("math:sqrt")(9.0)
    3.0
    """
    module_name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(f"cannot import {module_name!r} ({error})") from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise InputError(f"{module_name!r} has no {attribute!r}") from error
