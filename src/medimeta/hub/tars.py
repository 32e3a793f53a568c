"""Tarballs: read once, as a stream, each member checked when it comes.

``tarfile`` takes a header that does not read for the end, and says nothing; here both are told apart.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

from medimeta.errors import UnsafeArchiveError
from medimeta.hub.extraction import BLOCK, FETCH_AGAIN, Extraction, reading
from medimeta.hub.members import OddMemberError

SLACK = 16 * BLOCK  # bytes that may lie between two members: headers, long names, padding

PACKINGS: Mapping[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "tar": lambda file: file,
    "tar.gz": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),  # type: ignore[dict-item, return-value]
    "tar.bz2": bz2.BZ2File,
    "tar.xz": lzma.LZMAFile,
}


def extract_tar(out: Extraction, packing: str) -> None:
    """Write all files of a tarball. Raises as `medimeta.hub.unpack.unpack` does."""
    whole = out.archive.stat().st_size
    with out.archive.open("rb") as packed, PACKINGS[packing](packed) as plain:
        out.progress = lambda: (packed.tell(), whole)  # what it unpacks to, it does not say
        stream = _Metered(plain, out.archive)
        with _opened(stream, out.archive) as tar:
            for info in _headers(tar, out.archive):
                out.claim(info.size)
                stream.allow(info.size)
                if name := _admitted(info, out):
                    out.write(name, info.size, _blocks(out.archive, tar, info))
        out.finish()


def _opened(stream: _Metered, archive: Path) -> tarfile.TarFile:
    with reading(archive):
        try:
            # Of a stream it needs `read` alone. Closed by the caller.
            tar: tarfile.TarFile = tarfile.open(  # type: ignore[call-overload]  # noqa: SIM115
                fileobj=stream, mode="r|", bufsize=BLOCK, tarinfo=_Header
            )
        except tarfile.ReadError as error:  # of the first header
            raise UnsafeArchiveError(
                f"{archive}: what is packed in it is no tar archive, or is damaged ({error}). {FETCH_AGAIN}"
            ) from error
    return tar


def _headers(tar: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the headers of all members, and read on to the checksum at the end of the stream."""
    with reading(archive):
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # it keeps them all
            if info.size < 0:
                raise tarfile.ReadError(f"the member {info.name!r} has {info.size} bytes")
            yield info
        rest: Any = tar.fileobj
        while piece := rest.read(BLOCK):
            if piece.strip(b"\0"):
                raise tarfile.ReadError("something follows the mark of its end")


def _admitted(info: tarfile.TarInfo, out: Extraction) -> str:
    """Return the name by which a member is extracted; empty where there is nothing to extract."""
    try:
        name = out.names.admit(info.name, folder=info.isdir())
        if not (info.isfile() or info.isdir()):
            raise OddMemberError(f"the member {info.name!r} is a link or a device")
        if info.issparse():
            raise OddMemberError(
                f"the member {info.name!r} is stored with holes, which is not read; pack without --sparse"
            )
    except OddMemberError as error:
        raise UnsafeArchiveError(
            f"{out.archive}: holds what no archive of the release holds: {error}. Do not trust it."
        ) from None
    return name if info.isfile() else ""


def _blocks(archive: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    with reading(archive):
        if (file := tar.extractfile(info)) is not None:
            with file:
                while block := file.read(BLOCK):
                    yield block


class _Header(tarfile.TarInfo):
    """A header that must read, unless it is the mark of the end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


class _Metered:
    """A stream of which no more is read than a member may need: tarfile reads long names whole, whatever their length.

    tarfile reads ahead by a block, which the slack allows for.
    """

    def __init__(self, stream: IO[bytes], archive: Path) -> None:
        self._stream = stream
        self._archive = archive
        self.allow(0)

    def allow(self, size: int) -> None:
        """Allow for a member of so many bytes, and what lies before the next."""
        self._left = size + SLACK

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise UnsafeArchiveError(
                f"{self._archive}: holds more than {SLACK:,} bytes between two members. Do not trust it."
            )
        return data
