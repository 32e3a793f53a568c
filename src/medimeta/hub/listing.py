"""What a record says it holds: names, lengths, checksums and links, read from the JSON of Zenodo's API.

Zenodo lists the files of a record under ``files`` (https://developers.zenodo.org/#records); the software behind it has
``files.entries`` or ``entries``, keyed by name or as a list. All are read. A group's own mirror needs no more than
``{"files": [{"key": ..., "size": ..., "checksum": "md5:..."}]}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from medimeta.catalogue.release import RELEASE
from medimeta.errors import ListingError, problems_error
from medimeta.hub.remote import LENGTHS, Checksum, RemoteFile

MAX_LISTING_BYTES = 16_000_000  # a record has some dozens of files of a few hundred bytes each
MAX_FILE_BYTES = 10**15
MAX_NAME = 255  # of a file, in any file system
_LINKS = ("content", "download", "self")  # where there is ``content``, ``self`` is a description of the file


@dataclass(frozen=True)
class Listing:
    """The files of a record.

    Attributes
    ----------
    where : str
        The address or file that it was read from.
    files : tuple of RemoteFile
        Sorted by name. Their `urls` are the link that the listing names, if any.
    version : str
        What the record calls its version; may be empty.
    newer : str
        Where a newer version of the record is, if the record says that there is one; else empty.
    """

    where: str
    files: tuple[RemoteFile, ...]
    version: str = ""
    newer: str = ""


def parse_listing(data: bytes, where: str) -> Listing:
    """Read a listing.

    Parameters
    ----------
    data : bytes
        JSON.
    where : str
        Its place, for messages.

    Raises
    ------
    ListingError
        It is no JSON, is that of another record, or lacks what a download needs; all problems are told at once.

    Examples
    --------
    >>> text = b'{"files": [{"key": "bus.zip", "size": 3, "checksum": "md5:900150983cd24fb0d6963f7d28e17f72"}]}'
    >>> [file.key for file in parse_listing(text, "listing.json").files]
    ['bus.zip']
    """
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        start = data[:40].decode("utf-8", "replace").strip()
        raise ListingError(
            f"{where}: is no listing: expected JSON, got {start!r}. Expected is what {RELEASE.api} answers."
        ) from None
    if not isinstance(raw, dict):
        raise ListingError(f"{where}: is no listing: expected an object with files, got {_shown(raw)}.")
    _refuse_other_record(raw, where)
    problems: list[str] = []
    files = [file for name, entry in _entries(raw, problems) if (file := _file(name, entry, problems))]
    keys = [file.key for file in files]
    problems += [f"files: {key!r} is listed twice" for key in sorted({key for key in keys if keys.count(key) > 1})]
    if problems:
        raise problems_error(
            ListingError, f"{where}: cannot be used.", problems, f"Expected is what {RELEASE.api} answers."
        )
    return Listing(
        where,
        tuple(sorted(files, key=lambda file: file.key)),
        version=_text(_mapping(raw.get("metadata")).get("version")),
        newer=_newer(raw),
    )


def _refuse_other_record(raw: Mapping[str, Any], where: str) -> None:
    """Each version of a record has a number of its own, and its files never change: another number is other data.

    But where the number is that of all versions together, the answer is the last one, and its version decides.
    """
    record = _text(raw.get("id") or raw.get("recid"))
    version = _text(_mapping(raw.get("metadata")).get("version"))
    of_all = _text(raw.get("conceptrecid")) == RELEASE.record and _numbers(version) in ((), _numbers(RELEASE.version))
    if record and record != RELEASE.record and not of_all:
        called = f" (version {version})" if version else ""
        raise ListingError(
            f"{where}: lists record {record}{called}; this version of medimeta takes record {RELEASE.record} "
            f"(release {RELEASE.version}) alone. A newer release needs a newer medimeta."
        )


def _entries(raw: Mapping[str, Any], problems: list[str]) -> Sequence[tuple[str, Any]]:
    """Return the entries of all files, each with its place for messages."""
    files = raw.get("files", raw)
    if isinstance(files, dict):
        files = files.get("entries")
    if isinstance(files, dict):
        files = [{"key": key, **entry} if isinstance(entry, dict) else entry for key, entry in files.items()]
    if not isinstance(files, list):
        problems.append("files: is missing; expected the list of files")
        return []
    if not files:
        problems.append("files: is empty")
    return [(f"files.{place}", entry) for place, entry in enumerate(files)]


def _file(place: str, entry: Any, problems: list[str]) -> RemoteFile | None:
    if not isinstance(entry, dict):
        problems.append(f"{place}: expected an object, got {_shown(entry)}")
        return None
    before = len(problems)
    key, size = entry.get("key"), entry.get("size")
    if not (isinstance(key, str) and key and len(key) <= MAX_NAME and key.isprintable()):
        problems.append(f"{place}.key: expected a name, got {_shown(key)}")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_FILE_BYTES:
        problems.append(f"{place}.size: expected a number of bytes, got {_shown(size)}")
    checksum = _checksum(place, entry.get("checksum"), problems)
    if len(problems) > before:
        return None
    links = _mapping(entry.get("links"))
    link = next((links[name] for name in _LINKS if links.get(name)), None)
    if link is not None and not _is_address(link):
        problems.append(f"{place}.links: expected an address, got {_shown(link)}")
        return None
    return RemoteFile(str(key), size or 0, checksum, () if link is None else (link,))


def _is_address(link: Any) -> bool:
    try:
        return isinstance(link, str) and link.isprintable() and urlsplit(link) is not None
    except ValueError:  # a bracket that does not close
        return False


def _checksum(place: str, value: Any, problems: list[str]) -> Checksum | None:
    if isinstance(value, str):
        algorithm, _, digest = value.strip().lower().rpartition(":")
        algorithm = algorithm or "md5"  # Zenodo's oldest records name the digest alone
        if re.fullmatch(r"[0-9a-f]+", digest) and len(digest) == LENGTHS.get(algorithm):
            return Checksum(algorithm, digest)
    known = ", ".join(LENGTHS)
    problems.append(f"{place}.checksum: expected 'md5:' and 32 hexadecimal digits (or {known}), got {_shown(value)}")
    return None


def _newer(raw: Mapping[str, Any]) -> str:
    """Return the address of a newer version, where the record says that it is not the last."""
    relations = _mapping(_mapping(raw.get("metadata")).get("relations")).get("version")
    relation = _mapping(relations[0]) if isinstance(relations, list) and relations else {}
    last = relation.get("is_last", _mapping(raw.get("versions")).get("is_latest"))
    links = _mapping(raw.get("links"))
    return _text(links.get("latest_html") or links.get("latest") or RELEASE.url) if last is False else ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, without zeros at the end: v1.0.0 is 1."""
    numbers = [int(number) for number in re.findall(r"[0-9]{1,9}", version)]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, (str, int)) else ""


def _shown(value: Any) -> str:
    return "nothing" if value is None else ascii(value)[:60]
