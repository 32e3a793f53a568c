"""Positional reads of the image block of ``images.hdf5``.

HDF5 only tells where the contiguous block starts; images are read with ``os.preadv`` straight into the batch's buffer,
by a few threads. Chunked or compressed files, and systems without ``preadv``, are read through h5py.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from medimeta._processors import usable_processors
from medimeta.errors import DamagedStoreError, DatasetNotFoundError
from medimeta.store import layout

Indices = Sequence[int] | npt.NDArray[np.integer[Any]]
Images = npt.NDArray[np.uint8]

_MIN_BYTES_A_THREAD = 1 << 20  # below, handing work to a thread costs more than the copy


class ImageBlock:
    """The images of a stored dataset.

    Pickles as its path: handles and threads are made in each process when they are first needed.

    Parameters
    ----------
    path : Path
        The ``images.hdf5`` file.
    threads : int, optional
        Reading threads; as many as the process may use processors, up to four.

    Attributes
    ----------
    shape : tuple of int
        ``(N, S, S)`` or ``(N, S, S, 3)``.
    contiguous : bool
        Whether the block is contiguous, so that positional reads work.

    Raises
    ------
    DatasetNotFoundError
        The file is missing.
    DamagedStoreError
        The file is not HDF5, has no uint8 dataset ``images``, or is shorter than its block.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = Path(path)
        self.shape, self.offset = _inspect(self.path)
        self.contiguous = self.offset is not None and hasattr(os, "preadv")
        self.threads = threads or min(4, usable_processors())
        self._reset()

    def _reset(self) -> None:
        self._process = -1
        self._fd = -1
        self._pool: ThreadPoolExecutor | None = None
        self._h5: h5py.File | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.shape[0]

    def __getstate__(self) -> tuple[Path, tuple[int, ...], int | None, bool, int]:
        return self.path, self.shape, self.offset, self.contiguous, self.threads

    def __setstate__(self, state: tuple[Path, tuple[int, ...], int | None, bool, int]) -> None:
        self.path, self.shape, self.offset, self.contiguous, self.threads = state
        self._reset()

    def __del__(self) -> None:
        # getattr: the constructor may have raised before there was anything to close.
        if getattr(self, "_process", -1) == os.getpid():
            self.close()

    def close(self) -> None:
        """Release the handle and the threads; the next read opens them again."""
        if self._fd >= 0:
            os.close(self._fd)
        if self._h5 is not None:
            self._h5.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False)
        self._reset()

    def read(self, indices: Indices, out: Images | None = None, *, threads: int | None = None) -> Images:
        """Read images in the order of `indices`, which may repeat.

        Parameters
        ----------
        indices : sequence of int
            Sample indices, 0 to N-1.
        out : ndarray of uint8, optional
            C-contiguous buffer of shape ``(len(indices), ...)`` to read into.
        threads : int, optional
            Reading threads; as many as the block has without it.

        Returns
        -------
        ndarray of uint8, shape (n, S, S) or (n, S, S, 3)
            `out`, or a new array.

        Raises
        ------
        IndexError
            An index is out of range.
        DamagedStoreError
            The file got shorter since it was opened.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            bad = wanted[(wanted < 0) | (wanted >= len(self))][0]
            raise IndexError(f"{self.path}: sample {bad} is out of range; there are {len(self)}")
        shape = (wanted.size, *self.shape[1:])
        if out is None:
            out = np.empty(shape, dtype=np.uint8)
        elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise ValueError(f"out must be a C-contiguous uint8 array of shape {shape}, got {out.dtype} {out.shape}")
        if wanted.size:
            self._open()
            if self.contiguous:
                self._read_positional(wanted, out, threads or self.threads)
            else:
                self._read_h5(wanted, out)
        return out

    def as_memory_map(self) -> Images:
        """Return all images, read-only and mapped from the file where it is contiguous, else read into memory.

        For whole passes and for libraries that want one array. A mapped file that is cut short while it is used ends
        the process; `read` raises instead.
        """
        if not self.contiguous or not len(self):
            return self.read(np.arange(len(self)))
        return np.memmap(self.path, dtype=np.uint8, mode="r", offset=self.offset or 0, shape=self.shape)

    def _open(self) -> None:
        if self._process == os.getpid() and (self._fd >= 0 or self._h5 is not None):
            return
        with self._lock if self._process in (-1, os.getpid()) else threading.Lock():
            if self._process == os.getpid() and (self._fd >= 0 or self._h5 is not None):
                return
            if self._process not in (-1, os.getpid()):
                self._reset()  # forked: the parent's threads are not here, its handles are not ours to close
            if self.contiguous:
                self._fd = os.open(self.path, os.O_RDONLY)
            else:
                self._h5 = h5py.File(self.path, "r")
            self._process = os.getpid()

    def _read_positional(self, wanted: npt.NDArray[np.int64], out: Images, threads: int) -> None:
        flat = out.reshape(wanted.size, -1)
        image_bytes = flat.shape[1]
        parts = max(1, min(threads, flat.nbytes // _MIN_BYTES_A_THREAD))
        if parts == 1:
            self._read_runs(wanted, flat, image_bytes)
            return
        if self._pool is None:
            with self._lock:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="medimeta-read")
        stops = [len(wanted) * part // parts for part in range(parts + 1)]
        jobs = [
            self._pool.submit(self._read_runs, wanted[start:stop], flat[start:stop], image_bytes)
            for start, stop in pairwise(stops[1:])
        ]
        self._read_runs(wanted[: stops[1]], flat[: stops[1]], image_bytes)
        for job in jobs:
            job.result()

    def _read_runs(self, wanted: npt.NDArray[np.int64], flat: Images, image_bytes: int) -> None:
        """Read each run of neighbours with one call."""
        starts = np.flatnonzero(np.diff(wanted, prepend=wanted[0] - 2) != 1)
        stops = [*starts[1:].tolist(), len(wanted)]
        for start, stop, first in zip(starts.tolist(), stops, wanted[starts].tolist(), strict=True):
            view = flat[start:stop].reshape(-1).data
            position = (self.offset or 0) + first * image_bytes
            while view:
                count = os.preadv(self._fd, [view], position)
                if count == 0:
                    raise DamagedStoreError(
                        f"{self.path}: ends in the middle of sample {first} (byte {position:,}). "
                        f"The file was cut short: build the dataset again."
                    )
                view, position = view[count:], position + count

    def _read_h5(self, wanted: npt.NDArray[np.int64], out: Images) -> None:
        with self._lock:  # h5py serialises anyway; this keeps close() away
            dataset = self._h5[layout.IMAGES_DATASET]  # type: ignore[index]
            try:
                for place, index in enumerate(wanted.tolist()):
                    dataset.read_direct(out, np.s_[index], np.s_[place])
            except OSError as error:
                raise DamagedStoreError(f"{self.path}: sample {index} does not read ({error}).") from error


def _inspect(path: Path) -> tuple[tuple[int, ...], int | None]:
    """Return the block's shape, and its offset where it is contiguous; check that the file holds all of it."""
    try:
        with h5py.File(path, "r") as file:
            dataset = file.get(layout.IMAGES_DATASET)
            if not isinstance(dataset, h5py.Dataset):
                raise DamagedStoreError(f"{path}: has no dataset {layout.IMAGES_DATASET!r}.")
            shape, dtype = tuple(dataset.shape), dataset.dtype
            offset = dataset.id.get_offset() if dataset.chunks is None else None
    except FileNotFoundError:
        raise DatasetNotFoundError(f"{path}: is missing.") from None
    except OSError as error:
        raise DamagedStoreError(f"{path}: is not a whole HDF5 file ({error}). Build the dataset again.") from None
    if dtype != np.uint8 or len(shape) not in (3, 4):
        raise DamagedStoreError(f"{path}: expected uint8 images of 3 or 4 axes, got {dtype} {shape}.")
    if offset is not None:
        expected, found = offset + int(np.prod(shape)), path.stat().st_size
        if found < expected:
            raise DamagedStoreError(
                f"{path}: is {found:,} bytes long, but its images end at byte {expected:,}. "
                f"The file was cut short: build the dataset again."
            )
    return shape, None if offset is None else int(offset)
