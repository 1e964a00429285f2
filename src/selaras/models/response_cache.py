"""Answers of endpoints kept on disk, so that no completed call is paid for twice.

The key is the sha256 of all that decides an answer: endpoint, model, messages, sampling with its
seed. The messages themselves are not stored (they may be sealed rows), only what was answered.
Errors and empty answers are never kept; a damaged file counts as absent and is written anew.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.files import read_json, write_json
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Conversation, Record
from selaras.core.system import Sampling
from selaras.models.protocol import Finish


class CachedResponse(Record):
    """An answer as it is stored; `served` is the model that the endpoint says answered."""

    key: str
    text: str
    finish: Finish
    prompt_tokens: int
    tokens: int
    served: str | None
    first: tuple[tuple[str, float], ...] = ()


class ResponseCache:
    """A folder of answers by key, one file each, sharded by the key's first two digits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> CachedResponse | None:
        """Return the answer under the key, or None where there is none that can be trusted."""
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            found = checked(CachedResponse, read_json(path), path=path)
        except InputError:
            return None
        return found if found.key == key and found.text.strip() else None

    def put(self, response: CachedResponse) -> None:
        """Store an answer, whole or not at all; an empty one is not stored."""
        if response.text.strip():
            write_json(self._path(response.key), response.model_dump(mode="json"))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def response_key(
    identity: dict[str, Any],
    conversation: Conversation,
    sampling: Sampling,
    first: bool = False,
    schema: Mapping[str, Any] | None = None,
) -> str:
    """Return the key of a call: equal exactly where the same answer may be used again.

    `first` is whether the probabilities of the first token were asked for too, `schema` what the
    reply was to follow.
    """
    messages = [[message.role, message.content] for message in conversation]
    asked = [1, identity, messages, sampling.model_dump(mode="json")]
    asked += ["first"] if first else []
    asked += [{"schema": schema}] if schema is not None else []
    return fingerprint(asked, 64)
