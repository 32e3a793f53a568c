"""The released datasets, downloaded: several at a time, from the record, a mirror, or archives fetched by hand."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medimeta._files import as_path
from medimeta._interrupts import BY_CTRL_C
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.release import RELEASE
from medimeta.catalogue.schema import DatasetCard, as_name
from medimeta.errors import (
    DownloadError,
    MedimetaError,
    NotPublishedError,
    RootNotWritableError,
    StoreError,
    UsageError,
    problems_error,
)
from medimeta.hub.client import Client
from medimeta.hub.contents import expected_bytes
from medimeta.hub.dataset import Order, already_there, bytes_to_come, download_one
from medimeta.hub.display import DownloadDisplay
from medimeta.hub.listing import Listing
from medimeta.hub.matching import match_file
from medimeta.hub.places import find_listing, hand_fetched, mirror_of
from medimeta.hub.report import DownloadReport
from medimeta.hub.telling import Progress, Stopped, Teller
from medimeta.store import layout
from medimeta.store.disk import free_bytes, room

JOBS = 3  # polite to a server that others use as well
MOST_JOBS = 8
LAST_SECONDS = 2.0  # that threads get to end when Ctrl-C was pressed
_MOST_PACKED = 30  # images of the release are not packed more tightly than this
_PATH = str | os.PathLike[str]


@dataclass(frozen=True)
class Outcome:
    """What became of a call.

    Attributes
    ----------
    done : tuple of DownloadReport
        Datasets that are there now, in the order in which they were named.
    failed : tuple of (str, MedimetaError)
        Those that are not, and why.
    remarks : tuple of str
        What else a user should know, such as that there is a newer release.
    """

    done: tuple[DownloadReport, ...]
    failed: tuple[tuple[str, MedimetaError], ...] = ()
    remarks: tuple[str, ...] = ()

    def raise_for_failed(self) -> None:
        """Raise what went wrong, if anything did: the error itself, or one that tells all."""
        if len(self.failed) == 1 and not self.done:
            raise self.failed[0][1]
        if self.failed:
            count = len(self.done) + len(self.failed)
            raise problems_error(
                DownloadError,
                f"{len(self.failed)} of {count} datasets could not be downloaded:",
                [f"{dataset}: {error}".replace("\n", "\n    ") for dataset, error in self.failed],
                "The others are in place. The same command fetches what is missing, and goes on where it was.",
            )


def download(
    datasets: str | Sequence[str] = (),
    root: _PATH | None = None,
    *,
    tasks: str | Sequence[str] = (),
    mirror: _PATH | None = None,
    listing: _PATH | None = None,
    from_dir: _PATH | None = None,
    jobs: int = JOBS,
    keep_archive: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    timeout: float = 30.0,
    progress: Progress | bool = True,
) -> tuple[DownloadReport, ...]:
    """Download datasets of release 1.0, verify them, and put them below the root, where they load as built ones do.

    A download that is broken off goes on where it was when it is called again. A dataset that is there and whole is
    not fetched again, and nothing half-made is ever seen below the root.

    Parameters
    ----------
    datasets : str or sequence of str
        Ids; spaces, ``_`` and ``-`` are the same and case is ignored.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    tasks : str or sequence of str
        Tasks whose datasets are wanted, as ``dataset/task``; the archives hold whole datasets.
    mirror : str or path, optional
        ``http`` or ``https`` address, or folder, that has the archives under their names; else ``$MEDIMETA_MIRROR``,
        else the record itself. Nothing is then fetched from elsewhere, but for the listing where the mirror has none.
    listing : path, optional
        A saved copy of the record's listing, used instead of asking for it.
    from_dir : path, optional
        Folder of archives that were fetched by hand. They are checked and unpacked from there, and left there.
    jobs : int
        How many datasets at a time, from 1 to 8.
    keep_archive : bool
        Keep the archives, in the folder ``archives`` below the root.
    overwrite : bool
        Fetch again what is there, and replace it once the new one is verified.
    strict : bool
        Refuse what departs from the catalogue in numbers of samples, size of images or names, which else is told and
        written to the manifest.
    timeout : float
        Seconds without an answer, or without a byte, after which a connection counts as broken.
    progress : bool or callable
        Show bars, and the terms at the end, on standard error; or show nothing; or what takes each
        `medimeta.hub.telling.Step`.

    Returns
    -------
    tuple of DownloadReport
        One a dataset, with its terms.

    Raises
    ------
    UnknownNameError, UsageError
        A dataset, task or argument that does not exist.
    DownloadError
        Something could not be fetched, or is not what was published. What else was asked for is in place.
    StoreError
        There is no room, or the root cannot be written.

    Examples
    --------
    >>> [report] = download("bus", root=getfixture("bus_root"))  # is there, so that nobody is asked
    >>> report.fetched, report.attribution.commercial
    (False, True)
    """
    with DownloadDisplay() if progress is True else nullcontext(progress or None) as shown:
        outcome = run_downloads(
            datasets,
            root,
            tasks=tasks,
            mirror=mirror,
            listing=listing,
            from_dir=from_dir,
            jobs=jobs,
            keep_archive=keep_archive,
            overwrite=overwrite,
            strict=strict,
            timeout=timeout,
            progress=shown,
        )
        if isinstance(shown, DownloadDisplay):
            shown.say("\n".join([*outcome.remarks, *(text for report in outcome.done for text in _told(report))]))
    outcome.raise_for_failed()
    return outcome.done


def run_downloads(
    datasets: str | Sequence[str] = (),
    root: _PATH | None = None,
    *,
    tasks: str | Sequence[str] = (),
    mirror: _PATH | None = None,
    listing: _PATH | None = None,
    from_dir: _PATH | None = None,
    jobs: int = JOBS,
    keep_archive: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    timeout: float = 30.0,
    progress: Progress | None = None,
) -> Outcome:
    """Download datasets, and return what came of it where `download` raises; see there."""
    cards = _cards(datasets, tasks)
    _check(jobs, timeout, mirror, from_dir)
    place = layout.default_root(root)
    known = {
        card.id: _there(card, place)
        for card in cards
        if (place / card.id).is_file() or (not overwrite and (place / card.id).exists())
    }
    done = {name: each for name, each in known.items() if isinstance(each, DownloadReport)}
    failed = {name: each for name, each in known.items() if isinstance(each, MedimetaError)}
    wanted = [card for card in cards if card.id not in known]
    remarks: tuple[str, ...] = ()
    if wanted:
        _make_root(place)
        with Client(timeout=timeout) as client:
            said = _listing(client, mirror, listing, from_dir, progress)
            ways = {"keep_archive": keep_archive, "overwrite": overwrite, "strict": strict}
            orders, absent = _orders(wanted, said, place, in_place=from_dir is not None, **ways)
            failed |= absent
            _check_room(place, orders)
            remarks = _remarks(said)
            for name, result in _on_threads(orders, client, jobs, progress).items():
                if isinstance(result, DownloadReport):
                    done[name] = result
                else:
                    failed[name] = result
    names = [card.id for card in cards]
    return Outcome(
        tuple(done[name] for name in names if name in done),
        tuple((name, failed[name]) for name in names if name in failed),
        remarks,
    )


def _told(report: DownloadReport) -> list[str]:
    return [report.text(), report.attribution.text()] if report.fetched else []


def _cards(datasets: str | Sequence[str], tasks: str | Sequence[str]) -> list[DatasetCard]:
    """Return the cards of all datasets that are named, each once."""
    catalogue = default_catalogue()
    names, of_tasks = _names(datasets, "dataset"), _names(tasks, "task")
    found = [catalogue.task(name).dataset if "/" in name else catalogue.dataset(name).id for name in names]
    for name in of_tasks:
        if "/" not in name:
            raise UsageError(f"{name!r}: a task is named with its dataset, as 'bus/malignancy'. See medimeta list.")
        found.append(catalogue.task(name).dataset)
    if not found:
        raise UsageError(
            "there is nothing to download: name a dataset, such as bus, or a task, such as bus/malignancy."
        )
    return [catalogue.dataset(name) for name in dict.fromkeys(found)]


def _names(named: Any, what: str) -> list[str]:
    listed = [named] if isinstance(named, str) or not isinstance(named, Iterable) else list(named)
    return [as_name(name, what) for name in listed]


def _check(jobs: int, timeout: float, mirror: _PATH | None, from_dir: _PATH | None) -> None:
    if isinstance(jobs, bool) or not isinstance(jobs, int) or not 1 <= jobs <= MOST_JOBS:
        raise UsageError(f"--jobs (jobs): expected a number from 1 to {MOST_JOBS}, got {jobs!r}.")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 3600:
        raise UsageError(f"--timeout (timeout): expected seconds, more than 0 and up to 3600, got {timeout!r}.")
    if mirror is not None and from_dir is not None:
        raise UsageError("--mirror fetches archives, --from-dir takes those that are here: pass one of them.")


def _there(card: DatasetCard, root: Path) -> DownloadReport | MedimetaError:
    """Return the report of a dataset that is there, or what is wrong with it."""
    try:
        return already_there(card, root)
    except StoreError as error:
        return error


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RootNotWritableError(f"{root}: cannot be made ({error.strerror}). Pass another --root.") from None
    if not os.access(root, os.W_OK | os.X_OK):
        raise RootNotWritableError(f"{root}: cannot be written. Pass another --root, or change its rights.")


def _listing(
    client: Client, mirror: _PATH | None, listing: _PATH | None, from_dir: _PATH | None, progress: Progress | None
) -> Listing:
    file = None if listing is None else as_path(listing, "listing")
    if from_dir is not None:
        return hand_fetched(as_path(from_dir, "from_dir"), file)
    return find_listing(client, mirror_of(mirror), file, Teller("listing", progress))


def _orders(
    cards: Sequence[DatasetCard], listing: Listing, root: Path, **ways: bool
) -> tuple[list[Order], dict[str, MedimetaError]]:
    """Find the archive of every dataset; return the orders, and what is wrong with those that have none."""
    orders: list[Order] = []
    absent: dict[str, MedimetaError] = {}
    record = RELEASE.doi if listing.where == RELEASE.api else listing.where
    for card in cards:
        try:
            orders.append(Order(card, match_file(card.id, listing.files, listing.where), record, root, **ways))
        except NotPublishedError as error:
            # What there is needs to be told only once.
            absent[card.id] = NotPublishedError(str(error).partition(" There is:")[0]) if absent else error
    return orders, absent


def _check_room(root: Path, orders: Sequence[Order]) -> None:
    """Raise StoreError where archives and contents together need more than is free."""
    archives = sum(map(bytes_to_come, orders))
    contents = sum(min(expected_bytes(order.card), _MOST_PACKED * order.file.size) for order in orders)
    free = free_bytes(root)
    if archives + contents > free:
        raise StoreError(
            f"{root}: has no room for {', '.join(order.card.id for order in orders)}: {room(archives)} are to be "
            f"fetched, about {room(contents)} to be unpacked, and {room(free)} are free. Free some, pass another "
            f"--root, or name fewer datasets."
        )


def _remarks(listing: Listing) -> tuple[str, ...]:
    if not listing.newer:
        return ()
    return (
        f"there is a newer release of the data: {listing.newer}. This version of medimeta takes release "
        f"{RELEASE.version} (record {RELEASE.record}).",
    )


def _on_threads(
    orders: Sequence[Order], client: Client, jobs: int, progress: Progress | None
) -> dict[str, DownloadReport | MedimetaError]:
    """Work through the orders on a few threads; Ctrl-C stops them, and is raised once they have."""
    stop = threading.Event()
    waiting: queue.SimpleQueue[Order] = queue.SimpleQueue()
    # Threads say that they ended, as Python 3.11 takes one that it joins for ended when Ctrl-C comes then.
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()
    results: dict[str, DownloadReport | MedimetaError] = {}
    broken: list[BaseException] = []
    for order in orders:
        waiting.put(order)

    def work() -> None:
        try:
            while not stop.is_set():
                order = waiting.get_nowait()
                try:
                    results[order.card.id] = download_one(order, client, Teller(order.card.id, progress, stop))
                except MedimetaError as error:
                    results[order.card.id] = error
        except (queue.Empty, Stopped):
            pass
        except BaseException as error:  # noqa: BLE001 - a mistake of ours is raised where the caller sees it
            broken.append(error)
            stop.set()
        finally:
            ended.put(None)

    count = min(jobs, len(orders))
    # Daemons, as one that waits for a connection cannot be woken: what came is whole whenever they end.
    for _ in range(count):
        threading.Thread(target=work, daemon=True).start()
    try:
        while count:
            with suppress(queue.Empty):
                ended.get(timeout=0.1)  # a wait without end would not let Ctrl-C through on every system
                count -= 1
    except KeyboardInterrupt:
        stop.set()
        client.close()  # wakes those that wait for bytes
        with suppress(queue.Empty):
            for _ in range(count):
                ended.get(timeout=LAST_SECONDS)
        raise KeyboardInterrupt(f"{BY_CTRL_C}. What was fetched is kept; the same command goes on.") from None
    if broken:
        raise broken[0]
    return results
