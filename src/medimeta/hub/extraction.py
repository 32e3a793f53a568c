"""Files that are written from an archive: bounded, counted, and hashed on the way."""

from __future__ import annotations

import errno
import hashlib
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from medimeta.errors import DownloadError, MedimetaError, StoreError, UnsafeArchiveError
from medimeta.hub.members import Names
from medimeta.hub.telling import Teller
from medimeta.store.disk import FULL, room
from medimeta.store.flushing import STEP, Flusher
from medimeta.store.manifest import FileDigest

BLOCK = 1024**2  # bytes that are unpacked at a time
TELL = 4 * BLOCK  # bytes between two steps that are told
FETCH_AGAIN = "Fetch it again."

# All seen of zipfile, tarfile and the decompressors, on flipped bytes.
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ValueError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    RuntimeError,  # also NotImplementedError, RecursionError
)


class Extraction:
    """What is extracted from one archive.

    Parameters
    ----------
    archive : Path
        The archive.
    into : Path
        Folder to write into, which is there and empty.
    limit : int
        Most bytes that all members may have together.
    teller : Teller
        Is told how far it is, and may stop it between blocks.

    Attributes
    ----------
    names : Names
        Admits the members.
    files : dict of str to FileDigest
        What was written, by name below `into`.
    progress : callable
        Returns the bytes done and the bytes in all, as they are told.
    """

    def __init__(self, archive: Path, into: Path, limit: int, teller: Teller) -> None:
        self.archive = archive
        self.into = into
        self.limit = limit
        self.teller = teller
        self.names = Names()
        self.files: dict[str, FileDigest] = {}
        self.progress: Callable[[], tuple[int, int]] = lambda: (self._written, self._claimed)
        self._claimed = self._written = self._untold = 0
        self._folders: set[Path] = set()

    def claim(self, size: int) -> None:
        """Take note of the length that the archive gives a member.

        Raises
        ------
        UnsafeArchiveError
            Together they have more than allowed.
        """
        self._claimed += size
        if self._claimed > self.limit:
            raise UnsafeArchiveError(
                f"{self.archive}: unpacks to {room(self._claimed)} or more; expected no more than the "
                f"{room(self.limit)} that this dataset may take. Do not trust it."
            )

    def write(self, name: str, size: int, blocks: Iterable[bytes]) -> None:
        """Write one file.

        Raises
        ------
        UnsafeArchiveError
            It is longer or shorter than `size`.
        StoreError
            It cannot be written.
        """
        path = self.into / name
        sha256, length = hashlib.sha256(), 0
        with self._created(path) as file, _flushed(file, path, size) as written:
            for block in blocks:
                length += len(block)
                if length > size:
                    break
                sha256.update(block)
                with unwritable(path):
                    rest = memoryview(block)
                    while rest:
                        rest = rest[file.write(rest) :]
                    written(len(block))
                self._tell(len(block))
        if length != size:
            more = "more than" if length > size else f"{length:,} of"
            raise UnsafeArchiveError(
                f"{self.archive}: is damaged: the member {name!r} has {more} the {size:,} bytes that the archive says. "
                f"{FETCH_AGAIN}"
            )
        self.files[name] = FileDigest(bytes=size, sha256=sha256.hexdigest())
        self.teller.check()

    def finish(self) -> None:
        """Tell the last step."""
        self.teller.step("unpacking", *self.progress())

    @contextmanager
    def _created(self, path: Path) -> Iterator[BinaryIO]:
        with unwritable(path):
            if path.parent not in self._folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(path.parent)
            file = path.open("xb", buffering=0)
        try:
            yield file
        except BaseException:
            with suppress(OSError):
                file.close()
            raise
        with unwritable(path):
            file.close()

    def _tell(self, count: int) -> None:
        self.teller.check()
        self._written += count
        self._untold += count
        if self._untold >= TELL:
            self._untold = 0
            self.teller.step("unpacking", *self.progress())


@contextmanager
def _flushed(file: BinaryIO, path: Path, size: int) -> Iterator[Callable[[int], None]]:
    """Bring a large file to the disk while it is written; give what is to be told of each piece."""
    if size < STEP:
        yield lambda _: None
        return
    flusher = Flusher(file.fileno())
    try:
        yield flusher.written
        with unwritable(path):
            flusher.finish()
    finally:
        flusher.close()


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Say what cannot be written: a full disk, a name that the file system does not take."""
    try:
        yield
    except OSError as error:
        way_out = " The archive is kept: free some room, and the same command goes on." if error.errno in FULL else ""
        raise StoreError(f"{path}: cannot be written ({error.strerror or error}).{way_out}") from error


@contextmanager
def reading(archive: Path) -> Iterator[None]:
    """Say that an archive does not read, whatever its reader raises. Enclose nothing but the reading.

    Raises
    ------
    UnsafeArchiveError
        It is damaged.
    DownloadError
        The system cannot read it.
    """
    try:
        yield
    except MedimetaError:  # many are ValueErrors or OSErrors, too
        raise
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # a damaged archive leads to places that are none
            raise DownloadError(f"{archive}: cannot be read ({error.strerror}).") from error
        raise _damaged(archive, error) from error
    except _BROKEN as error:
        raise _damaged(archive, error) from error


def _damaged(archive: Path, error: Exception) -> UnsafeArchiveError:
    said = " ".join(str(error).split()) or type(error).__name__
    return UnsafeArchiveError(f"{archive}: is cut short or damaged ({said}). {FETCH_AGAIN}")
