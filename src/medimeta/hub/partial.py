"""The part of a file that has come so far, beside the place of the whole."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from medimeta.errors import ChecksumError, StoreError
from medimeta.hub.remote import Checksum, RemoteFile
from medimeta.hub.telling import Teller
from medimeta.store.disk import FULL, free_bytes, room

if TYPE_CHECKING:
    from hashlib import _Hash

BLOCK = 1 << 20


class Partial:
    """A part of a file, which grows at its end; a context manager.

    Its name holds a piece of the checksum, so it is never gone on with for other content. Without a checksum nothing
    says that what an earlier run left belongs to what is there now, so that is thrown away.

    Attributes
    ----------
    path : pathlib.Path
        Where it lies.
    length : int
        Bytes that are there.
    version : str
        What the place that they came from says about its content; see `medimeta.hub.answer.Answer`.
    """

    def __init__(self, target: Path, file: RemoteFile, teller: Teller) -> None:
        self.path = partial_path(target, file)
        self.length = 0
        self.version = ""
        self._target, self._size, self._checksum = target, file.size, file.checksum
        self._hash = _hash(file.checksum)
        try:
            if self.path.is_symlink():  # what it leads to is not ours to write
                self.path.unlink()
            self._file = self.path.open("ab", buffering=0)  # what has come is the system's at once
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            there = self.path.stat().st_size
            if self._hash is None or there > self._size:
                self.empty()
            else:
                self.length = _feed(self._hash, self.path, there, self._size, teller)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self.length == 0:
            self.path.unlink(missing_ok=True)

    @property
    def checksum(self) -> Checksum | None:
        """The checksum of what is there; None where none is wanted."""
        if self._checksum is None or self._hash is None:
            return None
        return Checksum(self._checksum.algorithm, self._hash.hexdigest())

    def write(self, block: bytes) -> None:
        """Put a block at the end.

        Raises
        ------
        StoreError
            The disk is full, or cannot be written. What could be written is kept.
        """
        rest = memoryview(block)
        try:
            while rest:  # the last block of a full disk fits in part
                written = self._file.write(rest)
                if self._hash is not None:
                    self._hash.update(rest[:written])
                self.length += written
                rest = rest[written:]
        except OSError as error:
            raise self._unwritable(error) from error

    def empty(self) -> None:
        """Throw away what is there."""
        try:
            self._file.truncate(0)
        except OSError as error:
            raise self._unwritable(error) from error
        self.length, self.version = 0, ""
        self._hash = _hash(self._checksum)

    def finish(self) -> None:
        """Give it the name of the whole."""
        self._file.close()
        try:
            self.path.replace(self._target)
        except OSError as error:
            raise self._unwritable(error) from error
        self.length = 0

    def _unwritable(self, error: OSError) -> StoreError:
        if error.errno not in FULL:
            return StoreError(f"{self._target}: cannot be written ({error.strerror}).")
        return StoreError(
            f"{self._target}: the disk is full. {room(free_bytes(self._target.parent))} are free, and "
            f"{room(self._size - self.length)} more are needed. {room(self.length)} are kept: make room, and the same "
            f"command goes on from there."
        )


def partial_path(target: Path, file: RemoteFile) -> Path:
    """Return where the part of a file lies that has come so far."""
    piece = file.checksum.value[:12] if file.checksum else str(file.size)
    return target.with_name(f".{target.name}.{piece}.part")


def holds(path: Path, file: RemoteFile, teller: Teller) -> bool:
    """Return whether a file has the size and the checksum of a published one."""
    if not path.is_file():
        return False
    try:
        check_file(path, file, teller)
    except ChecksumError:
        return False
    return True


def check_file(path: Path, file: RemoteFile, teller: Teller) -> None:
    """Compare a file with the published one.

    Raises
    ------
    ChecksumError
        Its size or checksum is another.
    """
    if (size := path.stat().st_size) != file.size:
        raise ChecksumError(f"{path}: expected {file.size:,} bytes, got {size:,}. Fetch it again.")
    digest = _hash(file.checksum)
    if file.checksum is None or digest is None:
        return
    _feed(digest, path, file.size, file.size, teller)
    if (got := Checksum(file.checksum.algorithm, digest.hexdigest())) != file.checksum:
        raise ChecksumError(
            f"{path}: is damaged, or not what was published: expected {file.checksum}, got {got}. Fetch it again."
        )


def _hash(checksum: Checksum | None) -> _Hash | None:
    return checksum.new() if checksum else None


def _feed(digest: _Hash, path: Path, count: int, size: int, teller: Teller) -> int:
    """Hash the first bytes of a file that will have `size`; return how many there were."""
    done = 0
    buffer = memoryview(bytearray(BLOCK))
    try:
        with path.open("rb", buffering=0) as file:
            while got := file.readinto(buffer[: count - done]):
                digest.update(buffer[:got])
                done += got
                teller.step("checking", done, size)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}).") from error
    return done
