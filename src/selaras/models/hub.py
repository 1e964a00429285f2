"""Folders of weights by name: a path, or a model of the Hugging Face hub that is fetched once."""

import re
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError, MissingExtraError, one_line
from selaras.models.names import Place

_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
# Weights as safetensors and what reads them; never code, pickles or other formats.
FILES = ("*.safetensors", "*.json", "tokenizer.model", "*.jinja", "merges.txt", "vocab.txt")


def hf_folder(argument: str, place: Place) -> Path:
    """Return the folder that `hf:ARGUMENT` names: a path in the project, or OWNER/NAME[@REVISION].

    A path comes first. What is in the hub's cache is read from there without the network; the
    access token, where one is needed, is the hub's own HF_TOKEN. Raises InputError where neither a
    folder nor such a model can be had.
    """
    folder = place.root / argument
    named = _ID.fullmatch(argument)
    if folder.exists() or named is None or argument.startswith("."):
        return folder
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "local") from error
    wanted: dict[str, Any] = {
        "repo_id": named["id"],
        "revision": named["revision"],
        "allow_patterns": list(FILES),
    }
    try:
        return Path(snapshot_download(**wanted, local_files_only=True))
    except LocalEntryNotFoundError:
        place.progress.say(f"fetching {argument} from the Hugging Face hub")
    try:
        return Path(snapshot_download(**wanted))
    except Exception as error:  # the hub's, the network's and the disk's own classes
        raise InputError(
            f"no folder {folder}, and {argument!r} cannot be had from the hub "
            f"({one_line(str(error), 200)})",
            fix="name an existing folder; for a gated model accept its terms and set HF_TOKEN",
        ) from error
