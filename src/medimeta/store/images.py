"""Positional reads of the image block of ``images.hdf5``.

HDF5 only tells where the contiguous block starts; images are read straight into the batch's buffer, in the order of the
file, neighbours at once, by a few threads. Chunked or compressed files are read through h5py.

Whether the file is still the one that was opened is looked up after every read, with one call: what was read before an
unchanged file was seen came from that file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from medimeta._numbers import PARALLEL, whole_number
from medimeta._processors import usable_processors
from medimeta.errors import ChangedStoreError, DamagedStoreError, DatasetNotFoundError, UsageError
from medimeta.store import aligned, layout
from medimeta.store.handles import FileState
from medimeta.store.indices import Indices, check_indices
from medimeta.store.opened import ChunkedBlock, ContiguousBlock, OpenedBlock
from medimeta.store.opened import Images as Images

_State = tuple[str, int, tuple[int, ...], tuple[int, ...], int | None]


class ImageBlock:
    """The images of a stored dataset.

    Any number of threads may read at once. Pickles as its path and what was seen of the file: what is open is opened in
    each process when it is first needed, however the process was started.

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
    offset : int or None
        Where the block starts, in bytes; None where only HDF5 can read it.
    state : FileState
        What was seen of the file when it was opened.

    Raises
    ------
    DatasetNotFoundError
        The file is missing.
    DamagedStoreError
        The file is not HDF5, has no uint8 dataset ``images``, or is shorter than its block.
    UsageError
        A number of threads below 1.

    Examples
    --------
    >>> block = ImageBlock(getfixture("bus_root") / "bus" / "images.hdf5")
    >>> block.read([4, 0, 4]).shape
    (3, 224, 224)
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = Path(path).absolute()  # it may be read after the process has gone elsewhere
        self.threads = min(4, usable_processors()) if threads is None else whole_number("threads", threads, PARALLEL)
        self.state, self.shape, self.offset = _inspect(self.path)
        self._opened: tuple[int, OpenedBlock] | None = None

    @property
    def contiguous(self) -> bool:
        """Whether the images are one block, so that positional reads work."""
        return self.offset is not None

    def __len__(self) -> int:
        return self.shape[0]

    def __getstate__(self) -> _State:
        return str(self.path), self.threads, tuple(self.state), self.shape, self.offset

    def __setstate__(self, state: _State) -> None:
        path, self.threads, seen, self.shape, self.offset = state
        self.path, self.state, self._opened = Path(path), FileState(*seen), None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and the threads, once reads that are under way are done; the next read opens it again."""
        self._opened = None

    def read(self, indices: Indices, out: Images | None = None, *, threads: int | None = None) -> Images:
        """Read images in the order of `indices`, which may repeat.

        Parameters
        ----------
        indices : sequence of int
            Sample indices, 0 to N-1; none at all is fine.
        out : ndarray of uint8, optional
            C-contiguous buffer of shape ``(len(indices), ...)`` to read into. After an error it may hold anything.
        threads : int, optional
            Reading threads of this call; else those of the block.

        Returns
        -------
        ndarray of uint8, shape (n, S, S) or (n, S, S, 3)
            `out`, or a new array.

        Raises
        ------
        SampleIndexError
            An index is negative or too large; it is an IndexError.
        UsageError
            Indices that are no sequence of whole numbers, a buffer that does not fit, threads below 1.
        ChangedStoreError
            The file was replaced, changed or removed since it was opened.
        DamagedStoreError
            The file got shorter since it was opened, or does not decode.
        StoreError
            The system cannot read the file.
        """
        wanted = check_indices(indices, len(self), self.path)
        out = self._buffer(out, (wanted.size, *self.shape[1:]))
        threads = self.threads if threads is None else whole_number("threads", threads, PARALLEL)
        if wanted.size:
            with self.unchanged():
                self._open().read(wanted, out, threads)
        return out

    def as_memory_map(self) -> Images:
        """Return all images, read-only and mapped from the file where it is contiguous, else read into memory.

        For whole passes and for libraries that want one array. A mapped file that is cut short while it is used ends
        the process; `read` raises instead.
        """
        if not self.contiguous or not len(self):
            return self.read(np.arange(len(self)))
        with self.unchanged():
            return np.memmap(self.path, dtype=np.uint8, mode="r", offset=self.offset or 0, shape=self.shape)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Make sure that what is done within belongs to the file that was opened; `check` says what is raised.

        If something goes wrong, and the file is another one by then, that is the reason which is told.
        """
        try:
            yield
        except Exception:
            self.check()
            raise
        self.check()

    def check(self) -> None:
        """Look whether the file is still the one that was opened.

        Raises
        ------
        ChangedStoreError
            It was replaced, changed or removed, even if what is open still reads.
        DamagedStoreError
            It was cut short.
        """
        try:
            now = FileState.of(self.path)
        except FileNotFoundError:
            raise ChangedStoreError(f"{self.path}: was removed since it was opened. Load the dataset again.") from None
        except OSError as error:
            raise ChangedStoreError(
                f"{self.path}: cannot be reached any more ({error.strerror}). Load the dataset again."
            ) from error
        if now == self.state:
            return
        if now.inode == self.state.inode and now.size < self.state.size:
            raise DamagedStoreError(
                f"{self.path}: was {self.state.size:,} bytes long when it was opened, and is {now.size:,} now. "
                f"The file was cut short: build or download the dataset again."
            )
        what = "changed" if now.inode == self.state.inode else "replaced"
        raise ChangedStoreError(
            f"{self.path}: was {what} since it was opened; indices and labels may be of other images now. "
            f"Load the dataset again."
        )

    def _buffer(self, out: Images | None, shape: tuple[int, ...]) -> Images:
        if out is None:
            return aligned.empty(shape)
        fits = isinstance(out, np.ndarray) and out.shape == shape and out.dtype == np.uint8
        if not fits or not out.flags.c_contiguous or not out.flags.writeable:
            got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise UsageError(f"out must be a writable, C-contiguous uint8 array of shape {shape}, got {got}.")
        return out

    def _open(self) -> OpenedBlock:
        """Return what reads in this process. Threads that come here at once may open it twice, which does no harm."""
        process, opened = os.getpid(), self._opened
        if opened is None or opened[0] != process:  # else it is the parent's, with threads that are not in this process
            block = ChunkedBlock(self.path) if self.offset is None else ContiguousBlock(self.path, self.offset)
            self._opened = opened = process, block
        return opened[1]


