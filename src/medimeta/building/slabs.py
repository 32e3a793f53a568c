"""Memory that workers and the writer share, so that pixels are not sent through pipes.

A slab is a piece of one file that all of them map. The file lies beside the dataset in the making, under a name that no
other build has, so a worker that outlives its killed build cannot write into the next one's.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from functools import lru_cache
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

Slab = tuple[str, int, int, int]
"""Path of the file, number of the slab, images of a slab, bytes that each has room for."""

PREFIX = "slabs-"


class Slabs:
    """A number of slabs, each with room for the images of one chunk.

    Parameters
    ----------
    folder : Path
        Where the file lies; those that killed builds have left there are removed.
    count : int
        How many slabs.
    rows : int
        Images of a slab.
    image_bytes : int
        Bytes of the largest image.
    """

    def __init__(self, folder: Path, count: int, rows: int, image_bytes: int) -> None:
        self.rows = rows
        self._image_bytes = image_bytes
        self._free = list(range(count))
        for left in folder.glob(f"{PREFIX}*"):
            left.unlink()
        number, path = tempfile.mkstemp(prefix=PREFIX, dir=folder)
        self._path = Path(path)
        with os.fdopen(number, "wb") as file:
            size = count * rows * image_bytes
            file.truncate(size)
            if hasattr(os, "posix_fallocate"):  # on a full disk, a write to a mapped hole would end the process
                os.posix_fallocate(file.fileno(), 0, size)

    def take(self) -> Slab | None:
        """Return a free slab, None where there is none."""
        return self._slab(self._free.pop()) if self._free else None

    def give_back(self, number: int) -> None:
        """Free a slab again."""
        self._free.append(number)

    def pixels(self, number: int, row: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Return an image of a slab, without copying it."""
        return slab_view(self._slab(number), row, shape)

    def remove(self) -> None:
        """Remove the file; it lives on in those that have mapped it."""
        self._path.unlink(missing_ok=True)
        _mapped.cache_clear()

    def _slab(self, number: int) -> Slab:
        return (str(self._path), number, self.rows, self._image_bytes)


def slab_view(slab: Slab, row: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return the place of an image in a slab, to be read or written."""
    path, number, rows, image_bytes = slab
    return np.frombuffer(_mapped(path), np.uint8, prod(shape), (number * rows + row) * image_bytes).reshape(shape)


@lru_cache(maxsize=2)
def _mapped(path: str) -> mmap.mmap:
    with Path(path).open("r+b") as file:
        return mmap.mmap(file.fileno(), 0)
