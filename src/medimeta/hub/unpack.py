"""Unpack the archive of a dataset: whole, within bounds, and nothing outside its folder."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from medimeta.errors import DownloadError, UnsafeArchiveError
from medimeta.hub.extraction import FETCH_AGAIN, Extraction, unwritable
from medimeta.hub.members import dataset_folder
from medimeta.hub.tars import extract_tar
from medimeta.hub.telling import Teller
from medimeta.hub.zips import extract_zip, zip_bytes
from medimeta.store.manifest import FileDigest
from medimeta.store.publish import remove

_HEAD = 1024
_STARTS = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # one without members
    b"\x1f\x8b": "tar.gz",
    b"BZh": "tar.bz2",
    b"\xfd7zXZ\x00": "tar.xz",
}
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"LZIP": "an lzip archive",
    b"\x04\x22\x4d\x18": "an LZ4 archive",
    b"PK\x07\x08": "one part of a zip that was split",
    b"\x89HDF": "an HDF5 file, not an archive",
}
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"{")
_REPACK = "Extract it with the tool that packed it, pack the folder as zip or tar.gz, and give that with --from-dir."


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked.

    Attributes
    ----------
    folder : Path
        The dataset's folder: that of ``info.yaml``.
    files : dict of str to FileDigest
        Its files, by name relative to `folder`, sorted; hashed while they were written.
    """

    folder: Path
    files: dict[str, FileDigest]


def unpack(archive: Path, into: Path, limit: int, teller: Teller) -> Unpacked:
    """Unpack a zip or a tarball (plain, gz, bz2, xz), told apart by their first bytes.

    The dataset may lie at the archive's top, or in folders of it. What packers leave behind (``__MACOSX/``,
    ``.DS_Store``, ...) is left out, and files get the rights of any new file, whatever the archive says.

    Parameters
    ----------
    archive : Path
        The file.
    into : Path
        Folder to unpack into; what is there is removed first.
    limit : int
        Most bytes that its members may have together.
    teller : Teller
        Is told the bytes done: those written, or for tarballs those read of the archive.

    After an error nothing is left in `into`; one that is stopped leaves there what it has.

    Raises
    ------
    UnsafeArchiveError
        It is damaged, no archive that can be read, too large, encrypted, or holds links, devices, or names that lead
        out or are there twice.
    ReleaseMismatchError
        It does not hold one dataset.
    DownloadError
        It cannot be read.
    StoreError
        A file cannot be written, as on a full disk.
    Stopped
        The teller was asked to stop.
    """
    kind = _kind(archive)
    with unwritable(into):
        remove(into)
        into.mkdir(parents=True)
    out = Extraction(archive, into, limit, teller)
    try:
        if kind == "zip":
            extract_zip(out)
        else:
            extract_tar(out, kind)
        top = dataset_folder(archive, out.files)
    except Exception:
        remove(into)  # the disk may be full of it
        raise
    start = f"{top}/" if top else ""
    inside = {name[len(start) :]: file for name, file in out.files.items() if name.startswith(start)}
    return Unpacked(into / top, dict(sorted(inside.items())))


def unpacked_bytes(archive: Path) -> int | None:
    """Return how many bytes the archive says that it unpacks to; None where it does not say, as compressed tarballs.

    Raises
    ------
    UnsafeArchiveError, DownloadError
        As `unpack` does.
    """
    kind = _kind(archive)
    if kind == "zip":
        return zip_bytes(archive)
    return archive.stat().st_size if kind == "tar" else None


def _kind(archive: Path) -> str:
    try:
        with archive.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise DownloadError(f"{archive}: cannot be read ({error.strerror}).") from error
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    if _is_tar(head):
        return "tar"
    raise UnsafeArchiveError(f"{archive}: {_described(head)}")


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


def _described(head: bytes) -> str:
    """Say what a file is that cannot be unpacked, and what to do."""
    expected = "Expected a zip, or a tar archive: plain, or packed by gzip, bzip2 or xz."
    if not head:
        return f"is empty. {FETCH_AGAIN}"
    for start, what in _OTHERS.items():
        if head.startswith(start):
            return f"starts like {what}. {expected} {_REPACK}"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGES):
        return f"starts like a web page or a message ({_text(head)}). {expected} It was saved in place of the archive."
    return f"starts like no archive ({_text(head[:16])}). {expected} {FETCH_AGAIN}"


def _text(head: bytes) -> str:
    return ascii(head[:60].decode("utf-8", "replace"))
