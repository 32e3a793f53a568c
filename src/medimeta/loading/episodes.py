"""Few-shot episodes: small support and query sets, each of which depends on the seed and its number alone."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.errors import UsageError, bullet_list
from medimeta.loading.dataset import TaskDataset

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Episode:
    """A support set to learn from and a query set to be tested on; no sample is in both.

    Attributes
    ----------
    dataset : TaskDataset
        Where the samples are.
    support, query : ndarray of int64
        Places of the samples in the dataset.
    classes : tuple of str
        The labels of the episode: those of all ways, or, multi-label, all of the task.
    """

    dataset: TaskDataset
    support: Indices
    query: Indices
    classes: tuple[str, ...]

    def support_set(self) -> list[tuple[Any, Any]]:
        """Read the support set: images with labels, as the dataset gives them."""
        return self.dataset.__getitems__(self.support.tolist())

    def query_set(self) -> list[tuple[Any, Any]]:
        """Read the query set."""
        return self.dataset.__getitems__(self.query.tolist())


class Episodes(Sequence[Episode]):
    """A sequence of episodes of one task.

    Multi-class, binary and ordinal tasks: `shots` and `queries` images of each class, over `ways` classes. Multi-label:
    for each label at least `shots` images that have it and `shots` that have not, picked greedily so that they are few;
    likewise the query set. (Definition: the project's protocol, "Few-shot".)

    Parameters
    ----------
    dataset : TaskDataset
        Images of one task.
    shots, queries : int
        Images a class in the support and the query set.
    ways : int, optional
        Classes of an episode, drawn at random for each; without it all that have enough images. Not for multi-label
        tasks.
    length : int
        How many episodes there are.
    seed : int
        Seed; episode `i` depends on it and on `i` alone.

    Raises
    ------
    UsageError
        The dataset has several tasks, or too few images; each class is named with what it has and needs.

    Examples
    --------
    >>> import medimeta as mm
    >>> ds = mm.load("pbc/cell class", root=getfixture("bus_root"))
    >>> episode = mm.Episodes(ds, shots=2, queries=3, ways=4, seed=0)[7]
    >>> len(episode.classes), len(episode.support), len(episode.query)
    (4, 8, 12)
    """

    def __init__(
        self,
        dataset: TaskDataset,
        shots: int = 5,
        queries: int = 10,
        ways: int | None = None,
        length: int = 100,
        seed: int = 0,
    ) -> None:
        if dataset.task is None:
            raise UsageError("episodes are of one task: load the dataset with one, as 'dataset/task'.")
        for name, value in (("shots", shots), ("queries", queries), ("length", length)):
            if value < 1:
                raise UsageError(f"{name} must be at least 1, got {value}.")
        self.dataset = dataset
        self.task: TaskCard = dataset.task
        self.shots, self.queries, self.length, self.seed = shots, queries, length, seed
        self._labels = dataset.class_indices()
        self._multilabel = self.task.target is TaskTarget.MULTILABEL
        self._pools = [] if self._multilabel else self._class_pools(shots + queries)
        self.ways = self._checked_ways(ways)

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        return f"Episodes({self.task.id!r}, shots={self.shots}, queries={self.queries}, length={self.length})"

    def __getitem__(self, index: int) -> Episode:  # type: ignore[override]
        number = operator.index(index)
        if not -self.length <= number < self.length:
            raise IndexError(f"episode {number} is out of range; there are {self.length}")
        rng = np.random.default_rng([self.seed, number % self.length])
        if self._multilabel:
            support = self._cover(rng, self.shots, np.empty(0, np.int64))
            query = self._cover(rng, self.queries, support)
            return Episode(self.dataset, support, query, self.task.classes)
        chosen = np.sort(rng.choice(len(self._pools), self.ways, replace=False))
        picked = [self._pools[way][1] for way in chosen]
        drawn = [pool[rng.choice(len(pool), self.shots + self.queries, replace=False)] for pool in picked]
        return Episode(
            self.dataset,
            np.concatenate([places[: self.shots] for places in drawn]),
            np.concatenate([places[self.shots :] for places in drawn]),
            tuple(self._pools[way][0] for way in chosen),
        )

    def _class_pools(self, need: int) -> list[tuple[str, Indices]]:
        pools = [(name, np.flatnonzero(self._labels == index)) for index, name in enumerate(self.task.classes)]
        enough = [(name, pool) for name, pool in pools if len(pool) >= need]
        if len(enough) < 2:
            poor = [f"{name}: has {len(pool)} images, needs {need}" for name, pool in pools if len(pool) < need]
            raise UsageError(
                f"{self.task.id}: too few images for episodes of {self.shots} shots and {self.queries} queries:\n"
                f"{bullet_list(poor)}"
            )
        return enough

    def _checked_ways(self, ways: int | None) -> int:
        if self._multilabel:
            if ways is not None:
                raise UsageError(f"{self.task.id} is multi-label: its episodes cover all labels, and have no ways.")
            self._check_cover()
            return len(self.task.labels)
        if ways is None:
            return len(self._pools)
        if not 2 <= ways <= len(self._pools):
            raise UsageError(
                f"{self.task.id}: ways must be 2 to {len(self._pools)}, the classes with enough images; got {ways}."
            )
        return ways

    def _check_cover(self) -> None:
        need = self.shots + self.queries
        have = self._labels.sum(axis=0)
        poor = [
            f"{name}: has {positive} images with it and {len(self._labels) - positive} without, needs {need} of each"
            for name, positive in zip(self.task.classes, have.tolist(), strict=True)
            if min(positive, len(self._labels) - positive) < need
        ]
        if poor:
            raise UsageError(
                f"{self.task.id}: too few images for episodes of {self.shots} shots and {self.queries} queries:\n"
                f"{bullet_list(poor)}"
            )

    def _cover(self, rng: np.random.Generator, need: int, taken: Indices) -> Indices:
        """Pick images until every label is there, and absent, `need` times: always one that serves most open needs."""
        labels = self._labels
        free = np.ones(len(labels), bool)
        free[taken] = False
        order = rng.permutation(len(labels))  # ties go to the first in random order
        present, absent = np.full(labels.shape[1], need), np.full(labels.shape[1], need)
        picked: list[int] = []
        while (present > 0).any() or (absent > 0).any():
            # What is rare counts first: a label that few images have cannot wait until they are taken for others.
            rarity = 1 / np.maximum(labels[free].sum(axis=0), 1)
            worth = labels @ ((present > 0) * (1 + rarity)) + (1 - labels) @ ((absent > 0) / labels.shape[1])
            best = order[np.argmax(np.where(free, worth, -1)[order])]
            if not free[best]:
                raise UsageError(f"{self.task.id}: too few images that have several labels apart; ask for fewer shots.")
            free[best] = False
            present -= labels[best]
            absent -= 1 - labels[best]
            picked.append(int(best))
        return np.array(picked, dtype=np.int64)
