"""Reused memory for batches.

A fresh batch of megabytes costs more in page faults than in reading. A buffer is handed out as a view; when nobody
holds the view any more (no tensor, no slice of one), the buffer goes back to the pool. A batch that is kept stays
valid.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta.store import aligned

Array = npt.NDArray[Any]


class BufferPool:
    """Buffers of one shape and dtype, as many as are in use at once.

    Examples
    --------
    >>> pool = BufferPool((2, 3), np.uint8)
    >>> first = pool.take(); address = first.ctypes.data
    >>> part = first[1:]; del first
    >>> pool.take().ctypes.data == address
    False
    >>> del part
    >>> pool.take().ctypes.data == address
    True
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._free: deque[Array] = deque()  # its append and pop are atomic: views may die in any thread
        # The last to come back is the next to go out: it is the likeliest to be in the processor's cache.

    def take(self) -> Array:
        """Return an uninitialised array; its memory is reused once the array and everything made of it are gone."""
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = aligned.empty(self._shape, self._dtype)
        # A slice of a plain view would hold the buffer and let the view die. NumPy follows bases only as long as they
        # are arrays: the memoryview that frombuffer makes stays alive with every slice, and dies with the last.
        view = np.frombuffer(buffer.data, self._dtype)
        weakref.finalize(view.base, self._free.append, buffer).atexit = False
        return view.reshape(self._shape)

    def __getstate__(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        return self._shape, self._dtype  # memory stays where it is

    def __setstate__(self, state: tuple[tuple[int, ...], np.dtype[Any]]) -> None:
        self.__init__(*state)  # type: ignore[misc]
