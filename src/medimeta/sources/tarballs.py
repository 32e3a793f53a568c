"""Compressed tarballs, read as a stream: once, in their own order, whether they lie in a folder or in a zip."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from medimeta.errors import DamagedSourceError
from medimeta.sources.archive import MAX_MEMBERS, PIECE, Archive, junk

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
    for where, info, tar in _entries(source, member):
        file = tar.extractfile(info)
        data = b"" if file is None else file.read()
        if len(data) != info.size:
            raise DamagedSourceError(f"{where}: stops short: {len(data):,} of {info.size:,} bytes. Fetch it again.")
        yield info.name.removeprefix("./"), data


def tarball_names(source: Archive, member: str) -> list[str]:
    """Return the names of all files of a tarball; reads it whole. Raises as `stream_tarball` does."""
    return [info.name.removeprefix("./") for _, info, _ in _entries(source, member)]


def _entries(source: Archive, member: str) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    where = source.where(member)
    with source.open(member) as stream:
        try:
            # gzip's own reader, as tarfile's leaves the checksum at the end unread.
            with gzip.GzipFile(fileobj=stream) as plain, tarfile.open(fileobj=plain, mode="r|", bufsize=BUFFER) as tar:
                for count, info in enumerate(tar):
                    if count >= MAX_MEMBERS:
                        raise DamagedSourceError(f"{where}: has more than {MAX_MEMBERS:,} members.")
                    _check(info, where)
                    if info.isfile() and not junk(info.name):
                        yield f"{where}: {info.name}", info, tar
                while plain.read(PIECE):
                    pass
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DamagedSourceError(
                f"{where}: is cut short or damaged ({error or type(error).__name__}). Fetch it again."
            ) from error


def _check(info: tarfile.TarInfo, where: str) -> None:
    path = PurePosixPath(info.name)
    if path.is_absolute() or ".." in path.parts:
        raise DamagedSourceError(f"{where}: the member {info.name!r} leads out of the archive. Do not trust it.")
    if not (info.isfile() or info.isdir()):
        raise DamagedSourceError(f"{where}: the member {info.name!r} is a link or a device. Do not trust it.")
    if info.size > MAX_FILE_BYTES:
        raise DamagedSourceError(
            f"{where}: the member {info.name!r} is {info.size:,} bytes long, more than the {MAX_FILE_BYTES:,} that "
            f"a file of a tarball may have."
        )
