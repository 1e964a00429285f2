"""The JSON of a command that has to succeed."""

import json
from typing import Any


def value(result: Any) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
