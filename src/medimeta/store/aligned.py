"""Memory that the system copies into at full speed."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64  # bytes: a cache line


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[Any]:
    """Return an uninitialised array that begins with a cache line.

    Large arrays of NumPy begin 16 bytes behind the start of a page, and reading a file into them takes half as long
    again: 23,000 images a second on one thread, where aligned memory takes 34,000 (AMD EPYC, 224x224x3, from the page
    cache).

    Examples
    --------
    >>> images = empty((3, 224, 224))
    >>> images.shape, images.dtype, images.ctypes.data % ALIGNMENT
    ((3, 224, 224), dtype('uint8'), 0)
    """
    length = prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(length + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + length].view(dtype).reshape(shape)
