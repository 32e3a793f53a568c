"""Batches of a task dataset: read ahead, in a seeded order, normalised on the device that they are for."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from medimeta.errors import UsageError
from medimeta.loading.buffers import BufferPool
from medimeta.loading.dataset import TaskDataset, as_tensor
from medimeta.loading.normalize import Normalize, Statistics

Labels = torch.Tensor | dict[str, torch.Tensor]
Batch = tuple[torch.Tensor, Labels]

READ_AHEAD = 2  # batches: one being read while one waits


class BatchLoader:
    """Iterates over the batches of a dataset; each pass is one epoch.

    The order of an epoch depends on the seed and the epoch's number alone. See `loader` for the parameters.
    """

    def __init__(
        self,
        dataset: TaskDataset,
        batch_size: int,
        shuffle: bool,
        seed: int,
        device: torch.device | None,
        normalize: Normalize | None,
        rgb: bool,
        drop_last: bool,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.device = device
        self.normalize = normalize
        self.rgb = rgb
        self.drop_last = drop_last
        self.epoch = 0
        self._buffers = BufferPool((batch_size, *dataset.stored.info.image_shape), np.uint8)

    def __len__(self) -> int:
        whole = len(self.dataset) / self.batch_size
        return math.floor(whole) if self.drop_last else math.ceil(whole)

    def __iter__(self) -> Iterator[Batch]:
        order = self.order(self.epoch)
        self.epoch += 1
        batches = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        for places, images in self._read_ahead(batches[: len(self)]):
            yield self._finish(images), self._labels(places)

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """Return the places in the dataset in the order in which an epoch visits them."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.dataset))

    def _read(self, places: npt.NDArray[np.int64]) -> torch.Tensor:
        out = self._buffers.take()[: len(places)]
        return as_tensor(self.dataset.stored.images.read(self.dataset.indices[places], out))

    def _read_ahead(self, batches: list[npt.NDArray[np.int64]]) -> Iterator[tuple[npt.NDArray[np.int64], torch.Tensor]]:
        ready: queue.Queue[tuple[npt.NDArray[np.int64], torch.Tensor | BaseException]] = queue.Queue(READ_AHEAD)
        stop = threading.Event()

        def read() -> None:
            for places in batches:
                try:
                    result: torch.Tensor | BaseException = self._read(places)
                except BaseException as error:  # noqa: BLE001 - raised again where the batch is asked for
                    result = error
                while not stop.is_set():
                    try:
                        ready.put((places, result), timeout=0.1)
                        break
                    except queue.Full:
                        continue
                del result  # the buffer is the consumer's alone now
                if stop.is_set():
                    return

        reader = threading.Thread(target=read, name="medimeta-read-ahead", daemon=True)
        reader.start()
        try:
            for _ in batches:
                places, images = ready.get()
                if isinstance(images, BaseException):
                    raise images
                yield places, images
                del images
        finally:
            stop.set()
            reader.join()

    def _finish(self, images: torch.Tensor) -> torch.Tensor:
        if self.device is not None and self.device.type != "cpu":
            images = images.pin_memory().to(self.device, non_blocking=True)
        if self.normalize is not None:
            return self.normalize(images)
        return images.expand(-1, 3, -1, -1) if self.rgb else images

    def _labels(self, places: npt.NDArray[np.int64]) -> Labels:
        labels = self.dataset.labels
        if isinstance(labels, dict):
            return {name: self._to_device(values[places]) for name, values in labels.items()}
        return self._to_device(labels[places])

    def _to_device(self, labels: npt.NDArray[Any]) -> torch.Tensor:
        tensor = torch.from_numpy(labels)
        return tensor if self.device is None else tensor.to(self.device)


def loader(
    dataset: TaskDataset,
    batch_size: int = 64,
    shuffle: bool = False,
    seed: int = 0,
    device: str | torch.device | None = None,
    normalize: Statistics | None = "imagenet",
    *,
    rgb: bool = False,
    drop_last: bool = False,
) -> BatchLoader:
    """Make batches of a dataset, faster than a DataLoader and without worker processes.

    Parameters
    ----------
    dataset : TaskDataset
        From `medimeta.load`, without a transform of its own.
    batch_size : int
        Images a batch.
    shuffle : bool
        Visit the samples in a new order each epoch.
    seed : int
        Seed of the order.
    device : str or torch.device, optional
        Where batches go; normalisation happens there.
    normalize : str or (mean, std), optional
        ``"imagenet"``, ``"half"``, or own statistics; None gives uint8.
    rgb : bool
        Repeat grey images to three channels.
    drop_last : bool
        Leave out a last batch that is not full.

    Returns
    -------
    BatchLoader
        Yields ``(images, labels)``: float32 ``(B, C, S, S)``, or uint8 with ``normalize=None``; labels as in the
        dataset, int64.

    Raises
    ------
    UsageError
        A batch size below 1, a dataset with a transform, unknown statistics.

    Examples
    --------
    >>> import medimeta as mm
    >>> ds = mm.load("bus/malignancy", root=getfixture("bus_root"), split="train")
    >>> images, labels = next(iter(mm.loader(ds, batch_size=4, shuffle=True, seed=1)))
    >>> images.dtype, tuple(images.shape), labels.dtype
    (torch.float32, (4, 1, 224, 224), torch.int64)
    """
    if batch_size < 1:
        raise UsageError(f"batch_size must be at least 1, got {batch_size}.")
    if dataset.transform is not None:
        raise UsageError(
            "this dataset has a transform for single images, which a loader of whole batches does not run. "
            "Load it without, and transform the batches; or use torch.utils.data.DataLoader."
        )
    wanted = None if normalize is None else Normalize(normalize, channels=dataset.channels, rgb=rgb)
    target = None if device is None else torch.device(device)
    return BatchLoader(dataset, batch_size, shuffle, seed, target, wanted, rgb, drop_last)
