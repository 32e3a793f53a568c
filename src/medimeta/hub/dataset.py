"""One dataset: fetched, unpacked, checked, and put in its place, or left as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from medimeta.catalogue.schema import DatasetCard
from medimeta.errors import StoreError
from medimeta.hub.attribution import attribution
from medimeta.hub.contents import check_contents, most_bytes, write_download_manifest
from medimeta.hub.partial import check_file
from medimeta.hub.remote import RemoteFile
from medimeta.hub.report import DownloadReport
from medimeta.hub.telling import Teller
from medimeta.hub.transfer import fetch
from medimeta.hub.unpack import unpack, unpacked_bytes
from medimeta.store.disk import free_bytes, room
from medimeta.store.manifest import DownloadOrigin
from medimeta.store.publish import download_folder, locked, publish, remove, workplace

if TYPE_CHECKING:
    from medimeta.hub.client import Client

ARCHIVES = "archives"  # folder below the root for archives that are kept


@dataclass(frozen=True)
class Order:
    """What is to be downloaded, and how.

    Attributes
    ----------
    card : DatasetCard
        The dataset.
    file : RemoteFile
        Its archive.
    record : str
        The record, or where the listing was that names the archive.
    root : Path
        Root folder.
    in_place : bool
        Whether the archive was fetched by hand: it is read where it lies, and left there.
    keep_archive : bool
        Whether the archive is kept below the root.
    """

    card: DatasetCard
    file: RemoteFile
    record: str
    root: Path
    in_place: bool = False
    keep_archive: bool = False

    @property
    def kept(self) -> Path:
        """Where the archive is kept."""
        return self.root / ARCHIVES / self.file.key


def download_one(order: Order, client: Client, teller: Teller) -> DownloadReport:
    """Download a dataset, and replace one that is there once the new one is verified.

    Raises
    ------
    DownloadError, StoreError, Stopped
        Nothing is changed below the root but for the part that was fetched, with which the next call goes on.
    """
    started = time.monotonic()
    card, root, work = order.card, order.root, download_folder(order.root, order.card.id)
    with locked(root, card.id), _kept_if_used(work), workplace(root, card.id, work):
        for left in ("unpacked", "dataset"):
            remove(work / left)  # of a download that was broken off
        archive, url = _archive(order, work, client, teller)
        _check_room(root, card, archive)
        unpacked = unpack(archive, work / "unpacked", most_bytes(card), teller)
        teller.step("verifying")
        departures = check_contents(unpacked.folder, card)
        origin = DownloadOrigin(
            record=order.record,
            url=url,
            archive=order.file.key,
            bytes=order.file.size,
            checksum=str(order.file.checksum or ""),
            date=datetime.now(UTC).date().isoformat(),
        )
        manifest = write_download_manifest(unpacked.folder, card, unpacked.files, origin, departures)
        teller.check()  # from here on it is finished, whatever comes
        unpacked.folder.rename(work / "dataset")
        if order.keep_archive and not order.in_place and archive != order.kept:
            order.kept.parent.mkdir(exist_ok=True)
            archive.replace(order.kept)
        publish(root, card.id, work)
        teller.step("done", 1, 1)
    return DownloadReport(
        dataset=card.id,
        folder=root / card.id,
        samples=manifest.samples,
        fetched=True,
        attribution=attribution(card),
        url=url,
        bytes=order.file.size,
        checksum=origin.checksum,
        seconds=time.monotonic() - started,
        archive=order.kept if order.keep_archive and not order.in_place else None,
        departures=departures,
    )


@contextmanager
def _kept_if_used(work: Path) -> Iterator[None]:
    """Leave no empty folder behind, where nothing came."""
    try:
        yield
    finally:
        with suppress(OSError):
            work.rmdir()


def bytes_to_come(order: Order) -> int:
    """Return how many bytes of the archive are not here yet."""
    if order.in_place or _size(order.kept) == order.file.size:
        return 0
    work = download_folder(order.root, order.card.id)
    there = max((_size(path) for path in work.iterdir() if path.is_file()), default=0) if work.is_dir() else 0
    return max(0, order.file.size - there)


def _archive(order: Order, work: Path, client: Client, teller: Teller) -> tuple[Path, str]:
    """Return the archive, whole and checked, and where it came from."""
    if order.in_place:
        [url] = order.file.urls
        path = Path(url2pathname(urlsplit(url).path))
        check_file(path, order.file, teller)
        return path, url
    path = order.kept if _size(order.kept) == order.file.size else work / order.file.key
    return path, fetch(client, order.file, path, teller)


def _check_room(root: Path, card: DatasetCard, archive: Path) -> None:
    needed = unpacked_bytes(archive)
    if needed is not None and needed > (free := free_bytes(root)):
        raise StoreError(
            f"{root}: has no room for {card.id}: unpacked it takes {room(needed)}, {room(free)} are free. "
            f"The archive is kept: free some room and start again."
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
