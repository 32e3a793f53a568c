"""One view of a folder and of a zip: sorted member names, and the bytes of each.

Names are relative, with forward slashes. What packers and file managers leave behind (``__MACOSX/``, ``._*``,
``Thumbs.db``, ...) is not shown. An archive pickles as its path and opens its handle lazily in each process.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError

MAX_MEMBER_BYTES = 2 * 1024**3  # the largest member of any original is a CT volume of about 1 GB
MAX_MEMBERS = 2_000_000

_BROKEN = (zipfile.BadZipFile, NotImplementedError, ValueError, IndexError)  # all seen of zipfile, on flipped bytes
_JUNK_FOLDERS = frozenset({"__MACOSX"})
_JUNK_NAMES = frozenset({"thumbs.db", "desktop.ini"})


class Archive(ABC):
    """A tree of members below a prefix."""

    def __init__(self, path: Path, prefix: str = "") -> None:
        self.path = Path(path)
        self.prefix = prefix

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Names of all files below the prefix, sorted as plain strings."""
        start = len(self.prefix)
        return tuple(sorted(name[start:] for name in self._names() if name.startswith(self.prefix) and not _junk(name)))

    def folders(self) -> tuple[str, ...]:
        """Return the names of the folders directly below the prefix, sorted as plain strings."""
        return tuple(sorted({name.split("/", 1)[0] for name in self.members if "/" in name}))

    def files(self, folder: str) -> tuple[str, ...]:
        """Return the names of the files directly in `folder`, without it, sorted as plain strings."""
        start = f"{folder}/"
        inner = (name[len(start) :] for name in self.members if name.startswith(start))
        return tuple(name for name in inner if "/" not in name)

    def within(self, prefix: str) -> Archive:
        """Return the view of the same archive below a folder of it."""
        return type(self)(self.path, self.prefix + prefix)

    def read(self, member: str) -> bytes:
        """Return the bytes of a member.

        Raises
        ------
        SourceNotFoundError
            There is no such member.
        DamagedSourceError
            The member does not read, or is larger than any original's member is.
        """
        name = self.prefix + member
        size = self._size(name)
        if size > MAX_MEMBER_BYTES:
            raise DamagedSourceError(
                f"{self.where(member)}: is {size:,} bytes long, more than the {MAX_MEMBER_BYTES:,} that a member of an "
                f"original may have. Check that this is the original download."
            )
        return self._read(name)

    def where(self, member: str) -> str:
        """Return a member's place for messages: the archive, then the name in it."""
        inside = self.prefix + member
        return f"{self.path}: {inside}" if inside else str(self.path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, {self.prefix!r})"

    def __reduce__(self) -> tuple[type[Archive], tuple[Path, str]]:
        return type(self), (self.path, self.prefix)

    @abstractmethod
    def _names(self) -> Iterator[str]: ...

    @abstractmethod
    def _size(self, name: str) -> int: ...

    @abstractmethod
    def _read(self, name: str) -> bytes: ...


class FolderArchive(Archive):
    """A tree that was extracted to a folder. Links that lead out of the folder are refused."""

    def _names(self) -> Iterator[str]:
        top = self.path / self.prefix
        for folder, _, files in os.walk(top, onerror=self._unreadable):
            relative = Path(folder).relative_to(self.path).as_posix()
            for file in files:
                name = file if relative == "." else f"{relative}/{file}"
                if not name.isascii() and name.encode(errors="ignore").decode() != name:
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


class ZipArchive(Archive):
    """A zip file, read member by member."""

    def _names(self) -> Iterator[str]:
        return iter(_opened(self.path)[1])

    def _info(self, name: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
        file, infos = _opened(self.path)
        try:
            return file, infos[name]
        except KeyError:
            raise SourceNotFoundError(f"{self.path}: has no member {name!r}.") from None

    def _size(self, name: str) -> int:
        return self._info(name)[1].file_size

    def _read(self, name: str) -> bytes:
        file, info = self._info(name)
        try:
            return file.read(info)
        except RuntimeError as error:  # a password, or (NotImplementedError) an unknown compression
            raise DamagedSourceError(f"{self.path}: the member {name!r} cannot be read ({error}).") from error
        except (*_BROKEN, zlib.error, EOFError, OSError) as error:
            raise DamagedSourceError(
                f"{self.path}: the member {name!r} is damaged ({error}). Fetch the archive again."
            ) from error


def _opened(path: Path) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    """Open a zip, once for as long as it stays the same file."""
    try:
        state = path.stat()
    except OSError:
        return _open_zip.__wrapped__(path, os.getpid(), (0, 0, 0))  # which says why
    return _open_zip(path, os.getpid(), (state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=8)
def _open_zip(
    path: Path, _process: int, _state: tuple[int, int, int]
) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    """Open a zip once per process (a forked child must not share its parent's file position)."""
    try:
        file = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise SourceNotFoundError(f"{path}: there is no such file.") from None
    except _BROKEN as error:
        if not _starts_like_zip(path):
            raise DamagedSourceError(
                f"{path}: is not a zip file. Give the zip as downloaded, or the folder that it was extracted to."
            ) from error
        raise DamagedSourceError(
            f"{path}: is not a whole zip file ({error}; {path.stat().st_size:,} bytes). "
            f"The download was probably cut short: fetch it again."
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}).") from error
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in file.infolist():
        if not info.filename or info.is_dir():
            continue
        name = info.filename.replace("\\", "/")
        if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name.split("/", 1)[0]:
            raise DamagedSourceError(f"{path}: the member {info.filename!r} leads out of the archive. Do not trust it.")
        infos[name] = info
    if len(infos) > MAX_MEMBERS:
        raise DamagedSourceError(f"{path}: has {len(infos):,} members, more than the {MAX_MEMBERS:,} of any original.")
    return file, infos


def _starts_like_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return b"PK".startswith(file.read(2))


def open_archive(path: str | os.PathLike[str]) -> Archive:
    """Open a folder or a zip file.

    Raises
    ------
    SourceNotFoundError
        There is nothing at `path`.
    DamagedSourceError
        A file that is not a whole zip.
    """
    path = Path(path)
    if path.is_dir():
        return FolderArchive(path)
    if not path.exists():
        raise SourceNotFoundError(f"{path}: there is no such file or folder. Check the path given as source.")
    archive = ZipArchive(path)
    archive.members  # noqa: B018 - reads the directory now, so that a damaged file is told before work starts
    return archive


def _junk(name: str) -> bool:
    parts = name.split("/")
    return not _JUNK_FOLDERS.isdisjoint(parts[:-1]) or parts[-1].startswith("._") or parts[-1].casefold() in _JUNK_NAMES
