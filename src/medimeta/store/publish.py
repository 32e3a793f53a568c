"""Where an unfinished dataset lies, who may work on it, and how it becomes visible.

A dataset is built in ``<root>/.<id>.partial``, or downloaded in ``<root>/.<id>.download``, under a lock, and renamed
into place when it is whole. Work that is broken off, however that happens, leaves the folder, and the next goes on
with it. An old dataset steps aside to ``<root>/.<id>.old`` for the moment of the change, and comes back if that is cut
short.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from medimeta._locks import LockedError, NoLocksError, lock
from medimeta.errors import DatasetExistsError, DatasetLockedError, MedimetaError, RootNotWritableError, StoreError


def refuse_existing(root: Path, datasets: Sequence[str]) -> None:
    """Raise DatasetExistsError where some of the datasets are there, naming them, and those that are not.

    What a kill in the moment of publishing has left of them is tidied, as no other build will.
    """
    there = [dataset for dataset in datasets if (root / dataset).exists()]
    if not there:
        return
    for dataset in there:
        if any(os.path.lexists(path) for path in _left(root, dataset)):
            with suppress(DatasetLockedError, RootNotWritableError), locked(root, dataset):
                pass
    missing = [dataset for dataset in datasets if dataset not in there]
    others = f" The others are not there yet: name {', '.join(missing)} alone to build them." if missing else ""
    raise DatasetExistsError(
        f"{', '.join(str(root / dataset) for dataset in there)}: is already there. "
        f"Pass --overwrite (overwrite=True) to replace it; the old one stays until the new one is verified.{others}"
    )


def partial_folder(root: Path, dataset: str) -> Path:
    """Return the folder in which a dataset is built."""
    return root / f".{dataset}.partial"


def download_folder(root: Path, dataset: str) -> Path:
    """Return the folder into which a dataset is downloaded."""
    return root / f".{dataset}.download"


@contextmanager
def locked(root: Path, dataset: str) -> Iterator[None]:
    """Hold the right to make a dataset, and mend what a kill in the moment of publishing left behind.

    Raises
    ------
    DatasetLockedError
        Another process builds or downloads it right now.
    RootNotWritableError
        The root cannot be made or written.
    """
    final, old = root / dataset, root / f".{dataset}.old"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RootNotWritableError(f"{root}: cannot be made ({error.strerror}). Pass another --root.") from error
    with _lock(root / f".{dataset}.lock", dataset):
        if os.path.lexists(old):
            if final.exists():
                remove(old)
            else:
                old.rename(final)
        partial = partial_folder(root, dataset)
        if final.exists() and os.path.lexists(partial) and not (partial / "dataset").exists():
            remove(partial)  # it was published from here
        yield


def _left(root: Path, dataset: str) -> tuple[Path, ...]:
    return partial_folder(root, dataset), root / f".{dataset}.old", root / f".{dataset}.lock"


@contextmanager
def workplace(root: Path, dataset: str, folder: Path | None = None) -> Iterator[Path]:
    """Give the folder to work in, that of builds without `folder`, with what broken work left in it.

    Raises
    ------
    StoreError
        Something cannot be written.
    """
    partial = folder or partial_folder(root, dataset)
    try:
        if partial.is_symlink() or (partial.exists() and not partial.is_dir()):
            remove(partial)
        partial.mkdir(exist_ok=True)
        yield partial
    except OSError as error:
        if isinstance(error, MedimetaError):
            raise
        raise _unwritable(root / dataset, error) from error


def publish(root: Path, dataset: str, folder: Path | None = None) -> None:
    """Rename a finished dataset from its `workplace` into place; an old one is removed once the new one is there."""
    final, partial, old = root / dataset, folder or partial_folder(root, dataset), root / f".{dataset}.old"
    try:
        if os.path.lexists(final):
            final.rename(old)
        try:
            (partial / "dataset").rename(final)
        except OSError:
            if os.path.lexists(old):
                old.rename(final)
            raise
    except OSError as error:
        raise _unwritable(final, error) from error
    remove(partial)
    if os.path.lexists(old):
        remove(old)


def remove(path: Path) -> None:
    """Remove a folder, or a file or link in its place: what a link leads to is not ours."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _unwritable(place: Path, error: OSError) -> StoreError:
    return StoreError(f"{place}: cannot be written ({error.strerror or error}).")


@contextmanager
def _lock(path: Path, dataset: str) -> Iterator[None]:
    """Hold the lock of a dataset."""
    with ExitStack() as held:
        try:
            held.enter_context(lock(path))
        except LockedError as error:
            now = f"is being built or downloaded by process {error.holder}. Wait for it, or end it and start again."
            before = "was being built or downloaded until just now. Start again."
            raise DatasetLockedError(f"{path.parent / dataset}: {now if error.holder else before}") from None
        except NoLocksError as error:
            raise StoreError(f"{path}: cannot be locked ({error}).") from error
        except OSError as error:
            raise RootNotWritableError(
                f"{path.parent}: cannot be written ({error.strerror}). Pass another --root, or change its rights."
            ) from error
        yield  # without locks, as on Windows, a conflict shows when the folder is renamed
