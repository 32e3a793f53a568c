"""One dataset: fetched, unpacked, checked, and put in its place, or left as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from medimeta.catalogue.schema import DatasetCard
from medimeta.errors import ReleaseMismatchError, StoreError, UnsafeArchiveError, problems_error
from medimeta.hub.answer import shown
from medimeta.hub.attribution import attribution
from medimeta.hub.contents import check_contents, most_bytes, write_download_manifest
from medimeta.hub.partial import check_file, partial_path
from medimeta.hub.remote import RemoteFile, local_path
from medimeta.hub.report import DownloadReport
from medimeta.hub.telling import Teller
from medimeta.hub.transfer import fetch
from medimeta.hub.unpack import unpack, unpacked_bytes
from medimeta.store.disk import free_bytes, room
from medimeta.store.manifest import DownloadOrigin
from medimeta.store.publish import download_folder, locked, publish, remove, workplace
from medimeta.store.verify import verify_folder

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
    overwrite : bool
        Whether a dataset that is there is replaced.
    strict : bool
        Whether one that departs from the catalogue's card is refused.
    """

    card: DatasetCard
    file: RemoteFile
    record: str
    root: Path
    in_place: bool = False
    keep_archive: bool = False
    overwrite: bool = False
    strict: bool = False

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
        if not order.overwrite and (root / card.id).exists():  # another process brought it meanwhile
            return already_there(card, root)
        for left in ("unpacked", "dataset"):
            remove(work / left)  # of a download that was broken off
        archive, url = _archive(order, work, client, teller)
        _check_room(root, card, archive)
        with _of_archive(order, url):
            unpacked = unpack(archive, work / "unpacked", most_bytes(card), teller)
            teller.step("verifying")
            departures = check_contents(unpacked.folder, card)
            if order.strict and departures:
                raise problems_error(ReleaseMismatchError, f"{card.id}: departs from the catalogue:", departures)
        origin = DownloadOrigin(
            record=shown(order.record),
            url=shown(url),
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
        url=shown(url),
        bytes=order.file.size,
        checksum=origin.checksum,
        seconds=time.monotonic() - started,
        archive=order.kept if order.keep_archive and not order.in_place else None,
        departures=departures,
    )


@contextmanager
def _of_archive(order: Order, url: str) -> Iterator[None]:
    """Say of what is wrong with an archive which one it is."""
    try:
        yield
    except (UnsafeArchiveError, ReleaseMismatchError) as error:
        raise type(error)(f"{error}\nThe archive is {order.file.key}, from {shown(url)}.") from error


@contextmanager
def _kept_if_used(work: Path) -> Iterator[None]:
    """Leave no empty folder behind, where nothing came."""
    try:
        yield
    finally:
        with suppress(OSError):
            work.rmdir()


def already_there(card: DatasetCard, root: Path) -> DownloadReport:
    """Return the report of a dataset that is there.

    Raises
    ------
    StoreError
        It is not whole, or a file lies in its place.
    """
    folder = root / card.id
    if folder.is_file():
        raise StoreError(f"{folder}: is a file, where the folder of the dataset is to be. Move it away.")
    found = verify_folder(folder)
    if not found.ok:
        raise problems_error(
            StoreError,
            f"{folder}: is there, but is not whole.",
            found.problems,
            f"Fetch it anew with: medimeta download {card.id} --overwrite --root {root}",
        )
    return DownloadReport(card.id, folder, found.samples, False, attribution(card), remarks=found.remarks)


def bytes_to_come(order: Order) -> int:
    """Return how many bytes of the archive are not here yet."""
    if order.in_place or _size(order.kept) == order.file.size:
        return 0
    target = download_folder(order.root, order.card.id) / order.file.key
    there = max(_size(target), _size(partial_path(target, order.file)), 0)
    return max(0, order.file.size - there)


def _archive(order: Order, work: Path, client: Client, teller: Teller) -> tuple[Path, str]:
    """Return the archive, whole and checked, and where it came from."""
    if order.in_place:
        [url] = order.file.urls
        path = local_path(url)
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
