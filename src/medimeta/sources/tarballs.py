"""Compressed tarballs, read as a stream: once, in their own order, whether they lie in a folder or in a zip."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from typing import IO

from medimeta._members import MAX_MEMBERS, is_unicode, junk, leads_out
from medimeta.errors import DamagedSourceError
from medimeta.sources.archive import PIECE, Archive

MAX_FILE_BYTES = 256 * 1024**2  # files in tarballs are single images
BUFFER = 1024**2


def tarballs(source: Archive) -> tuple[str, ...]:
    """Return the members that are compressed tarballs, by their names."""
    return tuple(name for name in source.members if name.casefold().endswith((".tar.gz", ".tgz")))


def stream_tarball(source: Archive, member: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of every file of a tarball, in the order in which they are stored.

    Raises
    ------
    DamagedSourceError
        The tarball is cut short or corrupt, holds a link or a device, or a name that leads out of it, or more or
        larger files than any original.
    """
    return _files(source, member, read=True)


def tarball_names(source: Archive, member: str) -> list[str]:
    """Return the names of all files of a tarball; reads it whole. Raises as `stream_tarball` does."""
    return [name for name, _ in _files(source, member, read=False)]


def _files(source: Archive, member: str, *, read: bool) -> Iterator[tuple[str, bytes]]:
    where = source.where(member)
    with source.open(member) as stream:
        try:
            # gzip's own reader, as tarfile's leaves the checksum at the end unread.
            with _Metered(stream, where) as plain, tarfile.open(fileobj=plain, mode="r|", bufsize=BUFFER) as tar:
                for count, info in enumerate(tar):
                    if count >= MAX_MEMBERS:
                        raise DamagedSourceError(f"{where}: has more than {MAX_MEMBERS:,} members.")
                    name = _checked(info, where)
                    if info.isfile() and not junk(name):
                        yield name, _read(tar, info, f"{where}: {name}") if read else b""
                    plain.refill()
                _expect_end(tar, where)
        except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
            raise DamagedSourceError(
                f"{where}: is cut short or damaged ({error or type(error).__name__}). Fetch it again."
            ) from error


class _Metered(gzip.GzipFile):
    """A compressed stream of which no more is read at a time than one file may need.

    tarfile reads long names and the like whole, whatever length the tarball says, before it shows the member.
    """

    def __init__(self, stream: IO[bytes], where: str) -> None:
        super().__init__(fileobj=stream, mode="rb")
        self.where = where
        self.refill()

    def refill(self) -> None:
        self.left = MAX_FILE_BYTES + 4 * BUFFER

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.left -= len(data)
        if self.left < 0:
            raise DamagedSourceError(
                f"{self.where}: holds more than {MAX_FILE_BYTES:,} bytes between two files. Do not trust it."
            )
        return data


def _checked(info: tarfile.TarInfo, where: str) -> str:
    """Return the name of a member, with forward slashes; refuse what no original has."""
    name = info.name.replace("\\", "/")
    if leads_out(name):
        raise DamagedSourceError(f"{where}: the member {info.name!r} leads out of the archive. Do not trust it.")
    if not is_unicode(name):
        raise DamagedSourceError(f"{where}: the name of the member {info.name!a} is not Unicode.")
    if not (info.isfile() or info.isdir()):
        raise DamagedSourceError(f"{where}: the member {info.name!r} is a link or a device. Do not trust it.")
    if not 0 <= info.size <= MAX_FILE_BYTES:
        raise DamagedSourceError(
            f"{where}: the member {info.name!r} is {info.size:,} bytes long; expected no more than the "
            f"{MAX_FILE_BYTES:,} that a file of a tarball may have."
        )
    return name.removeprefix("./")


def _read(tar: tarfile.TarFile, info: tarfile.TarInfo, where: str) -> bytes:
    file = tar.extractfile(info)
    data = b"" if file is None else file.read()
    if len(data) != info.size:
        raise DamagedSourceError(f"{where}: stops short: {len(data):,} of {info.size:,} bytes. Fetch it again.")
    return data


def _expect_end(tar: tarfile.TarFile, where: str) -> None:
    """Read on to the checksum of the stream; tarfile takes a damaged header for the end, and says nothing."""
    rest = tar.fileobj
    while rest is not None and (piece := rest.read(PIECE)):
        if piece.strip(b"\0"):
            raise DamagedSourceError(f"{where}: is damaged: a member's header does not read. Fetch it again.")
