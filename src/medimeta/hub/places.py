"""Where listing and archives come from: the record, a mirror of it, or a folder of archives fetched by hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from medimeta._files import as_path
from medimeta.catalogue.release import RELEASE
from medimeta.errors import DownloadError, ListingError, NotPublishedError, UnreachableError, UsageError
from medimeta.hub.answer import RefusedError
from medimeta.hub.listing import MAX_LISTING_BYTES, Listing, parse_listing
from medimeta.hub.remote import RemoteFile, local_path
from medimeta.hub.telling import Teller

if TYPE_CHECKING:
    from medimeta.hub.client import Client

LISTING = "listing.json"  # name of the listing beside the archives of a mirror
LISTING_WAY_OUT = f"Save what {RELEASE.api} answers on another machine, and pass it as --listing FILE"


def mirror_of(mirror: str | os.PathLike[str] | None) -> str | None:
    """Return the address of the mirror: the one given, else ``$MEDIMETA_MIRROR``; that of a folder as a ``file:`` URL.

    Raises
    ------
    UsageError
        It is neither an address that can be fetched nor a folder.

    Examples
    --------
    >>> mirror_of("https://data.example.org/medimeta/")
    'https://data.example.org/medimeta'
    """
    named = mirror if mirror is not None else os.environ.get("MEDIMETA_MIRROR") or None
    if named is None:
        return None
    text = named if isinstance(named, str) and "\0" not in named else str(as_path(named, "mirror"))
    scheme = text.partition(":")[0].lower() if ":" in text else ""
    if scheme in ("http", "https"):
        if not _has_host(text):
            raise UsageError(f"{text}: is no address of a mirror. Expected one such as https://host/folder.")
        return text.rstrip("/")
    if scheme == "file":
        try:
            text = str(local_path(text))
        except ValueError:
            raise UsageError(f"{text}: is no address of a folder.") from None
    elif "://" in text:
        raise UsageError(f"{text}: a mirror is an http or https address, or a folder.")
    folder = Path(text)
    if not folder.is_dir():
        raise UsageError(f"{text}: there is no such folder. A mirror is an http or https address, or a folder.")
    return folder.absolute().as_uri().rstrip("/")


def _has_host(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is none
        return False


def find_listing(client: Client, mirror: str | None, file: Path | None, teller: Teller) -> Listing:
    """Return the listing, with the addresses at which its files are to be had.

    It is the file, where one is given; else what the mirror says of itself; else what the record says.

    Parameters
    ----------
    client : Client
        For what must be fetched.
    mirror : str, optional
        See `mirror_of`. All files are then fetched from there, and none from elsewhere.
    file : Path, optional
        A saved listing.
    teller : Teller
        Told of waits.

    Raises
    ------
    DownloadError
        There is no listing, or it cannot be used.
    """
    if file is not None:
        return _located(parse_listing(_read_file(file), str(file)), mirror)
    own = [] if mirror is None else [f"{mirror}/{LISTING}", f"{mirror}/api/records/{RELEASE.record}"]
    wrong: list[DownloadError] = []
    for url in own:
        try:
            return _located(parse_listing(_read(client, url, teller), url), mirror)
        except (NotPublishedError, RefusedError):  # some servers refuse what they do not have
            continue
        except (ListingError, UnreachableError) as error:
            wrong.append(error)
    if wrong:
        raise wrong[0]
    try:
        return _located(parse_listing(_read(client, RELEASE.api, teller), RELEASE.api), mirror)
    except UnreachableError as error:
        tried = f"The mirror has no listing of its own ({' and '.join(own)}).\n" if own else ""
        raise UnreachableError(f"{tried}{error}\n{LISTING_WAY_OUT}.") from None


def hand_fetched(folder: Path, file: Path | None) -> Listing:
    """Return the archives of a folder as a listing; with checksums where a listing is given, or lies beside them.

    Raises
    ------
    UsageError
        There is no such folder.
    ListingError
        The listing cannot be used.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder. --from-dir takes the folder that holds the archives.")
    beside = folder / LISTING
    said = file or (beside if beside.is_file() else None)
    checksums = {} if said is None else {each.key: each for each in parse_listing(_read_file(said), str(said)).files}
    files = []
    for path in sorted(folder.iterdir()):
        if path.is_file():
            here = RemoteFile(path.name, path.stat().st_size, None, (path.absolute().as_uri(),))
            known = checksums.get(path.name)
            files.append(here if known is None else replace(known, urls=here.urls))
    return Listing(str(folder), tuple(files))


def _read_file(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_LISTING_BYTES + 1)
    except OSError as error:
        raise ListingError(f"{file}: cannot be read ({error.strerror}). {LISTING_WAY_OUT}.") from None
    if len(data) > MAX_LISTING_BYTES:
        raise ListingError(f"{file}: is longer than the {MAX_LISTING_BYTES:,} bytes that a listing may have.")
    return data


def _read(client: Client, url: str, teller: Teller) -> bytes:
    if not url.startswith("file:"):
        return client.read(url, MAX_LISTING_BYTES, teller)
    path = local_path(url)
    if not path.is_file():
        raise NotPublishedError(f"{path}: there is no such file.")
    return _read_file(path)


def _located(listing: Listing, mirror: str | None) -> Listing:
    """Give each file its addresses; with a mirror, those at the mirror alone."""
    files = [replace(file, urls=tuple(_addresses(file, listing.where, mirror))) for file in listing.files]
    return replace(listing, files=tuple(files))


def _addresses(file: RemoteFile, where: str, mirror: str | None) -> Sequence[str]:
    name = quote(file.key)
    base = where if urlsplit(where).scheme in ("http", "https") else RELEASE.api
    links = [link for each in file.urls if urlsplit(link := urljoin(base, each)).scheme in ("http", "https")]
    if mirror is None:
        return links or [f"{RELEASE.api}/files/{name}/content"]
    at_mirror = [link for link in links if _origin(link) == _origin(mirror)]
    if mirror.startswith("file:"):
        return [f"{mirror}/{name}"]
    # A copy of the record's own listing names the record's addresses: the mirror may have the same paths.
    moved = [f"{mirror}{urlsplit(link).path}" for link in links]
    return list(dict.fromkeys([*at_mirror, f"{mirror}/{name}", *moved]))


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()
