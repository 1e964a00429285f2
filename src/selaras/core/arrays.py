"""Arrays on disk: .npz files without pickled objects, written whole and read with care."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError
from selaras.core.files import replacing

DAMAGED = (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error)


def write_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays as an .npz, whole or not at all."""
    save: Any = np.savez  # its stub takes every name for that of an option
    with replacing(path, "wb") as sink:
        save(sink, **arrays)


def read_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Return the named arrays of an .npz; raises InputError where it is missing or damaged."""
    try:
        # Opened here: where it is no archive, numpy leaves a file that it opened itself open.
        with path.open("rb") as source, np.load(source, allow_pickle=False) as stored:
            return [stored[name] for name in names]
    except DAMAGED as error:
        raise InputError("missing or damaged", path=path) from error
