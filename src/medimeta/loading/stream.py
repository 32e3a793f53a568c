"""Streams of batches: what `medimeta.loader` and `medimeta.MixedBatches` have in common.

An order says which samples make which batch; threads read ahead; the consumer's thread sends a batch to its device,
augments and normalises it there. The place in an epoch can be saved and taken up again.
"""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count, pairwise
from typing import Any, TypeVar

import torch
from torch.utils.data import IterableDataset, get_worker_info

from medimeta._numbers import Bounds, whole_number
from medimeta._processors import usable_processors
from medimeta.errors import UsageError, problems_error
from medimeta.loading.ahead import Job, ReadAhead
from medimeta.loading.dataset import TaskDataset
from medimeta.loading.normalize import Normalize
from medimeta.loading.options import Options
from medimeta.loading.order import Order, Shard, Turn, chance, worker_share
from medimeta.loading.transfer import Transfer

Labels = torch.Tensor | dict[str, torch.Tensor]
Loaded = tuple[Turn, torch.Tensor]
B = TypeVar("B")

PLACE = Bounds(0, 2**63 - 1)  # of epochs, and of batches in one
MOST_THREADS = 4  # more read no faster from memory
MIN_BYTES_A_PART = 1 << 20  # below, handing work to a thread costs more than the copy
AUGMENTATION = 1  # number of the stream of chance; 0 is the order's


@dataclass
class Progress:
    """A place in the stream: an epoch, and how many of this rank's batches of it were delivered."""

    epoch: int = 0
    position: int = 0
    ended: bool = False


