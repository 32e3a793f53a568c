"""An image block while one process has it open: read at positions by a few threads, or through h5py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from medimeta.errors import DamagedStoreError, StoreError
from medimeta.store import layout
from medimeta.store.handles import MAX_VIEWS, open_handle
from medimeta.store.indices import stretches

Images = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]

_MIN_BYTES_A_THREAD = 1 << 20  # below, handing work to a thread costs more than the copy


class OpenedBlock(ABC):
    """What reads the images in one process. Threads may share it; what is open is closed with its last user."""

    @abstractmethod
    def read(self, wanted: _Places, out: Images, threads: int) -> None:
        """Read samples into a C-contiguous buffer, one row each.

        Raises
        ------
        DamagedStoreError
            The file ends too early, or does not decode.
        StoreError
            The system cannot read it.
        """


class ContiguousBlock(OpenedBlock):
    """Reads a block that starts at a known byte."""

    def __init__(self, path: Path, offset: int) -> None:
        self._path = path
        self._offset = offset
        self._handle = open_handle(path)
        self._pool: ThreadPoolExecutor | None = None
        self._pool_size = 0

    def read(self, wanted: _Places, out: Images, threads: int) -> None:
        """See `OpenedBlock`."""
        order = np.argsort(wanted, kind="stable")
        buffer = out.reshape(-1).data
        count = min(threads, len(order), out.nbytes // _MIN_BYTES_A_THREAD)
        if count <= 1:
            self._read_part(wanted, order, buffer)
            return
        jobs: list[Future[None]] = []
        try:
            pool = self._threads(count - 1)
            # Each thread has one part of the file, and goes through it forwards.
            first, *others = np.array_split(order, count)
            jobs += [pool.submit(self._read_part, wanted, part, buffer) for part in others]
            self._read_part(wanted, first, buffer)
        finally:
            wait(jobs)  # also after an error: nobody may write into the buffer any more once it is the caller's again
        for job in jobs:
            job.result()

    def _read_part(self, wanted: _Places, places: _Places, buffer: memoryview) -> None:
        """Read the samples of some places; those that are neighbours in the file come with one call."""
        size = len(buffer) // len(wanted)
        views: list[memoryview] = []
        first = after = -1
        for start, place in zip(wanted[places].tolist(), places.tolist(), strict=True):
            if start != after or len(views) == MAX_VIEWS:
                if views:
                    self._fill(views, first, size)
                views, first = [], start
            views.append(buffer[place * size : (place + 1) * size])
            after = start + 1
        self._fill(views, first, size)

    def _fill(self, views: list[memoryview], first: int, size: int) -> None:
        start = self._offset + first * size
        end = start + sum(map(len, views))
        try:
            reached = start + self._handle.read_into(views, start)
            if reached < end:  # seldom: more than the system reads at once, or the end of the file
                reached = self._handle.fill(views, start)
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be read at sample {first} ({error.strerror}).") from error
        if reached < end:
            sample = (reached - self._offset) // size
            raise DamagedStoreError(
                f"{self._path}: ends in the middle of sample {sample} (byte {reached:,}). "
                f"The file was cut short: build or download the dataset again."
            )

    def _threads(self, count: int) -> ThreadPoolExecutor:
        pool = self._pool
        if pool is None or self._pool_size < count:
            # Not shut down by hand: an executor that nobody holds ends its threads once their work is done.
            self._pool = pool = ThreadPoolExecutor(count, thread_name_prefix="medimeta-read")
            self._pool_size = count
        return pool


class ChunkedBlock(OpenedBlock):
    """Reads what only HDF5 can: chunks, compression. h5py lets one thread in at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = h5py.File(path, "r")
        self._images = self._file[layout.IMAGES_DATASET]

    def read(self, wanted: _Places, out: Images, threads: int) -> None:
        """See `OpenedBlock`."""
        for first, place, count in stretches(wanted, np.argsort(wanted, kind="stable")):
            try:
                self._images.read_direct(out, np.s_[first : first + count], np.s_[place : place + count])
            except OSError as error:
                raise DamagedStoreError(f"{self._path}: sample {first} does not read ({error}).") from error
