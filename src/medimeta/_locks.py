"""Locks between processes: a file that one process at a time holds, until it lets go or ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


class LockedError(Exception):
    """Another process holds the lock.

    Attributes
    ----------
    holder : str
        Its number; empty where it has just let go.
    """

    def __init__(self, holder: str = "") -> None:
        super().__init__(holder)
        self.holder = holder


class NoLocksError(Exception):
    """The file system has no locks."""


@contextmanager
def lock(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a file, which is made if missing and removed in the end.

    Parameters
    ----------
    path : Path
        The file.
    wait : bool
        Whether to wait for whoever holds it.

    Raises
    ------
    LockedError
        Another process holds it, and it is not to be waited for.
    NoLocksError
        The file system has none. Windows has none either; there nothing is held, and nothing raised.
    OSError
        The file cannot be made.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "any.lock"
    >>> with lock(path):
    ...     path.read_text() == str(os.getpid())
    True
    >>> path.exists()
    False
    """
    while True:
        if path.is_symlink():  # what it leads to is not ours to write
            path.unlink(missing_ok=True)
        with path.open("a+", encoding="ascii") as file:
            _take(file, wait)
            if _is_still(file, path):
                try:
                    file.truncate(0)
                    file.write(str(os.getpid()))
                    file.flush()
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
        if not wait:  # its last holder removed the file between our opening and our taking it
            raise LockedError


def _take(file: TextIO, wait: bool) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.seek(0)
        raise LockedError(file.read(32) or "unknown") from None
    except OSError as error:
        raise NoLocksError(error.strerror) from error


def _is_still(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
