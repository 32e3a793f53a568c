"""An original that was extracted to a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from medimeta._members import is_unicode
from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError
from medimeta.sources.archive import Archive


class FolderArchive(Archive):
    """A tree that was extracted to a folder. Links that lead out of the folder are refused."""

    def _names(self) -> Iterator[str]:
        top = self.path / self.prefix
        for folder, _, files in os.walk(top, onerror=self._unreadable):
            relative = Path(folder).relative_to(self.path).as_posix()
            for file in files:
                name = file if relative == "." else f"{relative}/{file}"
                if not is_unicode(name):
                    raise DamagedSourceError(f"{self.path}: the file name {name!a} is not Unicode; rename the file.")
                yield name

    def _unreadable(self, error: OSError) -> None:
        raise SourceError(f"{error.filename}: the folder cannot be read ({error.strerror}).") from error

    def _path(self, name: str) -> Path:
        path = self.path / name
        try:
            real = path.resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: before Python 3.13
            raise DamagedSourceError(f"{path}: is a link that leads to itself.") from error
        if not real.is_relative_to(self.path.resolve()):
            raise DamagedSourceError(f"{path}: is a link that leads out of {self.path}; replace it by the file itself.")
        return path

    def _size(self, name: str) -> int:
        path = self._path(name)
        try:
            return path.stat().st_size
        except FileNotFoundError:
            raise SourceNotFoundError(f"{path}: there is no such file.") from None
        except OSError as error:
            raise SourceError(f"{path}: cannot be read ({error.strerror}).") from error

    def _read(self, name: str) -> bytes:
        path = self._path(name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise SourceError(f"{path}: cannot be read ({error.strerror}).") from error

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        self._size(name)  # says what is missing
        path = self._path(name)
        try:
            file = path.open("rb")
        except OSError as error:
            raise SourceError(f"{path}: cannot be read ({error.strerror}).") from error
        with file:
            yield file

    def file(self, member: str) -> Path | None:
        """Return the file that is the member; raises SourceNotFoundError where there is none."""
        self.size(member)
        return self._path(self.prefix + member)

    def state(self, members: Iterable[str]) -> str:
        """Return a digest of the names, sizes and times of the files that are members."""
        sha256 = hashlib.sha256()
        for member in members:
            name = self.prefix + member
            try:
                found = (self.path / name).stat()
            except OSError as error:
                sha256.update(f"{name} {error.errno}\n".encode())
            else:
                sha256.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
        return sha256.hexdigest()
