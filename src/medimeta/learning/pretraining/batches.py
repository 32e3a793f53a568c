"""What pre-training sees at a step: images with the labels of their tasks, or episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import distributed

from medimeta.catalogue.schema import TaskCard
from medimeta.learning.maml import episode_card
from medimeta.learning.pretraining.config import PretrainConfig
from medimeta.learning.pretraining.sources import Sources
from medimeta.loading.ahead import Job, ReadAhead
from medimeta.loading.dataset import TaskDataset, as_tensor
from medimeta.loading.episodes import Episodes
from medimeta.loading.loader import loader
from medimeta.loading.mixing import MixedBatch, MixedBatches
from medimeta.loading.order import Shard, chance

THREADS, AHEAD = 2, 4  # of reading episodes
ORDER, VARIED = 3, 4  # numbers of the streams of chance; those below are taken by batches

TaskBatch = tuple[torch.Tensor, dict[str, torch.Tensor]]
"""Images as uint8 or augmented, ``(B, 3, S, S)``, and labels as stored, by task id."""


class TaskBatches:
    """Batches of many tasks, one task a batch; or of one dataset, with the labels of all its tasks.

    Parameters
    ----------
    sources : Sources
        What to read.
    config : PretrainConfig
        How.
    split : {"train", "val"}
        Training batches are augmented, and come in a new order each epoch.
    device : torch.device
        Where they go.
    epoch : callable
        Tells the epoch that a pass is.
    """

    def __init__(
        self,
        sources: Sources,
        config: PretrainConfig,
        split: Literal["train", "val"],
        device: torch.device,
        epoch: Callable[[], int] = lambda: 0,
    ) -> None:
        training = split == "train"
        datasets = [pair[0 if training else 1] for pair in sources.pairs]
        self._tasks = sources.tasks
        self._training = training
        self._epoch = epoch
        options: dict[str, Any] = {
            "device": device,
            "normalize": None,
            "rgb": True,
            "augment": config.augmentation if training else None,
            "even": training,
        }
        self._batches: Any
        if sources.shared:
            self._batches = loader(datasets[0], config.batch_size, training, config.seed, **options)
        else:
            endless = training and config.steps_per_epoch is not None
            length = config.steps_per_epoch if endless else None
            weights = config.sampling if training else "size"
            self._batches = MixedBatches(
                datasets, config.batch_size, config.seed, weights, endless=endless, length=length, **options
            )

    def __len__(self) -> int:
        return len(self._batches) if self._training else max(1, len(self._batches))

    def __iter__(self) -> Iterator[TaskBatch | tuple[()]]:
        self._batches.set_epoch(self._epoch())
        for batch in self._batches:
            yield batch[0], self._labels(batch)
        if len(self) > len(self._batches):
            yield ()  # a rank that has nothing to validate would wait for the others in another place than they for it

    def _labels(self, batch: Any) -> dict[str, torch.Tensor]:
        if isinstance(batch, MixedBatch):
            return {batch.task.id: batch.labels}  # type: ignore[dict-item]  # each dataset has one task
        labels = batch[1]
        return {task.id: labels[task.name] if isinstance(labels, dict) else labels for task in self._tasks}


@dataclass(frozen=True, eq=False)
class EpisodeBatch:
    """The images of an episode.

    Attributes
    ----------
    task : TaskCard
        What it asks; see `medimeta.learning.maml.episode_card`.
    support, query : tensor of uint8, or of float where they were varied, shape (B, C, S, S)
        Images with values 0 to 255.
    support_labels, query_labels : tensor of int64, shape (B,) or (B, L)
        As the episode counts them.
    """

    task: TaskCard
    support: torch.Tensor
    support_labels: torch.Tensor
    query: torch.Tensor
    query_labels: torch.Tensor

    def to(self, device: torch.device) -> EpisodeBatch:
        """Return the same on a device."""
        names = ("support", "support_labels", "query", "query_labels")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


class EpisodeBatches:
    """Episodes of many tasks, read ahead, a few at a time.

    An epoch has the next so many episodes of each task, in an order drawn for it. Ranks share them out.

    Parameters
    ----------
    episodes : sequence of Episodes
        One sequence for each task.
    config : PretrainConfig
        How many, how many at a time, and how they are varied.
    device : torch.device
        Where they go.
    epoch : callable, optional
        Tells the epoch that a pass is. Without it a pass has all episodes, in order, one at a time, and not varied.
    """

    def __init__(
        self,
        episodes: Sequence[Episodes],
        config: PretrainConfig,
        device: torch.device,
        epoch: Callable[[], int] | None = None,
    ) -> None:
        self._episodes = episodes
        self._config = config
        self._device = device
        self._epoch = epoch
        ranks = distributed.is_available() and distributed.is_initialized()
        rank, world = (distributed.get_rank(), distributed.get_world_size()) if ranks else (0, 1)
        self._shard = Shard(rank, world, even=epoch is not None)

    def __len__(self) -> int:
        found = self._shard.count(-(-len(self._numbers()) // self._at_once))
        return found if self._shard.even else max(1, found)  # nothing to validate is an empty list, see TaskBatches

    def __iter__(self) -> Iterator[list[EpisodeBatch]]:
        numbers = self._numbers()
        if self._epoch is not None:
            order = chance(self._config.seed, self._epoch(), ORDER).permutation(len(numbers))
            numbers = [numbers[place] for place in order]
        starts = (self._shard.number(position) * self._at_once for position in range(len(self)))
        mine = [numbers[start : start + self._at_once] for start in starts]
        with ReadAhead(map(self._job, mine), THREADS, AHEAD) as read:
            for boxes in read:
                yield [self._varied(box[0], *number) for number, box in boxes]

    @property
    def _at_once(self) -> int:
        return 1 if self._epoch is None else self._config.meta_batch_size

    def _numbers(self) -> list[tuple[int, int]]:
        """Return the task and the number of every episode of the epoch."""
        if self._epoch is None:
            return [(task, number) for task, episodes in enumerate(self._episodes) for number in range(len(episodes))]
        first = self._epoch() * self._config.episodes_per_epoch
        last = min(first + self._config.episodes_per_epoch, self._config.episodes)
        return [(task, number) for task in range(len(self._episodes)) for number in range(first, last)]

    def _job(self, numbers: Sequence[tuple[int, int]]) -> Job[list[tuple[tuple[int, int], list[EpisodeBatch]]]]:
        boxes: list[tuple[tuple[int, int], list[EpisodeBatch]]] = [(number, []) for number in numbers]
        return Job(boxes, [partial(self._read, *number, box) for number, box in boxes])

    def _read(self, task: int, number: int, box: list[EpisodeBatch]) -> None:
        episode = self._episodes[task][number]
        card = self._episodes[task].task
        box.append(
            EpisodeBatch(
                episode_card(card, episode.classes),
                _images(episode.dataset, episode.support),
                torch.from_numpy(episode.support_labels()),
                _images(episode.dataset, episode.query),
                torch.from_numpy(episode.query_labels()),
            )
        )

    def _varied(self, episode: EpisodeBatch, task: int, number: int) -> EpisodeBatch:
        episode = episode.to(self._device)
        if self._epoch is None:
            return episode
        rng = chance(self._config.seed, 0, VARIED, task, number)
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        with torch.autocast(self._device.type, enabled=False):
            support = self._config.augmentation(episode.support, generator)
            return replace(episode, support=support, query=self._config.augmentation(episode.query, generator))


def _images(dataset: TaskDataset, places: np.ndarray) -> torch.Tensor:
    return as_tensor(dataset.stored.images.read(dataset.indices[places]))
