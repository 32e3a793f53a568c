"""An original in a zip file, read member by member, or in a zip that lies in another."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from medimeta._inflate import read_member
from medimeta._members import MAX_MEMBERS, leads_out
from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError
from medimeta.sources.archive import BROKEN, PIECE, Archive

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

UNPACKED = 1024**2  # bytes at a time of a large member: more would take as much again several times
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
            info = infos[name]
        except KeyError:
            raise SourceNotFoundError(f"{self.where('')}: has no member {name!r}.") from None
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DamagedSourceError(f"{self.where('')}: the member {name!r} is a link. Do not trust it.")
        return file, info

    def _size(self, name: str) -> int:
        return self._info(name)[1].file_size

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        file, info = self._info(name)
        try:
            stream = file.open(info)
        except OSError as error:  # a damaged directory leads zipfile to a place that is none
            raise DamagedSourceError(
                f"{self.where('')}: the member {name!r} is damaged ({error}). Fetch the archive again."
            ) from error
        with stream:
            yield stream

    def _read(self, name: str) -> bytes:
        file, info = self._info(name)
        try:
            return read_member(file, info) if info.file_size <= PIECE else _read_large(file, info)
        except RuntimeError as error:  # a password, or (NotImplementedError) an unknown compression
            raise DamagedSourceError(f"{self.where('')}: the member {name!r} cannot be read ({error}).") from error
        except (*BROKEN, zlib.error, EOFError, OSError) as error:
            raise DamagedSourceError(
                f"{self.where('')}: the member {name!r} is damaged ({error}). Fetch the archive again."
            ) from error


def _read_large(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Read a member piece by piece, which takes its size in memory; ``zipfile`` alone takes more than twice of that."""
    data = io.BytesIO()
    data.seek(info.file_size - 1)
    data.write(b"\0")  # all of the memory at once: growing copies it
    data.seek(0)
    with file.open(info) as stream:
        while piece := stream.read(UNPACKED):
            data.write(piece)
    data.truncate()
    return data.getvalue()  # no copy, as nothing else holds the buffer


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
    content = _packed_zip(path, inner) if inner else path
    try:
        file = zipfile.ZipFile(content)
    except FileNotFoundError:
        raise SourceNotFoundError(f"{path}: there is no such file.") from None
    except BROKEN as error:
        if not inner and not _starts_like_zip(path):
            raise DamagedSourceError(
                f"{path}: is not a zip file. Give the zip as downloaded, or the folder that it was extracted to."
            ) from error
        size = path.stat().st_size if isinstance(content, Path) else content.seek(0, os.SEEK_END)
        raise DamagedSourceError(
            f"{where}: is not a whole zip file ({error}; {size:,} bytes). "
            f"The download was probably cut short: fetch it again."
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}).") from error
    return file, _safe_members(file, where)


def _safe_members(file: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in file.infolist():
        name = info.filename.replace("\\", "/")
        if not name or name.endswith("/"):
            continue
        if leads_out(name):
            raise DamagedSourceError(
                f"{where}: the member {info.filename!r} leads out of the archive. Do not trust it."
            )
        infos[name] = info
    if len(infos) > MAX_MEMBERS:
        raise DamagedSourceError(f"{where}: has {len(infos):,} members, more than the {MAX_MEMBERS:,} of any original.")
    return infos


def _packed_zip(path: Path, inner: str) -> IO[bytes]:
    """Open a zip that lies in a zip: in place where it is stored as it is, else from memory."""
    outer = ZipArchive(path)
    _, info = outer._info(inner)
    if info.compress_type == zipfile.ZIP_STORED:
        with outer.open(inner):  # checks what stands in front of the bytes
            return io.BufferedReader(_Stretch(path, _start(path, info), info.file_size))
    if info.file_size > MAX_PACKED_ZIP:
        raise DamagedSourceError(
            f"{path}: the zip {inner!r} in it is compressed once more, and with {info.file_size:,} bytes larger than "
            f"the {MAX_PACKED_ZIP:,} that are read from within another zip. Extract the outer zip first."
        )
    return io.BytesIO(outer._read(inner))


def _start(path: Path, info: zipfile.ZipInfo) -> int:
    """Return where the bytes of a member start: behind a header of 30 bytes, its name and its extra field."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return info.header_offset + 30 + int(name) + int(extra)


class _Stretch(io.RawIOBase):
    """Bytes of a file from one place on, as a file of its own.

    ``zipfile`` reads a member from its start whenever one seeks back in it, even where it is stored as it is.
    """

    def __init__(self, path: Path, start: int, length: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._begin, self._length, self._place = start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._length}[whence]
        if place < 0:
            raise ValueError(f"cannot seek to {place}")
        self._place = place
        return place

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self._length - self._place)]
        self._file.seek(self._begin + self._place)
        count = self._file.readinto(view) or 0
        self._place += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _starts_like_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return b"PK".startswith(file.read(2))
