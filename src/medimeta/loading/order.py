"""Which samples make which batch: the seeded order of an epoch, and the share of it that a rank or worker takes.

An order numbers the batches of an epoch. It depends on the seed and the epoch alone, so that every process makes the
same one and takes its share: rank `r` of `R` the batches ``r, r + R, r + 2 R, ...``, and of these worker `w` of `W`
every `W`-th from the `w`-th on. No batch is taken twice, and none is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch.utils.data import get_worker_info

Places = npt.NDArray[np.int64]


class Turn(NamedTuple):
    """One batch to come.

    Attributes
    ----------
    number : int
        Of the batch in its epoch, over all ranks.
    member : int
        Position of the dataset that it is from.
    places : ndarray of int64
        Places of its samples in that dataset.
    """

    number: int
    member: int
    places: Places


class Order(Protocol):
    """The batches of an epoch."""

    @property
    def total(self) -> int | None:
        """How many batches there are over all ranks; None where there is no end."""

    def turn(self, number: int) -> Turn:
        """Return a batch by its number; numbers rise from call to call."""


@dataclass(frozen=True)
class OneDataset:
    """The batches of one dataset: its places in the order given, cut into pieces."""

    places: Places
    batch_size: int
    drop_last: bool

    @property
    def total(self) -> int:
        """How many batches there are."""
        return batches_of(len(self.places), self.batch_size, drop_last=self.drop_last)

    def turn(self, number: int) -> Turn:
        """Return a batch by its number."""
        return Turn(number, 0, cut(self.places, self.batch_size, number))


@dataclass(frozen=True)
class Shard:
    """The share of one process in distributed training.

    Attributes
    ----------
    rank, world_size : int
        Which process of how many.
    even : bool
        Whether the last batches are left out that not every rank gets one of.

    Examples
    --------
    >>> [Shard(rank, 3).count(7) for rank in range(3)], Shard(1, 3, even=True).count(7)
    ([3, 2, 2], 2)
    >>> [Shard(1, 3).number(position) for position in range(2)]
    [1, 4]
    """

    rank: int = 0
    world_size: int = 1
    even: bool = False

    def count(self, total: int) -> int:
        """Return how many of all batches are this rank's."""
        return (total if self.even else total - self.rank + self.world_size - 1) // self.world_size

    def number(self, position: int) -> int:
        """Return the number of this rank's batch at a position."""
        return position * self.world_size + self.rank


def worker_share() -> tuple[int, int]:
    """Return the number of this DataLoader worker and how many there are; 0 and 1 outside of workers."""
    info = get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)


def chance(seed: int, epoch: int, *stream: int) -> np.random.Generator:
    """Return a source of chance that depends on these numbers alone; streams are independent of each other."""
    return np.random.default_rng(np.random.SeedSequence((seed, epoch), spawn_key=stream))


def batches_of(samples: int, batch_size: int, *, drop_last: bool) -> int:
    """Return how many batches so many samples make.

    Examples
    --------
    >>> batches_of(9, 4, drop_last=False), batches_of(9, 4, drop_last=True), batches_of(0, 4, drop_last=False)
    (3, 2, 0)
    """
    return samples // batch_size if drop_last else -(-samples // batch_size)


def cut(places: Places, batch_size: int, number: int) -> Places:
    """Return the places of a batch by its number."""
    return places[number * batch_size : (number + 1) * batch_size]
