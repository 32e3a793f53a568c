"""A cold page cache for one file; the standard library alone, as both sides import it."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path


def drop(path: Path) -> None:
    """Write what is dirty, and let the system forget the file's pages: what is read next comes from the disk.

    It needs no rights and leaves other files alone, as ``/proc/sys/vm/drop_caches`` would not. A host that caches the
    disk of a virtual machine is not reached by it.
    """
    if not hasattr(os, "posix_fadvise"):
        raise SystemExit("a cold page cache needs a system with posix_fadvise")
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def cached(path: Path) -> float:
    """Return the share of the file's pages that are in memory, without reading any."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as pages:
        states = (ctypes.c_ubyte * -(-len(pages) // mmap.PAGESIZE))()
        start = ctypes.c_char.from_buffer(pages)
        system = ctypes.CDLL(None, use_errno=True)
        failed = system.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(pages)), states)
        del start  # a map that something points into cannot be closed
    if failed:
        raise OSError(ctypes.get_errno(), "mincore", str(path))
    return sum(state & 1 for state in states) / len(states)


class Cold:
    """Drops a file's pages when called, and remembers the largest share that stayed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left = 0.0

    def __call__(self) -> None:
        drop(self.path)
        self.left = max(self.left, cached(self.path))

    def __str__(self) -> str:
        return f"{100 * self.left:.1f} % of its pages in memory before a pass"
