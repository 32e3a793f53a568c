"""Batches of a task dataset: read ahead, in a seeded order, normalised on the device that they are for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from medimeta.loading.dataset import TaskDataset
from medimeta.loading.normalize import Statistics
from medimeta.loading.options import Augment, Options
from medimeta.loading.order import OneDataset, Places, Turn, batches_of, chance
from medimeta.loading.stream import BatchStream, Labels

Batch = tuple[torch.Tensor, Labels]


class BatchLoader(BatchStream[Batch]):
    """The batches of a dataset; see `loader`, which makes it, and `BatchStream` for epochs, shards and states."""

    def __init__(self, dataset: TaskDataset, shuffle: bool, options: Options) -> None:
        super().__init__([dataset], options)
        self.dataset = dataset
        self.shuffle = shuffle

    def __repr__(self) -> str:
        return f"BatchLoader({self.dataset!r}, batches={len(self)}, shard={self.shard})"

    def order(self, epoch: int) -> Places:
        """Return the places in the dataset in the order in which an epoch visits them, over all ranks."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return chance(self.options.seed, epoch).permutation(len(self.dataset))

    def _total(self) -> int:
        return batches_of(len(self.dataset), self.options.batch_size, drop_last=self.options.drop_last)

    def _order(self, epoch: int) -> OneDataset:
        return OneDataset(self.order(epoch), self.options.batch_size, self.options.drop_last)

    def _batch(self, turn: Turn, images: torch.Tensor, labels: Labels) -> Batch:
        return images, labels

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "shuffle": self.shuffle}


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
    augment: Augment | None = None,
    threads: int | None = None,
    prefetch: int = 2,
    rank: int | None = None,
    world_size: int | None = None,
    even: bool = False,
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
        Seed of the order and of augmentation. The batches depend on it and on the epoch's number, not on threads,
        ranks or workers.
    device : str or torch.device, optional
        Where batches go; augmentation and normalisation happen there.
    normalize : str or (mean, std), optional
        ``"imagenet"``, ``"half"``, or own statistics; None gives uint8.
    rgb : bool
        Repeat grey images to three channels.
    drop_last : bool
        Leave out a last batch that is not full.
    augment : callable, optional
        Called as ``augment(images, generator)`` before images are normalised, with uint8 ``(B, C, S, S)`` on the
        device and a ``torch.Generator`` of the CPU, seeded for this batch; draw all chance from it. Returns as many
        images and channels in 0 to 255, uint8 or float. `medimeta.learning.augment.Augmentation` is one.
    threads : int, optional
        Reading threads; as many as the process may use processors, up to four, and 1 in a DataLoader's worker.
    prefetch : int
        Batches read ahead.
    rank, world_size : int, optional
        The share of this process in distributed training: every `world_size`-th batch from the `rank`-th on. Without
        them ``torch.distributed`` is asked, where it is initialised. Together the ranks visit each sample once; some
        have one batch less than others.
    even : bool
        Give each rank the same number of batches, and leave out the last that are too few for all. For
        DistributedDataParallel, where a rank with one more would wait for the others for ever.

    Returns
    -------
    BatchLoader
        Yields ``(images, labels)``: float32 ``(B, C, S, S)``, or uint8 with ``normalize=None``; labels as in the
        dataset, int64. Has ``set_epoch``, ``state_dict`` and ``load_state_dict``.

    Notes
    -----
    Threads are enough to read; processes help where `augment` is slow on the CPU.
    ``DataLoader(loader(...), batch_size=None, num_workers=2)`` shares the batches out to two, in the same order. Call
    ``set_epoch`` before each pass then, or let the workers persist.

    Raises
    ------
    UsageError
        Settings that cannot be used, a dataset with a transform, unknown statistics, no such device.

    Examples
    --------
    >>> import medimeta as mm
    >>> ds = mm.load("bus/malignancy", root=getfixture("bus_root"), split="train")
    >>> batches = mm.loader(ds, batch_size=4, shuffle=True, seed=1)
    >>> for images, labels in batches:
    ...     state = batches.state_dict()
    ...     break
    >>> images.dtype, tuple(images.shape), labels.dtype
    (torch.float32, (4, 1, 224, 224), torch.int64)

    Go on where it was left, perhaps in another process:

    >>> again = mm.loader(ds, batch_size=4, shuffle=True, seed=1)
    >>> again.load_state_dict(state)
    >>> len(list(again)) == len(again) - 1
    True
    """
    options = Options(
        batch_size=batch_size,
        seed=seed,
        device=device,
        normalize=normalize,
        rgb=rgb,
        drop_last=drop_last,
        augment=augment,
        threads=threads,
        prefetch=prefetch,
        rank=rank,
        world_size=world_size,
        even=even,
    )
    return BatchLoader(dataset, shuffle, options)
