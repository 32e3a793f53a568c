"""Bring a file to the disk while it is written, so that its end need not wait for all of it."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from medimeta._interrupts import held_back

STEP: Final = 128 * 1024**2  # bytes between two flushes


class Flusher:
    """Flushes a file in the background, each time that so much of it was written.

    The system by itself keeps what is written in memory, until it is some gigabytes. A flush of those at the end takes
    seconds, in which nothing else is left to do.

    Parameters
    ----------
    number : int
        Descriptor of the file, which stays open until `close`.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1)
        self._under_way: Future[None] | None = None

    def written(self, length: int) -> None:
        """Say that so many bytes were written.

        Raises
        ------
        OSError
            An earlier flush has failed: a later one would not tell of it.
        """
        self._waiting += length
        if self._waiting < STEP or (self._under_way is not None and not self._under_way.done()):
            return
        if self._under_way is not None:
            self._under_way.result()
        self._waiting = 0
        self._under_way = self._thread.submit(os.fsync, self._number)

    def finish(self) -> None:
        """Flush what is left; raises as `written` does."""
        if self._under_way is not None:
            with held_back():  # waiting holds a lock that the other thread needs
                self._under_way.result()
        os.fsync(self._number)

    def close(self) -> None:
        """Wait until no flush is under way; harmless when called twice."""
        with held_back():
            self._thread.shutdown()
