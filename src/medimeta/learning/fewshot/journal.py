"""What an evaluation has finished so far, in a folder, so that one that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta._files import write_whole
from medimeta.errors import StoreError

IDENTITY = "identity"


class Journal:
    """Arrays by name, in a folder that holds those of one evaluation.

    Parameters
    ----------
    folder : Path or None
        Where they are kept; nothing is without it.
    identity : sequence of str
        All that they depend on. What is in the folder of another is removed.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """

    def __init__(self, folder: Path | None, identity: tuple[str, ...]) -> None:
        self.folder = None if folder is None else folder / "episodes"
        if self.folder is None:
            return
        said = hashlib.sha256("\n".join(identity).encode()).hexdigest().encode()
        path = self.folder / IDENTITY
        if not path.is_file() or path.read_bytes() != said:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._write(path, said)

    def get(self, name: str) -> npt.NDArray[Any] | None:
        """Return an array that was kept; None where there is none that reads."""
        if self.folder is None:
            return None
        try:
            found: npt.NDArray[Any] = np.load(self.folder / f"{name}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return found

    def put(self, name: str, array: npt.NDArray[Any]) -> None:
        """Keep an array."""
        if self.folder is None:
            return
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        self._write(self.folder / f"{name}.npy", buffer.getvalue())

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_whole(path, data)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be written ({error.strerror}). What was finished before is kept: make room, or pass "
                f"another folder, and start again."
            ) from error
