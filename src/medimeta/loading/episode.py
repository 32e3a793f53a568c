"""One episode: which samples support it and which are asked, read as samples or as batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.errors import UsageError
from medimeta.loading.dataset import TaskDataset
from medimeta.store.table import class_indices

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """A support set to learn from and a query set to be tested on; no sample is in both.

    Attributes
    ----------
    dataset : TaskDataset
        Where the samples are.
    support, query : ndarray of int64
        Places of the samples in the dataset; class by class, in the order of `classes`, unless multi-label.
    classes : tuple of str
        The labels of the episode: those of all ways, or, multi-label, all that are asked for.

    Examples
    --------
    >>> import medimeta as mm
    >>> ds = mm.load("pbc/cell class", root=getfixture("bus_root"))
    >>> episode = mm.Episodes(ds, shots=2, queries=1, ways=3)[0]
    >>> images, labels = episode.support_batch()
    >>> tuple(images.shape), labels.tolist()
    ((6, 3, 224, 224), [0, 0, 1, 1, 2, 2])
    """

    dataset: TaskDataset
    support: Indices
    query: Indices
    classes: tuple[str, ...]

    def support_set(self) -> list[tuple[Any, Any]]:
        """Read the support set: images with labels, as the dataset gives them."""
        return self.dataset.__getitems__(self.support.tolist())

    def query_set(self) -> list[tuple[Any, Any]]:
        """Read the query set: images with labels, as the dataset gives them."""
        return self.dataset.__getitems__(self.query.tolist())

    def support_labels(self) -> Indices:
        """Return the labels of the support set as the episode counts them, without reading an image.

        Returns
        -------
        ndarray of int64
            Shape ``(n,)``: 0 to ways - 1, the place of the label in `classes`. Multi-label: 0 and 1 of shape
            ``(n, len(classes))``, a column for each of `classes`.
        """
        return self._labels(self.support)

    def query_labels(self) -> Indices:
        """Return the labels of the query set as the episode counts them; see `support_labels`."""
        return self._labels(self.query)

    def support_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the support set as a batch.

        Returns
        -------
        images : Tensor, shape (n, C, S, S)
            uint8, or what the dataset's transform makes of it.
        labels : Tensor of int64
            As the episode counts them; see `support_labels`.

        Raises
        ------
        UsageError
            The dataset's transform gives no tensors of one shape.
        """
        return self._batch(self.support)

    def query_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the query set as a batch; see `support_batch`."""
        return self._batch(self.query)

    def _labels(self, places: Indices) -> Indices:
        card = self.dataset.task
        stored = self.dataset.labels
        if card is None or isinstance(stored, dict):
            raise UsageError("an episode is of one task: its dataset has several.")
        return episode_labels(card, stored[places], self.classes)

    def _batch(self, places: Indices) -> tuple[torch.Tensor, torch.Tensor]:
        images = [image for image, _ in self.dataset.__getitems__(places.tolist())]
        if len({image.shape if isinstance(image, torch.Tensor) else None for image in images} | {None}) != 2:
            raise UsageError(
                "a batch takes tensors of one shape, and the dataset's transform gives others. Use support_set() and "
                "query_set(), or change the transform."
            )
        return torch.stack(images), torch.from_numpy(self._labels(places))


def episode_labels(task: TaskCard, stored: Indices, classes: tuple[str, ...]) -> Indices:
    """Count stored labels as an episode of these classes does.

    Examples
    --------
    >>> import medimeta as mm
    >>> task = mm.task("dr_regular/Clarity")
    >>> episode_labels(task, np.array([8, 1, 8]), (task.labels[1], task.labels[8]))
    array([1, 0, 1])
    """
    columns = [task.classes.index(name) for name in classes]
    if task.target is TaskTarget.MULTILABEL:
        return stored[:, columns]
    place = np.full(len(task.classes), -1, dtype=np.int64)
    place[columns] = np.arange(len(columns))
    return place[class_indices(task, stored)]
