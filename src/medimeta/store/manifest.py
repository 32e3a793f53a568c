"""``manifest.json``: from what, how and with what a dataset was built, and the digest of every file.

That of a build holds nothing that differs between two builds of the same original: no time, no host, no path of a
machine. That of a download also says whence and when it came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from medimeta.errors import DamagedStoreError, StoreError
from medimeta.store import layout

FORMAT_VERSION = 1
MAX_MANIFEST_BYTES = 256_000_000  # masks of the largest dataset, one line each, stay far below


class FileDigest(BaseModel):
    """Size in bytes and SHA-256 of one file."""

    model_config = ConfigDict(frozen=True)

    bytes: int
    sha256: str


class SourceDigest(BaseModel):
    """What was read of an original.

    ``sha256`` is that of the lines ``<member> <sha256 of its bytes>`` of all members read, sorted, images by their
    original path: the same for an archive and for the folder it was extracted to.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    members: int
    sha256: str


class DownloadOrigin(BaseModel):
    """Where a downloaded dataset came from.

    Attributes
    ----------
    record : str
        DOI of the record, or where the listing was that named the archive.
    url : str
        Where the archive was fetched.
    archive : str
        Its name.
    bytes : int
        Its length.
    checksum : str
        What it was checked against, as ``md5:...``; empty where nothing named one.
    date : str
        Day of the download in UTC, as ``2026-11-27``.
    """

    model_config = ConfigDict(frozen=True)

    record: str
    url: str
    archive: str
    bytes: int
    checksum: str
    date: str


class Manifest(BaseModel):
    """The manifest of a stored dataset.

    Attributes
    ----------
    recipe : str or None
        What built it, in version `recipe_version`; None where others did, who left no manifest.
    download : DownloadOrigin or None
        Where it came from, where it was not built here.
    partial : bool
        Whether the original did not hold what the release was made of, and the build was allowed all the same.
    departures : tuple of str
        In what the counts differ from the card's, where `partial`.
    """

    model_config = ConfigDict(frozen=True)

    format_version: int = FORMAT_VERSION
    dataset: str
    package: str
    recipe: str | None = None
    recipe_version: int | None = None
    settings: Mapping[str, Any]
    partial: bool
    departures: tuple[str, ...]
    samples: int
    sources: tuple[SourceDigest, ...]
    files: Mapping[str, FileDigest]
    download: DownloadOrigin | None = None

    def learned_from(self) -> dict[str, FileDigest]:
        """Return the files that learning depends on, by name, sorted: images, labels and splits."""
        prefixes = (layout.IMAGES, f"{layout.LABELS}/", f"{layout.SPLITS_FOLDER}/")
        return {name: file for name, file in sorted(self.files.items()) if name.startswith(prefixes)}

    def fingerprint(self) -> str:
        """Return one digest of all that learning depends on: images, labels and splits."""
        lines = [f"{name} {file.sha256}" for name, file in self.learned_from().items()]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def digest_files(folder: Path, known: Mapping[str, FileDigest]) -> dict[str, FileDigest]:
    """Hash every file of a dataset but the manifest itself, by relative name, sorted; `known` ones are taken over."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: known.get(name) or digest_file(folder / name) for name in names if name != layout.MANIFEST}


def digest_file(path: Path) -> FileDigest:
    """Hash one file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FileDigest(bytes=path.stat().st_size, sha256=sha256)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a dataset.

    Raises
    ------
    StoreError
        It cannot be written.
    """
    path = folder / layout.MANIFEST
    try:
        path.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8", newline="\n")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error}).") from error


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest; None where there is none, as in folders that others wrote.

    Raises
    ------
    DamagedStoreError
        The file is there but is no manifest of this format.
    """
    path = folder / layout.MANIFEST
    if not path.exists():
        return None
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise DamagedStoreError(f"{path}: is larger than the {MAX_MANIFEST_BYTES:,} bytes that it may have.")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DamagedStoreError(
            f"{path}: is not a manifest ({'.'.join(map(str, first['loc']))}: {first['msg']}). "
            f"Build or download the dataset again."
        ) from None
    if manifest.format_version > FORMAT_VERSION:
        raise DamagedStoreError(
            f"{path}: has format version {manifest.format_version}, newer than the {FORMAT_VERSION} that this version "
            f"of medimeta reads. Upgrade medimeta."
        )
    return manifest
