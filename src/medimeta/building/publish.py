"""Where an unfinished dataset lies, who may work on it, and how it becomes visible.

A dataset is built in ``<root>/.<id>.partial`` under a lock, and renamed into place when it is whole. An old dataset
steps aside to ``<root>/.<id>.old`` for the moment of the change, and comes back if that moment is cut short.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medimeta.errors import DatasetExistsError, DatasetLockedError, RootNotWritableError, StoreError


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
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise RootNotWritableError(f"{root}: cannot be made ({error.strerror}). Pass another --root.") from error
    except OSError as error:
        raise RootNotWritableError(f"{root}: cannot be made ({error.strerror}). Pass another --root.") from error
    with _lock(root / f".{dataset}.lock", dataset):
        if old.exists():
            if final.exists():
                shutil.rmtree(old)
            else:
                old.rename(final)
        if final.exists() and not overwrite:
            raise DatasetExistsError(
                f"{final}: is already there. Pass --overwrite (overwrite=True) to replace it; "
                f"the old one stays until the new one is verified."
            )
        if partial.exists():
            shutil.rmtree(partial)
        try:
            partial.mkdir()
            yield partial
            if final.exists():
                final.rename(old)
            partial.rename(final)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            if old.exists() and not final.exists():
                old.rename(final)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _lock(path: Path, dataset: str) -> Iterator[None]:
    """Hold an exclusive lock that ends with the process, however it ends."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except PermissionError as error:
        raise RootNotWritableError(
            f"{path.parent}: cannot be written ({error.strerror}). Pass another --root, or change its rights."
        ) from error
    except OSError as error:
        raise RootNotWritableError(
            f"{path.parent}: cannot be written ({error.strerror}). Pass another --root."
        ) from error
    try:
        _take(fd, path, dataset)
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
        path.unlink(missing_ok=True)
    except DatasetLockedError:
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)


def _take(fd: int, path: Path, dataset: str) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows: no advisory locks; the partial folder's rename still fails on a conflict
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode(errors="replace") or "unknown"
        raise DatasetLockedError(
            f"{path.parent / dataset}: is being built by process {holder}. Wait for it, or end it and build again."
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be locked ({error.strerror}).") from error
