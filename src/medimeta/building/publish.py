"""Where an unfinished dataset lies, who may work on it, and how it becomes visible.

A dataset is built in ``<root>/.<id>.partial`` under a lock, and renamed into place when it is whole. An old dataset
steps aside to ``<root>/.<id>.old`` for the moment of the change, and comes back if that moment is cut short.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from medimeta.errors import DatasetExistsError, DatasetLockedError, MedimetaError, RootNotWritableError, StoreError


def refuse_existing(root: Path, datasets: Sequence[str]) -> None:
    """Raise DatasetExistsError where some of the datasets are there, naming them, and those that are not."""
    there = [dataset for dataset in datasets if (root / dataset).exists()]
    if not there:
        return
    missing = [dataset for dataset in datasets if dataset not in there]
    others = f" The others are not there yet: name {', '.join(missing)} alone to build them." if missing else ""
    raise DatasetExistsError(
        f"{', '.join(str(root / dataset) for dataset in there)}: is already there. "
        f"Pass --overwrite (overwrite=True) to replace it; the old one stays until the new one is verified.{others}"
    )


@contextmanager
def workplace(root: Path, dataset: str, *, overwrite: bool) -> Iterator[Path]:
    """Give an empty folder to build in; publish it where the block ends well, remove it where it does not.

    Parameters
    ----------
    root : Path
        Root folder; made if missing.
    dataset : str
        Id of the dataset.
    overwrite : bool
        Whether a dataset that is already there may be replaced. It stays until the new one is published.

    Yields
    ------
    Path
        The folder to build in.

    Raises
    ------
    DatasetExistsError
        The dataset is there, and `overwrite` is off.
    DatasetLockedError
        Another process builds it right now.
    RootNotWritableError
        The root cannot be made or written.
    """
    final, partial, old = root / dataset, root / f".{dataset}.partial", root / f".{dataset}.old"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RootNotWritableError(f"{root}: cannot be made ({error.strerror}). Pass another --root.") from error
    with _lock(root / f".{dataset}.lock", dataset):
        if os.path.lexists(old):
            if final.exists():
                _remove(old)
            else:
                old.rename(final)
        if not overwrite:
            refuse_existing(root, [dataset])
        if os.path.lexists(partial):
            _remove(partial)
        try:
            partial.mkdir()
            yield partial
            if final.exists():
                final.rename(old)
            partial.rename(final)
        except BaseException as error:
            shutil.rmtree(partial, ignore_errors=True)
            if old.exists() and not final.exists():
                old.rename(final)
            if isinstance(error, OSError) and not isinstance(error, MedimetaError):
                raise StoreError(f"{final}: cannot be written ({error.strerror or error}).") from error
            raise
        if os.path.lexists(old):
            _remove(old)


def _remove(path: Path) -> None:
    """Remove a folder, or a file or link in its place: what a link leads to is not ours."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _lock(path: Path, dataset: str) -> Iterator[None]:
    """Hold an exclusive lock that ends with the process, however it ends."""
    with _open(path) as file:
        _take(file, path, dataset)
        if not _is_still(file, path):  # its last holder removed it between our opening and our taking it
            raise DatasetLockedError(f"{path.parent / dataset}: was being built until just now. Build again.")
        try:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
        finally:
            path.unlink(missing_ok=True)


def _open(path: Path) -> TextIO:
    try:
        return path.open("a+", encoding="ascii")
    except OSError as error:
        raise RootNotWritableError(
            f"{path.parent}: cannot be written ({error.strerror}). Pass another --root, or change its rights."
        ) from error


def _is_still(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _take(file: TextIO, path: Path, dataset: str) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows has no such locks; there a conflict shows when the folder is renamed
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read(32) or "unknown"
        raise DatasetLockedError(
            f"{path.parent / dataset}: is being built by process {holder}. Wait for it, or end it and build again."
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be locked ({error.strerror}).") from error
