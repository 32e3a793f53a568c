"""What every stream of batches can be told, checked once and all at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import distributed

from medimeta._numbers import COUNT, PARALLEL, SEED, Bounds, shown, whole_number
from medimeta.errors import UsageError, bullet_list
from medimeta.loading.normalize import Statistics
from medimeta.loading.order import Shard

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""Called as ``augment(images, generator)`` on a whole batch; see `medimeta.loader`."""


@dataclass
class Options:
    """Settings of a stream of batches; `medimeta.loader` says what each means.

    Raises
    ------
    UsageError
        Values of the wrong type or out of range; all of them are named.

    Examples
    --------
    >>> Options(batch_size=2.5, seed=-1)
    Traceback (most recent call last):
    ...
    medimeta.errors.UsageError: these settings cannot be used:
      - batch_size must be a whole number from 1 to 1,000,000, got 2.5
      - seed must be a whole number from 0 to 9,223,372,036,854,775,807, got -1
    """

    batch_size: int = 64
    seed: int = 0
    device: str | torch.device | None = None
    normalize: Statistics | None = "imagenet"
    rgb: bool = False
    drop_last: bool = False
    augment: Augment | None = None
    threads: int | None = None
    prefetch: int = 2
    rank: int | None = None
    world_size: int | None = None
    even: bool = False

    def __post_init__(self) -> None:
        problems = [
            *self._whole("batch_size", COUNT),
            *self._whole("seed", SEED),
            *self._whole("prefetch", COUNT),
            *([] if self.threads is None else self._whole("threads", PARALLEL)),
            *self._shard_problems(),
        ]
        if self.augment is not None and not callable(self.augment):
            problems.append(f"augment must be called as augment(images, generator), got {self.augment!r}")
        if problems:
            raise UsageError(f"these settings cannot be used:\n{bullet_list(problems)}")

    def shard(self) -> Shard:
        """Return the share of this process: as given, else as ``torch.distributed`` has it, where it is initialised."""
        if self.rank is not None and self.world_size is not None:
            return Shard(self.rank, self.world_size, self.even)
        if distributed.is_available() and distributed.is_initialized():
            return Shard(distributed.get_rank(), distributed.get_world_size(), self.even)
        return Shard(even=self.even)

    def _whole(self, name: str, bounds: Bounds) -> list[str]:
        try:
            setattr(self, name, whole_number(name, getattr(self, name), bounds))
        except UsageError as error:
            return [str(error).rstrip(".")]
        return []

    def _shard_problems(self) -> list[str]:
        if (self.rank is None) != (self.world_size is None):
            return [
                f"rank and world_size go together, got rank {shown(self.rank)} and world_size {shown(self.world_size)}"
            ]
        if self.rank is None:
            return []
        problems = self._whole("rank", Bounds(0, COUNT.most)) + self._whole("world_size", COUNT)
        if not problems and self.rank >= self.world_size:  # type: ignore[operator]
            problems.append(f"rank must be below world_size, got rank {self.rank} of {self.world_size}")
        return problems
