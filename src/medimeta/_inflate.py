"""Read a compressed member of a zip, in one go or block by block.

``zipfile`` inflates in small steps and with zlib, which takes a tenth of a build from JPEG, and most of unpacking; this
takes six tenths of that.
"""

from __future__ import annotations

import copy
import zipfile
from collections.abc import Iterator

from medimeta import _zlib

OVERHEAD = 1024  # bytes, generously, that packing adds to a member that does not get smaller


def read_member(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a member; takes its packed and its unpacked size in memory.

    Raises
    ------
    zipfile.BadZipFile
        It is damaged.
    RuntimeError, NotImplementedError, OSError
        It is encrypted, packed in a way that is not known, or cannot be read.

    Examples
    --------
    >>> import io
    >>> file = zipfile.ZipFile(io.BytesIO(), "w", zipfile.ZIP_DEFLATED)
    >>> file.writestr("a.txt", "text")
    >>> read_member(file, file.getinfo("a.txt"))
    b'text'
    """
    if info.compress_type != zipfile.ZIP_DEFLATED:
        return file.read(info)
    if info.compress_size > 2 * info.file_size + OVERHEAD:  # or a false size would have gigabytes read at once
        raise zipfile.BadZipFile(f"{info.compress_size:,} packed bytes for {info.file_size:,}")
    with file.open(_as_it_lies(info)) as stream:
        packed = stream.read()
    inflater = _zlib.decompressobj(-_zlib.MAX_WBITS)
    try:
        data: bytes = inflater.decompress(packed, info.file_size + 1)  # one more than it may have: a bomb ends here
    except _zlib.error as error:
        raise zipfile.BadZipFile(str(error)) from error
    if len(data) != info.file_size or _zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {info.filename!r}")
    return data


def member_blocks(file: zipfile.ZipFile, info: zipfile.ZipInfo, length: int) -> Iterator[bytes]:
    """Yield the bytes of a member in blocks of at most `length`, whatever the zip says of its size.

    Raises as `read_member` does, at the latest behind the last block.

    Examples
    --------
    >>> import io
    >>> file = zipfile.ZipFile(io.BytesIO(), "w", zipfile.ZIP_DEFLATED)
    >>> file.writestr("a.txt", "text")
    >>> b"".join(member_blocks(file, file.getinfo("a.txt"), 3))
    b'text'
    """
    if info.compress_type != zipfile.ZIP_DEFLATED:
        with file.open(info) as stream:
            while block := stream.read(length):
                yield block
        return
    inflater, crc = _zlib.decompressobj(-_zlib.MAX_WBITS), 0
    with file.open(_as_it_lies(info)) as stream:
        while not inflater.eof:
            packed = inflater.unconsumed_tail or stream.read(length)
            try:
                block = inflater.decompress(packed, length)
            except _zlib.error as error:
                raise zipfile.BadZipFile(str(error)) from error
            if block:  # the last packed bytes may give several
                crc = _zlib.crc32(block, crc)
                yield block
            elif not packed:
                break  # cut short
    if crc != info.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {info.filename!r}")


def _as_it_lies(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Describe a member as if it were stored without compression, so that ``zipfile`` hands out its packed bytes."""
    packed = copy.copy(info)
    packed.compress_type = zipfile.ZIP_STORED
    packed.file_size = info.compress_size
    del packed.CRC  # it is that of the unpacked bytes
    return packed
