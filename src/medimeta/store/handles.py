"""Open files that are read at a position, with what the system has.

There are ``preadv`` (Linux, macOS 11), ``pread`` (older macOS), or neither (Windows), where each thread seeks in a file
of its own. A file is closed when its last user lets go of the handle, never under a thread that is still reading: the
system may have given the file's number to another by then.
"""

from __future__ import annotations

import io
import os
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple, Self

MAX_VIEWS = 512  # buffers a call; POSIX systems take 1,024
_MAX_COPY = 8 * 1024**2  # bytes that pread makes an object of at once


class FileState(NamedTuple):
    """What tells a file from one that took its place, or from itself after a change.

    The number of the device is no part of it: machines that share a disk, and pickles, number it differently.
    """

    inode: int
    size: int
    modified: int  # nanoseconds

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return the state of a file; raises OSError where it cannot be reached."""
        found = path.stat()
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


class Handle(ABC):
    """An open file; any number of threads may read from it at once."""

    @abstractmethod
    def read_into(self, views: list[memoryview], position: int) -> int:
        """Read bytes from a position into buffers, one after the other; fewer than there is room for, 0 at the end."""

    def fill(self, views: list[memoryview], position: int) -> int:
        """Read until all buffers are full or the file ends; return the position reached. `views` is used up."""
        while views:
            count = self.read_into(views, position)
            if count == 0:
                break
            position += count
            full = 0
            while full < len(views) and count >= len(views[full]):
                count -= len(views[full])
                full += 1
            del views[:full]
            if count:
                views[0] = views[0][count:]
        return position


class PreadvHandle(Handle):
    """Reads straight into the buffers, several with one call."""

    def __init__(self, path: Path) -> None:
        self._file = _Descriptor(path)

    def read_into(self, views: list[memoryview], position: int) -> int:
        """See `Handle`."""
        return os.preadv(self._file.number, views[:MAX_VIEWS], position)


class PreadHandle(Handle):
    """Reads bytes and copies them."""

    def __init__(self, path: Path) -> None:
        self._file = _Descriptor(path)

    def read_into(self, views: list[memoryview], position: int) -> int:
        """See `Handle`."""
        data = os.pread(self._file.number, min(len(views[0]), _MAX_COPY), position)
        views[0][: len(data)] = data
        return len(data)


class SeekHandle(Handle):
    """Seeks and reads, in a file of its own for each thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        self._file()  # now, so that a missing file is told here

    def read_into(self, views: list[memoryview], position: int) -> int:
        """See `Handle`."""
        file = self._file()
        file.seek(position)
        return file.readinto(views[0])

    def _file(self) -> io.FileIO:
        try:
            file: io.FileIO = self._own.file
        except AttributeError:
            self._own.descriptor = _Descriptor(self._path)  # closed along with the thread, or with this handle
            self._own.file = file = io.FileIO(self._own.descriptor.number, closefd=False)
        return file


def open_handle(path: Path) -> Handle:
    """Open a file in the best way that the system has."""
    if hasattr(os, "preadv"):
        return PreadvHandle(path)
    return PreadHandle(path) if hasattr(os, "pread") else SeekHandle(path)


class _Descriptor:
    """The number of an open file, closed with its last user."""

    def __init__(self, path: Path) -> None:
        self._process = -1
        self.number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._process = os.getpid()

    def __del__(self) -> None:
        if self._process == os.getpid():  # in a forked process the number may long be another file's
            os.close(self.number)
