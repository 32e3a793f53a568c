"""The batches of a training, and how long it waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from medimeta.errors import UsageError
from medimeta.learning.config import TrainConfig
from medimeta.loading.dataset import TaskDataset
from medimeta.loading.loader import Batch, BatchLoader, loader

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """The share of one process: which of how many."""

    rank: int = 0
    processes: int = 1


class Clock:
    """Adds up the seconds that calls take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, call: Callable[..., T]) -> Callable[..., T]:
        """Return a function that takes its time by this clock."""

        def called(*arguments: Any) -> T:
            started = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                self.seconds += time.perf_counter() - started

        return called


class TrainingBatches:
    """The batches of the training split: in a new order each epoch, varied on the device that they are for.

    Chance comes from seed, epoch and batch alone, so that a training that is taken up again goes on as it would have.

    Parameters
    ----------
    dataset : TaskDataset
        The training split.
    config : TrainConfig
        The settings; each of several processes gets an equal share of every batch.
    share : Share
        That of this process.
    device : torch.device
        Where batches go.

    Attributes
    ----------
    images : int
        Images of an epoch, over all processes.
    """

    def __init__(self, dataset: TaskDataset, config: TrainConfig, share: Share, device: torch.device) -> None:
        count = share_of_batch(len(dataset), config.batch_size, share.processes)
        left = len(dataset) % count
        # Gradients of the processes are averaged, so that each needs as many images. Alone, a last batch of a single
        # image would teach batch normalisation nothing, or break it.
        drop_last = share.processes > 1 or (len(dataset) > count and left == 1)
        steps = len(dataset) // (count * share.processes)
        self.images = steps * count * share.processes if share.processes > 1 else len(dataset) - drop_last * left
        self._reading, self._varying = Clock(), Clock()
        self._batches = loader(
            dataset,
            count,
            shuffle=True,
            seed=config.seed,
            device=device,
            normalize=None,
            drop_last=drop_last,
            augment=self._varying.timed(config.augmentation),
            rank=share.rank,
            world_size=share.processes,
            even=share.processes > 1,
        )

    @property
    def waited(self) -> float:
        """Seconds spent so far on waiting for images, without varying them."""
        return self._reading.seconds - self._varying.seconds

    def begin_with(self, epoch: int) -> None:
        """Let the next pass be this epoch, counted from 0."""
        self._batches.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        batches = iter(self._batches)
        end = object()
        following = self._reading.timed(next)
        while (batch := following(batches, end)) is not end:
            yield batch


def share_of_batch(images: int, batch_size: int, processes: int) -> int:
    """Return how many images of a batch are each process's.

    Raises
    ------
    UsageError
        The batch cannot be shared evenly, or there are fewer images than processes.

    Examples
    --------
    >>> share_of_batch(images=500, batch_size=64, processes=4)
    16
    """
    if processes > 1 and batch_size % processes:
        raise UsageError(
            f"batches of {batch_size} cannot be shared evenly by {processes} processes: pass a multiple of {processes} "
            f"as --batch-size (batch_size)."
        )
    if images < processes:
        raise UsageError(f"{images} training images are too few for {processes} processes: pass fewer as --devices.")
    return min(batch_size, images) // processes


def plain_batches(
    dataset: TaskDataset, batch_size: int, device: torch.device, share: Share | None = None
) -> BatchLoader:
    """Return batches of uint8 in the order of the dataset; of the share of one process, or all."""
    share = share or Share()
    return loader(dataset, batch_size, device=device, normalize=None, rank=share.rank, world_size=share.processes)
