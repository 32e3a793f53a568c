"""Memory that workers and the writer share, so that pixels are not sent through pipes.

A slab is a piece of one file that all of them map. The file lies beside the dataset in the making and is made anew by
every build, so a worker that outlives its killed build writes into a file that nobody reads any more.
"""

from __future__ import annotations

import mmap
from functools import lru_cache
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

Slab = tuple[str, int, int, int]
"""Path of the file, number of the slab, images of a slab, bytes that each has room for."""


class Slabs:
    """A number of slabs, each with room for the images of one chunk.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    count : int
        How many slabs.
    rows : int
        Images of a slab.
    image_bytes : int
        Bytes of the largest image.
    """

    def __init__(self, path: Path, count: int, rows: int, image_bytes: int) -> None:
        self.rows = rows
        self._path = path
        self._image_bytes = image_bytes
        self._free = list(range(count))
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            file.truncate(count * rows * image_bytes)

    def take(self) -> Slab | None:
        """Return a free slab, None where there is none."""
        return self._slab(self._free.pop()) if self._free else None

    def give_back(self, number: int) -> None:
        """Free a slab again."""
        self._free.append(number)

    def pixels(self, number: int, row: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Return an image of a slab, without copying it."""
        return slab_view(self._slab(number), row, shape)

    def _slab(self, number: int) -> Slab:
        return (str(self._path), number, self.rows, self._image_bytes)


def slab_view(slab: Slab, row: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return the place of an image in a slab, to be read or written."""
    path, number, rows, image_bytes = slab
    mapped = _mapped(path, Path(path).stat().st_ino)
    return np.frombuffer(mapped, np.uint8, prod(shape), (number * rows + row) * image_bytes).reshape(shape)


@lru_cache(maxsize=2)
def _mapped(path: str, _inode: int) -> mmap.mmap:
    with Path(path).open("r+b") as file:
        return mmap.mmap(file.fileno(), 0)