class BatchStream(IterableDataset[B]):
    """Iterates over batches; each pass is the next epoch, and passes at the same time do not disturb each other.

    ``torch.utils.data.DataLoader(stream, batch_size=None, num_workers=2)`` shares the batches out to its workers, in
    the same order as without.

    Attributes
    ----------
    epoch : int
        The epoch that the next pass will be.
    shard : Shard
        The share of this rank.
    """

    def __init__(self, datasets: Sequence[TaskDataset], options: Options) -> None:
        for dataset in datasets:
            _check_dataset(dataset)
        self.options = options
        self._datasets = tuple(datasets)
        self.shard = options.shard()
        most_bytes = max(
            min(options.batch_size, len(dataset)) * math.prod(dataset.stored.info.image_shape) for dataset in datasets
        )
        self._transfer = Transfer(options.device, most_bytes)
        self._channels = [
            (dataset.stored.info.channels, 3 if options.rgb else dataset.channels) for dataset in datasets
        ]
        self._normalize = self._normalisations()
        self._next = Progress()
        self._latest: Progress | None = None

    @abstractmethod
    def _order(self, epoch: int) -> Order:
        """Return the batches of an epoch."""

    @abstractmethod
    def _batch(self, turn: Turn, images: torch.Tensor, labels: Labels) -> B:
        """Return what a pass yields."""

    @abstractmethod
    def _total(self) -> int | None:
        """Return the number of batches of any epoch over all ranks; None where there is no end."""

    @property
    def epoch(self) -> int:
        """The epoch that the next pass will be."""
        return self._next.epoch

    def __len__(self) -> int:
        total = self._total()
        if total is None:
            raise TypeError("these batches have no end, and so no length; give length=...")
        return self.shard.count(total)

    def __iter__(self) -> Iterator[B]:
        worker = get_worker_info()
        if worker is None and self.options.shard() != self.shard:
            raise UsageError(
                "torch.distributed was initialised, or left, after these batches were made, so that they are not "
                "sharded as they should be: make them afterwards, or give rank and world_size."
            )
        if worker is not None and self._transfer.cuda:
            raise UsageError("workers of a DataLoader cannot send to a GPU: leave out device, or the workers.")
        return self._begin()

    def _begin(self) -> Iterator[B]:
        """Begin a pass with its first batch: trainers also call ``iter`` to see whether it can be called."""
        progress = self._next
        self._latest, self._next = progress, Progress(progress.epoch + 1)
        yield from self._pass(progress)

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be this epoch; as with PyTorch's samplers, each rank and worker must be told the same.

        After `load_state_dict`, naming the epoch of the state keeps the place in it. Workers of a DataLoader that do
        not persist begin each pass with the epoch that is set here.
        """
        epoch = whole_number("epoch", epoch, PLACE)
        if self._latest is not None or epoch != self._next.epoch:
            self._next = Progress(epoch)
        self._latest = None

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the pass begun last, as numbers and text that JSON and pickle can hold.

        Batches count once they were delivered; those that were only read ahead are read again. After the end of a
        pass it is the beginning of the next. All ranks are at the same place, so one rank's state serves all.
        Where a DataLoader has workers, the place is theirs; its own state cannot tell it.
        """
        running = self._latest is not None and not self._latest.ended
        progress = self._latest if running and self._latest is not None else self._next
        return {"epoch": progress.epoch, "position": progress.position, "made_for": self._identity()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass be the rest of the one whose state this is.

        Raises
        ------
        UsageError
            It is no state, or one of other data or settings; every difference is named.
        """
        identity = self._identity()
        made_for = state.get("made_for") if isinstance(state, Mapping) else None
        if not isinstance(made_for, Mapping) or not {"epoch", "position"} <= state.keys():
            raise UsageError(f"this is no state of batches, which state_dict() gives: {str(state)[:80]!r}.")
        problems = [
            f"{name}: the state has {made_for.get(name)!r}, these batches have {identity.get(name)!r}"
            for name in dict.fromkeys([*identity, *made_for])
            if made_for.get(name) != identity.get(name)
        ]
        if problems:
            raise problems_error(
                UsageError, "the state is of other batches:", problems, "Make them as they were made then."
            )
        epoch, position = (whole_number(name, state[name], PLACE) for name in ("epoch", "position"))
        total = self._total()
        if total is not None and position > self._furthest(total):
            raise UsageError(f"the state is at batch {position}, but there are {self.shard.count(total)} in an epoch.")
        self._next, self._latest = Progress(epoch, position), None

    def _furthest(self, total: int) -> int:
        """Return the last place of any state: rank 0 may have a batch more, and workers take several at a time."""
        return Shard(0, self.shard.world_size, self.shard.even).count(total) + worker_share()[1] - 1

    def _pass(self, progress: Progress) -> Iterator[B]:
        order = self._order(progress.epoch)
        worker, workers = worker_share()
        positions: Iterator[int] = count(progress.position + worker, workers)
        if order.total is not None:
            positions = iter(range(progress.position + worker, self.shard.count(order.total), workers))
        jobs = (self._job(order.turn(self.shard.number(position))) for position in positions)
        deliver = partial(self._deliver, progress, workers)
        with ReadAhead(jobs, self._threads, self.options.prefetch) as loaded:
            yield from map(deliver, loaded)  # map holds no batch while the next is read
        progress.ended = True

    @property
    def _threads(self) -> int:
        if self.options.threads is not None:
            return self.options.threads
        return 1 if get_worker_info() is not None else min(MOST_THREADS, usable_processors())

    def _job(self, turn: Turn) -> Job[Loaded]:
        stored = self._datasets[turn.member].stored
        memory = self._transfer.memory((len(turn.places), *stored.info.image_shape))
        indices, out = self._datasets[turn.member].indices[turn.places], memory.numpy()
        parts = max(1, min(self._threads, out.nbytes // MIN_BYTES_A_PART))
        stops = [len(indices) * part // parts for part in range(parts + 1)]
        return Job(
            (turn, memory),
            [
                partial(stored.images.read, indices[start:stop], out[start:stop], threads=1)
                for start, stop in pairwise(stops)
            ],
        )

    def _deliver(self, progress: Progress, step: int, loaded: Loaded) -> B:
        turn, memory = loaded
        images = memory.unsqueeze(1) if memory.ndim == 3 else memory.permute(0, 3, 1, 2)
        images = self._transfer.send(images)
        if self.options.augment is not None:
            images = self._augmented(images, self._generator(progress.epoch, turn.number))
        if self._normalize:
            images = self._normalize[self._channels[turn.member]](images)
        else:
            images = images.expand(-1, self._channels[turn.member][1], -1, -1)
        batch = self._batch(turn, images, self._labels(turn))
        progress.position += step
        return batch

    def _generator(self, epoch: int, number: int) -> torch.Generator:
        rng = chance(self.options.seed, epoch, AUGMENTATION, number)
        return torch.Generator().manual_seed(int(rng.integers(2**63)))

    def _augmented(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        varied = self.options.augment(images, generator)  # type: ignore[misc]
        if not isinstance(varied, torch.Tensor) or varied.ndim != 4 or varied.shape[:2] != images.shape[:2]:
            found = tuple(varied.shape) if isinstance(varied, torch.Tensor) else type(varied).__name__
            raise UsageError(
                f"augment must return a tensor of as many images and channels as it was given, "
                f"{tuple(images.shape[:2])}, but returned {found}."
            )
        return varied

    def _labels(self, turn: Turn) -> Labels:
        labels = self._datasets[turn.member].labels
        if isinstance(labels, dict):
            return {name: self._transfer.send_labels(values[turn.places]) for name, values in labels.items()}
        return self._transfer.send_labels(labels[turn.places])

    def _normalisations(self) -> dict[tuple[int, int], Normalize]:
        """Return one normalisation for each pair of channels; datasets share it, and with it its memory."""
        if self.options.normalize is None:
            return {}
        rules = {}
        for stored, given in set(self._channels):
            rule = Normalize(self.options.normalize, channels=stored, rgb=given == 3)
            rules[stored, given] = rule.to(self._transfer.device)
        return rules

    def _identity(self) -> dict[str, Any]:
        """Return what decides about the batches, so that a state is not taken up with others."""
        return {
            "batches": type(self).__name__,
            "datasets": [_name(dataset) for dataset in self._datasets],
            "data": self._digest,
            "batch_size": self.options.batch_size,
            "seed": self.options.seed,
            "drop_last": self.options.drop_last,
            "world_size": self.shard.world_size,
            "even": self.shard.even,
        }

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for dataset in self._datasets:
            digest.update(f"{dataset.stored.fingerprint()} {len(dataset)} ".encode())
            digest.update(dataset.indices.astype("<i8").tobytes())
        return digest.hexdigest()


def _name(dataset: TaskDataset) -> str:
    return dataset.stored.info.id if dataset.task is None else dataset.task.id


def _check_dataset(dataset: object) -> None:
    if not isinstance(dataset, TaskDataset):
        raise UsageError(f"batches are made of datasets from medimeta.load, got {type(dataset).__name__}.")
    if dataset.transform is not None:
        raise UsageError(
            f"{_name(dataset)}: has a transform for single images, which batches do not run. Load it without, and "
            f"give augment=...; or use torch.utils.data.DataLoader."
        )
    if dataset.pil:
        raise UsageError(
            f"{_name(dataset)}: gives single images as PIL.Image, but batches are tensors. Load it without pil=True; "
            f"or use torch.utils.data.DataLoader with a collate_fn."
        )
