"""Zip archives: all of their members are known, and checked, before the first is written."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from medimeta._inflate import member_blocks
from medimeta._members import MAX_MEMBERS
from medimeta.errors import UnsafeArchiveError, problems_error
from medimeta.hub.extraction import BLOCK, Extraction, reading
from medimeta.hub.members import Names, OddMemberError, dataset_folder

MAX_DIRECTORY = 128 * MAX_MEMBERS  # bytes of the list of members, which is read into memory whole

_END = struct.Struct("<4s4H2LH")  # end of central directory record; the fifth field counts the members
_END_64 = struct.Struct("<4sQ2H2L2Q16x")  # the same of zip64, where the last does
_LOCATOR_BYTES = 20  # between the two

Members = list[tuple[zipfile.ZipInfo, str]]


def extract_zip(out: Extraction) -> None:
    """Write all files of a zip. Raises as `medimeta.hub.unpack.unpack` does."""
    with _opened(out.archive) as file:
        members = _admitted(out.archive, file, out.names)
        dataset_folder(out.archive, (name for _, name in members))  # before anything is written
        for info, _ in members:
            out.claim(info.file_size)
        for info, name in members:
            out.write(name, info.file_size, _blocks(out.archive, file, info))
    out.finish()


def zip_bytes(archive: Path) -> int:
    """Return how many bytes a zip says that its members have. Raises as `medimeta.hub.unpack.unpack` does."""
    with _opened(archive) as file:
        return sum(info.file_size for info, _ in _admitted(archive, file, Names()))


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    with reading(archive):
        raw = _Bounded(io.FileIO(archive))
    with raw:
        with reading(archive):
            file = zipfile.ZipFile(raw)
            _expect_all(file, raw)
        with file:
            yield file


class _Bounded(io.BufferedReader):
    """A file of which no more is read at once than the list of members may take."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY:  # without a size zipfile reads the file's last bytes
            raise zipfile.BadZipFile(f"its list of members is longer than {MAX_DIRECTORY:,} bytes")
        return super().read(size)


def _expect_all(file: zipfile.ZipFile, raw: IO[bytes]) -> None:
    """Compare the number of members with the last record; zipfile passes over those that damaged lengths swallow.

    The records are those of section 4.3 of PKWARE's APPNOTE.TXT.
    """
    found = len(file.infolist())
    raw.seek(-_END.size - len(file.comment), os.SEEK_END)
    signature, _, _, _, count, *_ = _END.unpack(raw.read(_END.size))
    if signature != b"PK\5\6":
        raise zipfile.BadZipFile("something follows its end")
    if count == 0xFFFF:
        raw.seek(-_END.size - len(file.comment) - _LOCATOR_BYTES - _END_64.size, os.SEEK_END)
        signature, *_, count_64 = _END_64.unpack(raw.read(_END_64.size))
        count = count_64 if signature == b"PK\6\6" else count
    if count != found:
        raise zipfile.BadZipFile(f"it says {count:,} members, {found:,} can be read")


def _admitted(archive: Path, file: zipfile.ZipFile, names: Names) -> Members:
    """Return the members that are files, with the names by which they are extracted; all that is wrong at once."""
    members: Members = []
    problems: list[str] = []
    for info in file.infolist():
        try:
            if name := _admit(info, names):
                members.append((info, name))
        except OddMemberError as error:
            problems.append(str(error))
            if len(problems) > MAX_MEMBERS // 1000:
                break
    if problems:
        raise problems_error(
            UnsafeArchiveError,
            f"{archive}: holds what no archive of the release holds:",
            problems,
            "Nothing was unpacked. Do not trust it.",
        )
    return members


def _admit(info: zipfile.ZipInfo, names: Names) -> str:
    """Return the name by which a member is extracted; empty where there is nothing to extract."""
    raw = info.orig_filename if "\0" in info.orig_filename else info.filename  # the latter ends at a NUL
    kind = stat.S_IFMT(info.external_attr >> 16)
    folder = raw.endswith(("/", "\\")) or kind == stat.S_IFDIR
    name = names.admit(raw, folder=folder)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise OddMemberError(f"the member {raw!r} is a link or a device")
    if folder and info.file_size:
        raise OddMemberError(f"the member {raw!r} is a folder, but holds {info.file_size:,} bytes")
    if info.flag_bits & 0x1:
        raise OddMemberError(f"the member {raw!r} is encrypted")
    return "" if folder else name


def _blocks(archive: Path, file: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with reading(archive):
        yield from member_blocks(file, info, BLOCK)
