"""Which environment variable holds the key of which endpoint: the user's own choice.

The bindings are read from the user's configuration, never from a project, so that a cloned project
cannot send a key to a host of its choice:

    # ~/.config/selaras/keys.yaml  (SELARAS_KEYS names another file)
    https://generativelanguage.googleapis.com/v1beta/openai: GEMINI_API_KEY
"""

import os
import re
from pathlib import Path

from selaras.core.errors import InputError
from selaras.core.project import load_yaml

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def keys_file() -> Path:
    """Return the file that binds endpoints to variables."""
    if own := os.environ.get("SELARAS_KEYS"):
        return Path(own)
    base = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config"))
    return base / "selaras" / "keys.yaml"


def bound_variable(base_url: str) -> str | None:
    """Return the variable that the user bound to the endpoint, or None.

    Raises InputError where the file is wrong; a key written in place of a variable's name is not
    repeated in the message.
    """
    path = keys_file()
    if not path.is_file():
        return None
    bindings = load_yaml(path) or {}
    if not isinstance(bindings, dict):
        raise InputError("not a mapping of endpoints to variables", path=path)
    for url, variable in bindings.items():
        if str(url).rstrip("/") != base_url.rstrip("/"):
            continue
        if not isinstance(variable, str) or not _VARIABLE.fullmatch(variable):
            raise InputError(
                "this is not the name of an environment variable", path=path, field=str(url),
                fix="write the variable's name, and keep the key in the environment",
            )  # fmt: skip
        return variable
    return None
