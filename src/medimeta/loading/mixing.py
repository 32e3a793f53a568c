"""Batches from many tasks, one task a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from medimeta._numbers import COUNT, shown, whole_number
from medimeta.catalogue.schema import TaskCard, normalised
from medimeta.errors import UsageError, problems_error, unknown_name
from medimeta.loading.dataset import TaskDataset
from medimeta.loading.normalize import Statistics
from medimeta.loading.options import Augment, Options
from medimeta.loading.order import Order, Turn
from medimeta.loading.stream import BatchStream, Labels
from medimeta.loading.turns import Decks, EachOnce, Endless

Weights = str | Sequence[float] | Mapping[str, float]


class MixedBatch(NamedTuple):
    """A batch of one task.

    Attributes
    ----------
    images : tensor, shape (B, C, S, S)
        float32, or uint8 with ``normalize=None``.
    labels : tensor of int64, shape (B,) or (B, L)
        As in the dataset.
    task : TaskCard
        The task.
    """

    images: torch.Tensor
    labels: Labels
    task: TaskCard


class MixedBatches(BatchStream[MixedBatch]):
    """Batches from many tasks, one task a batch, in a seeded order; each pass is the next epoch.

    An epoch exhausts every task exactly once. `endless` draws for ever instead, and shuffles a task anew when it is
    exhausted. One read-ahead serves all tasks. See `medimeta.loader` for what is not told here, and `BatchStream` for
    epochs, shards and states.

    Parameters
    ----------
    datasets : sequence of TaskDataset
        Each of one task, all of the same image size.
    batch_size, seed, device, normalize, drop_last, augment, threads, prefetch, rank, world_size, even
        As in `medimeta.loader`. Ranks share the batches out, so that at a time each has another task.
    weights : str, sequence or dict
        How a task is drawn, among those that have batches left: ``"size"``, in proportion to the batches it has left
        (the project's protocol, "Mixed batches"), or, in an endless draw, to all its batches; ``"uniform"``; or a
        positive number for each dataset, in their order or by name of the task.
    endless : bool
        Draw for ever.
    length : int, optional
        Batches of an epoch of an endless draw, over all ranks; without it there is no end.
    rgb : bool
        Repeat grey images to three channels. Without it all datasets must have as many channels.

    Raises
    ------
    UsageError
        No datasets, one without a task or with a transform, different sizes or channels, settings or weights that
        cannot be used, an endless draw of a dataset without a batch.
    UnknownNameError
        Weights of a task that is not there.

    Examples
    --------
    >>> import medimeta as mm
    >>> names = ["bus/malignancy", "pbc/cell class"]
    >>> tasks = [mm.load(name, root=getfixture("bus_root"), split="train") for name in names]
    >>> mixed = mm.MixedBatches(tasks, batch_size=8, seed=0)
    >>> for images, labels, task in mixed:
    ...     assert images.shape[1:] == (3, 224, 224) and len(labels) == len(images)
    >>> len(mixed) == sum(-(-len(task) // 8) for task in tasks)
    True
    >>> weights = {"bus/malignancy": 1, "pbc/cell class": 3}
    >>> for number, batch in enumerate(mm.MixedBatches(tasks, batch_size=4, weights=weights, endless=True)):
    ...     if number == 12:
    ...         break
    """

    def __init__(
        self,
        datasets: Sequence[TaskDataset],
        batch_size: int = 64,
        seed: int = 0,
        weights: Weights = "size",
        *,
        endless: bool = False,
        length: int | None = None,
        device: str | torch.device | None = None,
        normalize: Statistics | None = "imagenet",
        rgb: bool = True,
        drop_last: bool = False,
        augment: Augment | None = None,
        threads: int | None = None,
        prefetch: int = 2,
        rank: int | None = None,
        world_size: int | None = None,
        even: bool = False,
    ) -> None:
        if not isinstance(datasets, Sequence) or not datasets:
            raise UsageError(f"mixed batches need a sequence of at least one dataset, got {shown(datasets)}.")
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
        super().__init__(datasets, options)
        self.datasets = tuple(datasets)
        self.tasks: tuple[TaskCard, ...] = _tasks(self.datasets)
        _check_alike(self.datasets, rgb)
        self.endless = endless
        self.length = None if length is None else whole_number("length", length, COUNT)
        if length is not None and not endless:
            raise UsageError("length is for endless=True: without, an epoch exhausts every task exactly once.")
        self.weights = None if isinstance(weights, str) and weights == "size" else _weights(weights, self.tasks)
        batches = self._decks(0).batches
        if endless and not batches.all():
            empty = ", ".join(task.id for task, count in zip(self.tasks, batches, strict=True) if not count)
            raise UsageError(f"there is no batch to draw for ever of {empty}: leave it out.")
        self._batches_an_epoch = self.length if endless else int(batches.sum())

    def __repr__(self) -> str:
        many = "endless" if self._total() is None else f"batches={len(self)}"
        return f"MixedBatches({len(self.datasets)} datasets, {many}, shard={self.shard})"

    def _decks(self, epoch: int) -> Decks:
        sizes = [len(dataset) for dataset in self.datasets]
        return Decks(sizes, self.options.batch_size, self.options.drop_last, self.options.seed, epoch)

    def _total(self) -> int | None:
        return self._batches_an_epoch

    def _order(self, epoch: int) -> Order:
        decks = self._decks(epoch)
        return Endless(decks, self.weights, self.length) if self.endless else EachOnce(decks, self.weights)

    def _batch(self, turn: Turn, images: torch.Tensor, labels: Labels) -> MixedBatch:
        return MixedBatch(images, labels, self.tasks[turn.member])

    def _identity(self) -> dict[str, Any]:
        weights = "size" if self.weights is None else self.weights.tolist()
        return {**super()._identity(), "weights": weights, "endless": self.endless, "length": self.length}


def _tasks(datasets: Sequence[TaskDataset]) -> tuple[TaskCard, ...]:
    several = [dataset.stored.info.id for dataset in datasets if dataset.task is None]
    if several:
        raise UsageError(
            f"mixed batches are of one task each, but {', '.join(several)} was loaded without one: "
            f"load each task, as 'dataset/task'."
        )
    return tuple(dataset.task for dataset in datasets if dataset.task is not None)


def _check_alike(datasets: Sequence[TaskDataset], rgb: bool) -> None:
    sizes = {dataset.stored.info.size: dataset for dataset in reversed(datasets)}
    if len(sizes) > 1:
        found = ", ".join(f"{dataset.stored.folder}: {size} x {size} pixels" for size, dataset in sizes.items())
        raise UsageError(f"datasets of different image sizes cannot be mixed: {found}. Build them at one size.")
    channels = {dataset.channels: dataset for dataset in reversed(datasets)}
    if len(channels) > 1 and not rgb:
        found = ", ".join(f"{dataset.stored.folder}: {count}" for count, dataset in channels.items())
        raise UsageError(f"datasets of different channels cannot be mixed: {found}. Give rgb=True.")


def _weights(weights: Weights, tasks: Sequence[TaskCard]) -> npt.NDArray[np.float64]:
    if isinstance(weights, str):
        if weights != "uniform":
            raise UsageError(f"weights must be 'size', 'uniform', or a number for each dataset, got {weights!r}.")
        return np.ones(len(tasks))
    if isinstance(weights, Mapping):
        return _checked([*_by_name(weights, tasks)], tasks)
    return _checked(weights, tasks)


def _by_name(weights: Mapping[str, float], tasks: Sequence[TaskCard]) -> list[float]:
    twice = [name for name, count in Counter(task.id for task in tasks).items() if count > 1]
    if twice:
        raise UsageError(f"{', '.join(twice)}: is there more than once, so give weights as a list in their order.")
    given = {normalised(str(name)): weight for name, weight in weights.items()}
    known = {normalised(task.id): task.id for task in tasks}
    for name in weights:
        if normalised(str(name)) not in known:
            raise unknown_name("task of these batches", str(name), known.values())
    missing = [task.id for task in tasks if normalised(task.id) not in given]
    if missing:
        raise problems_error(UsageError, "each task needs a weight; there is none of:", missing)
    return [given[normalised(task.id)] for task in tasks]


def _checked(weights: Sequence[float], tasks: Sequence[TaskCard]) -> npt.NDArray[np.float64]:
    try:
        checked = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"weights must be numbers, got {weights!r}.") from None
    if checked.shape != (len(tasks),):
        raise UsageError(f"there are {len(tasks)} datasets, so there must be as many weights; got {weights!r}.")
    bad = [
        f"{task.id}: {weight}"
        for task, weight in zip(tasks, checked.tolist(), strict=True)
        if not (np.isfinite(weight) and weight > 0)
    ]
    if bad:
        raise problems_error(
            UsageError, "weights must be positive and finite:", bad, "Leave out a dataset that is not wanted."
        )
    return checked
