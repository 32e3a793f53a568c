"""An original in a zip file, read member by member, or in a zip that lies in another."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any

from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError
from medimeta.sources.archive import BROKEN, MAX_MEMBERS, Archive

MAX_PACKED_ZIP = 64 * 1024**2  # a zip that is compressed in another is read into memory whole, in every process

_Opened = tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]


class ZipArchive(Archive):
    """A zip file.

    Parameters
    ----------
    path : Path
        The file.
    inner : str
        Name of the member that is the zip meant; empty where it is the file itself.
    prefix : str
        See `Archive`.
    """

    def __init__(self, path: Path, inner: str = "", prefix: str = "") -> None:
        super().__init__(path, prefix)
        self.inner = inner

    def __reduce__(self) -> tuple[type[Archive], tuple[Any, ...]]:
        return type(self), (self.path, self.inner, self.prefix)

    def where(self, member: str) -> str:
        """Return a member's place for messages: the file, the zip in it, then the name."""
        inside = self.prefix + member
        return ": ".join(part for part in (str(self.path), self.inner, inside) if part)

    def state(self, members: Iterable[str]) -> str:
        """Return a digest of the file's identity, size and time."""
        return hashlib.sha256(repr((*_state(self.path), self.inner)).encode()).hexdigest()

    def _names(self) -> Iterator[str]:
        return iter(self._opened()[1])

    def _opened(self) -> _Opened:
        return _open_zip(self.path, self.inner, os.getpid(), _state(self.path))

    def _info(self, name: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
        file, infos = self._opened()
        try:
            return file, infos[name]
        except KeyError:
            raise SourceNotFoundError(f"{self.where('')}: has no member {name!r}.") from None

    def _size(self, name: str) -> int:
        return self._info(name)[1].file_size

    def _open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        file, info = self._info(name)
        return file.open(info)

    def _read(self, name: str) -> bytes:
        file, info = self._info(name)
        try:
            return file.read(info)
        except RuntimeError as error:  # a password, or (NotImplementedError) an unknown compression
            raise DamagedSourceError(f"{self.where('')}: the member {name!r} cannot be read ({error}).") from error
        except (*BROKEN, zlib.error, EOFError, OSError) as error:
            raise DamagedSourceError(
                f"{self.where('')}: the member {name!r} is damaged ({error}). Fetch the archive again."
            ) from error


def _state(path: Path) -> tuple[int, int, int]:
    """Return what tells one state of a file from another; opening says why a file cannot be found."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=32)
def _open_zip(path: Path, inner: str, _process: int, _state: tuple[int, int, int]) -> _Opened:
    """Open a zip once a process (a forked child must not share its parent's position), while it stays the same."""
    where = f"{path}: {inner}" if inner else str(path)
    try:
        file = zipfile.ZipFile(_packed_zip(path, inner, _process, _state) if inner else path)
    except FileNotFoundError:
        raise SourceNotFoundError(f"{path}: there is no such file.") from None
    except BROKEN as error:
        if not inner and not _starts_like_zip(path):
            raise DamagedSourceError(
                f"{path}: is not a zip file. Give the zip as downloaded, or the folder that it was extracted to."
            ) from error
        raise DamagedSourceError(
            f"{where}: is not a whole zip file ({error}; {path.stat().st_size:,} bytes). "
            f"The download was probably cut short: fetch it again."
        ) from error
    except OSError as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{path}: cannot be read ({error.strerror}).") from error
    return file, _safe_members(file, where)


def _safe_members(file: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in file.infolist():
        if not info.filename or info.is_dir():
            continue
        name = info.filename.replace("\\", "/")
        if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name.split("/", 1)[0]:
            raise DamagedSourceError(
                f"{where}: the member {info.filename!r} leads out of the archive. Do not trust it."
            )
        infos[name] = info
    if len(infos) > MAX_MEMBERS:
        raise DamagedSourceError(f"{where}: has {len(infos):,} members, more than the {MAX_MEMBERS:,} of any original.")
    return infos


def _packed_zip(path: Path, inner: str, process: int, state: tuple[int, int, int]) -> IO[bytes]:
    """Open a zip that lies in a zip: in place where it is stored as it is, else from memory."""
    outer, infos = _open_zip(path, "", process, state)
    info = infos[inner]
    if info.compress_type == zipfile.ZIP_STORED:
        return outer.open(info)  # seeks at no cost
    if info.file_size > MAX_PACKED_ZIP:
        raise DamagedSourceError(
            f"{path}: the zip {inner!r} in it is compressed once more, and with {info.file_size:,} bytes larger than "
            f"the {MAX_PACKED_ZIP:,} that are read from within another zip. Extract the outer zip first."
        )
    return io.BytesIO(outer.read(info))


def _starts_like_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return b"PK".startswith(file.read(2))
