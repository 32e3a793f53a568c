"""One published file: its name, length, checksum, and where it may be fetched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

if TYPE_CHECKING:
    from hashlib import _Hash

LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}  # of their hexadecimal digests


@dataclass(frozen=True)
class Checksum:
    """A checksum, as ``md5:9e107d9d372bb6826bd81d3542a419d6``.

    Examples
    --------
    >>> str(Checksum("md5", "9e107d9d372bb6826bd81d3542a419d6"))
    'md5:9e107d9d372bb6826bd81d3542a419d6'
    """

    algorithm: str
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"

    def new(self) -> _Hash:
        """Return a fresh hasher of its algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def local_path(url: str) -> Path:
    """Return the path that a ``file:`` address names.

    Raises
    ------
    ValueError
        It is no address.
    """
    return Path(url2pathname(urlsplit(url).path))


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes
    ----------
    key : str
        Its name: one part, no folder.
    size : int
        Length in bytes.
    checksum : Checksum or None
        None where nobody names one, as in a folder without a listing.
    urls : tuple of str
        Where it may be: ``http``, ``https`` or ``file``. They are tried in turn while they say that it is not there.
    """

    key: str
    size: int
    checksum: Checksum | None
    urls: tuple[str, ...]