def _inspect(path: Path) -> tuple[FileState, tuple[int, ...], int | None]:
    """Return what is seen of the file, the block's shape, and its offset where it is contiguous."""
    try:
        state = FileState.of(path)
        with h5py.File(path, "r") as file:
            dataset = file.get(layout.IMAGES_DATASET)
            if not isinstance(dataset, h5py.Dataset):
                raise DamagedStoreError(f"{path}: has no dataset {layout.IMAGES_DATASET!r}.")
            shape, dtype = tuple(dataset.shape), dataset.dtype
            offset = dataset.id.get_offset() if dataset.chunks is None else None
    except FileNotFoundError:
        raise DatasetNotFoundError(f"{path}: is missing.") from None
    except DamagedStoreError:
        raise
    except OSError as error:
        raise DamagedStoreError(
            f"{path}: is not a whole HDF5 file ({error}). Build or download the dataset again."
        ) from None
    if dtype != np.uint8 or len(shape) not in (3, 4):
        raise DamagedStoreError(f"{path}: expected uint8 images of 3 or 4 axes, got {dtype} {shape}.")
    if offset is not None:
        expected = offset + int(np.prod(shape))
        if state.size < expected:
            raise DamagedStoreError(
                f"{path}: is {state.size:,} bytes long, but its images end at byte {expected:,}. "
                f"The file was cut short: build or download the dataset again."
            )
    return state, shape, None if offset is None else int(offset)
