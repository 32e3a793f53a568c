"""A file in a folder, as a place that a download may come from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from urllib.parse import urlsplit

from medimeta.errors import NotPublishedError, UnreachableError
from medimeta.hub.answer import BLOCK, Answer
from medimeta.hub.remote import local_path


class Local:
    """A file at an address that begins with ``file:``."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextmanager
    def open(self, start: int) -> Iterator[Answer]:
        """Open the file at `start`; see `medimeta.hub.answer.Place`."""
        path = self._path()
        try:
            if path.exists() and not path.is_file():  # a pipe would never end
                raise UnreachableError(f"{path}: is no file.")
            with path.open("rb", buffering=0) as file:
                file.seek(start)
                yield _Body(file, start)
        except FileNotFoundError as error:
            raise NotPublishedError(f"{path}: is not there.") from error
        except PermissionError as error:
            raise UnreachableError(f"{path}: may not be read ({error.strerror}).") from error

    def _path(self) -> Path:
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise UnreachableError(f"{self.url}: is no address ({error}).") from error
        if parts.netloc not in ("", "localhost"):
            raise UnreachableError(f"{self.url}: names a file of the machine {parts.netloc}; it must be one of this.")
        return local_path(self.url)


class _Body:
    """An open file, as bytes of a file."""

    kind = ""

    def __init__(self, file: FileIO, start: int) -> None:
        self._file = file
        state = os.fstat(file.fileno())
        self.start, self.total = start, state.st_size
        self.version = f"{state.st_dev}.{state.st_ino}.{state.st_mtime_ns}"

    def read(self) -> bytes:
        """Return the next block."""
        try:
            return self._file.read(BLOCK)
        except OSError as error:
            raise UnreachableError(f"{self._file.name}: cannot be read ({error.strerror}).") from error
