"""The digest of an image file while it is written, so that it need not be read again at the end."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

from medimeta.store.manifest import FileDigest

PIECE = 8 * 1024**2
CATCH_UP = 64 * 1024**2  # bytes read back at most for one image that is written


class RunningDigest:
    """SHA-256 of a file with a block of images that are written in any order.

    Images that come in order are hashed from memory; those that came too early are read back once their turn is there.

    Parameters
    ----------
    file : FileIO
        The file, open for reading too; its position may be changed.
    offset, image_bytes, count : int
        Where the block starts, bytes of an image, and how many there are.
    """

    def __init__(self, file: io.FileIO, offset: int, image_bytes: int, count: int) -> None:
        self._file = file
        self._offset = offset
        self._image_bytes = image_bytes
        self._count = count
        self._next = 0
        self._early: set[int] = set()
        self._sha256 = hashlib.sha256()
        for piece in self._pieces(0, offset):
            self._sha256.update(piece)

    def written(self, index: int, pixels: memoryview | None) -> None:
        """Say that an image is in the file; `pixels` are its bytes, where they are at hand."""
        if index != self._next or pixels is None:
            self._early.add(index)
            return
        self._sha256.update(pixels)
        self._next += 1
        self._catch_up(CATCH_UP // self._image_bytes)

    def finish(self) -> FileDigest:
        """Return the digest of the whole file; all images must have been written."""
        self._catch_up(self._count)
        end = self._file.seek(0, io.SEEK_END)
        for piece in self._pieces(self._offset + self._next * self._image_bytes, end):
            self._sha256.update(piece)
        return FileDigest(bytes=end, sha256=self._sha256.hexdigest())

    def _catch_up(self, most: int) -> None:
        first = self._next
        while self._next in self._early and self._next - first < most:
            self._early.remove(self._next)
            self._next += 1
        start = self._offset + first * self._image_bytes
        for piece in self._pieces(start, start + (self._next - first) * self._image_bytes):
            self._sha256.update(piece)

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        self._file.seek(start)
        while start < stop:
            piece = self._file.read(min(PIECE, stop - start))
            if not piece:
                return
            start += len(piece)
            yield piece
