"""Mean and standard deviation of a dataset's channels, exact and in one pass.

Pixels and their squares are summed in whole numbers: the result does not depend on the order of the images, on the
number of threads, or on rounding. Memory stays flat. It needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from medimeta._numbers import PARALLEL, whole_number
from medimeta._processors import usable_processors
from medimeta.errors import UsageError
from medimeta.loading.buffers import BufferPool

if TYPE_CHECKING:
    from medimeta.store.images import ImageBlock
    from medimeta.store.reader import StoredDataset

Sums = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]

CHUNK_BYTES = 1 << 20  # that a thread reads and sums at a time: they stay in the cache
MAX_ROWS = (2**32 - 1) // 255**2  # of pixels whose squares are sure to fit into 32 bits, column by column


class ChannelStatistics(NamedTuple):
    """Statistics of images scaled to 0..1, channel by channel; ``normalize=`` of a loader takes them as they are.

    Attributes
    ----------
    mean, std : tuple of float
        One value for grey images, three for colour. The deviation is that of the population: divided by n, not n - 1.
    images : int
        How many images were counted.
    pixels : int
        How many pixels these have, in each channel.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    images: int
    pixels: int


@runtime_checkable
class HasImages(Protocol):
    """Some of the images of a stored dataset, as a `TaskDataset` has them."""

    @property
    def stored(self) -> StoredDataset:
        """The dataset on disk."""

    @property
    def indices(self) -> Indices:
        """Which of its images."""


class StoredPart(NamedTuple):
    """Some of the images of a stored dataset, where there is no torch for a `TaskDataset`."""

    stored: StoredDataset
    indices: Indices


def channel_statistics(
    datasets: HasImages | Iterable[HasImages], *, rgb: bool = False, threads: int | None = None
) -> ChannelStatistics:
    """Compute mean and standard deviation of every channel, exactly.

    Give the training split only: statistics that saw validation or test images leak them into training.

    Parameters
    ----------
    datasets : TaskDataset, or iterable of TaskDataset
        Datasets from `medimeta.load`. The images of several are pooled: every pixel counts the same, and an image that
        several of them hold, as two tasks of one dataset do, counts once.
    rgb : bool
        Count grey images in each of three channels, as loaders with ``rgb=True`` give them. Grey and colour datasets
        can be pooled only so.
    threads : int, optional
        Threads that read and count; as many as the process may use processors.

    Returns
    -------
    ChannelStatistics
        Passes as ``normalize=`` to `medimeta.loader` and to `Normalize`.

    Raises
    ------
    UsageError
        No images, grey with colour images, or fewer than one thread.
    DamagedStoreError
        An image does not read.

    Examples
    --------
    >>> import medimeta as mm
    >>> train = mm.load("bus", root=getfixture("bus_root"), split="train")
    >>> found = channel_statistics(train)
    >>> found.images == len(train), found.pixels == len(train) * 224 * 224
    (True, True)
    >>> images, _ = next(iter(mm.loader(train, batch_size=len(train), normalize=found)))
    >>> abs(images.mean().item()) < 1e-4, round(images.std().item(), 3)
    (True, 1.0)
    """
    threads = None if threads is None else whole_number("threads", threads, PARALLEL)
    parts = _images_once(datasets)
    images = sum(len(indices) for _, indices in parts)
    if not images:
        raise UsageError("there are no images to take statistics of: pass datasets that have samples.")
    channels = {stored.info.channels for stored, _ in parts}
    if len(channels) > 1 and not rgb:
        grey = ", ".join(sorted(stored.info.id for stored, _ in parts if stored.info.channels == 1))
        raise UsageError(
            f"some of these datasets are grey ({grey}) and others are in colour: "
            f"pass rgb=True to count grey images in all three channels."
        )
    sums = np.zeros((2, 3 if rgb else channels.pop()), dtype=np.int64)
    for stored, indices in parts:
        sums += channel_sums(stored.images, indices, threads)  # those of grey images are added to each channel
    pixels = sum(len(indices) * math.prod(stored.images.shape[1:3]) for stored, indices in parts)
    return _from_sums(sums, images, pixels)


def channel_sums(block: ImageBlock, indices: Indices, threads: int | None = None) -> Sums:
    """Sum the pixels of images, and their squares, by channel.

    Parameters
    ----------
    block : ImageBlock
        The images of a stored dataset.
    indices : ndarray of int64, shape (n,)
        Which of them; ascending is fastest.
    threads : int, optional
        As many as the process may use processors without.

    Returns
    -------
    ndarray of int64, shape (2, channels)
        Sums of the values 0 to 255, and of their squares.
    """
    shape = block.shape[1:]
    channels = 1 if len(shape) == 2 else shape[2]
    size = max(1, min(CHUNK_BYTES // math.prod(shape), MAX_ROWS // shape[0]))
    buffers = BufferPool((size, *shape), np.uint8)

    def read_and_sum(some: Indices) -> Sums:
        images = block.read(some, buffers.take()[: len(some)])
        rows = images.reshape(-1, shape[1] * channels)
        # einsum leaves other threads at work, and is faster than bincount (2 times) and than sum with a square.
        columns = np.einsum("ij->j", rows, dtype=np.uint32), np.einsum("ij,ij->j", rows, rows, dtype=np.uint32)
        return np.stack([each.reshape(-1, channels).sum(axis=0, dtype=np.int64) for each in columns])

    pool = ThreadPoolExecutor(threads or usable_processors(), thread_name_prefix="medimeta-sum")
    total = np.zeros((2, channels), dtype=np.int64)
    try:
        for sums in pool.map(read_and_sum, _chunks(indices, size)):
            total += sums
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C, nobody waits for the rest
    return total


def _chunks(indices: Indices, size: int) -> Iterator[Indices]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


def _images_once(datasets: HasImages | Iterable[HasImages]) -> list[tuple[StoredDataset, Indices]]:
    """Return every stored dataset with the indices that any of the datasets has, ascending."""
    found: dict[str, tuple[StoredDataset, list[Indices]]] = {}
    several = datasets if isinstance(datasets, Iterable) and not isinstance(datasets, HasImages) else [datasets]
    for dataset in several:
        if not isinstance(dataset, HasImages):
            raise UsageError(f"expected datasets from medimeta.load, got {dataset!r}.")
        stored = dataset.stored
        found.setdefault(str(stored.folder.resolve()), (stored, []))[1].append(dataset.indices)
    return [(stored, np.unique(np.concatenate(indices))) for stored, indices in found.values()]


def _from_sums(sums: Sums, images: int, pixels: int) -> ChannelStatistics:
    first, second = sums.tolist()  # Python's integers: their products are exact
    mean = tuple(one / (255 * pixels) for one in first)
    std = tuple(math.sqrt((pixels * two - one**2) / pixels**2) / 255 for one, two in zip(first, second, strict=True))
    return ChannelStatistics(mean, std, images, pixels)
