"""A task, or all tasks of a dataset, as a PyTorch dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.errors import UsageError
from medimeta.store.reader import StoredDataset, resolve_task
from medimeta.store.table import LabelArray, class_indices

Label = int | torch.Tensor | dict[str, "int | torch.Tensor"]
Transform = Callable[[torch.Tensor], Any]


class ClassCount(NamedTuple):
    """How many samples have a label, and how many have not."""

    positive: int
    negative: int


class TaskDataset(Dataset[tuple[Any, Label]]):
    """Images with the labels of one task, or of all tasks, of a stored dataset.

    Parameters
    ----------
    stored : StoredDataset
        The dataset on disk.
    task : TaskCard, optional
        The task; without it labels are dicts of every task.
    split : sequence of str, optional
        Splits to take; without it all samples.
    transform : callable, optional
        Applied to each image, a uint8 tensor ``(C, S, S)``.

    Attributes
    ----------
    indices : ndarray of int64, shape (n,)
        Index of each sample in the stored dataset, ascending.
    labels : ndarray of int64, or dict of str to ndarray
        Labels as stored: shape ``(n,)``, or ``(n, L)`` of 0 and 1 for multi-label tasks. Ordinal labels are the
        original grades; `class_indices` counts them from 0.
    """

    def __init__(
        self,
        stored: StoredDataset,
        task: TaskCard | None = None,
        split: Sequence[str] | None = None,
        transform: Transform | None = None,
    ) -> None:
        self.stored = stored
        self.task = task
        self.splits = None if split is None else tuple(split)
        self.transform = transform
        self.indices: npt.NDArray[np.int64] = (
            np.arange(len(stored)) if self.splits is None else stored.split(*self.splits)
        )
        self._labels = {card.name: stored.labels(card)[self.indices] for card in self.tasks}

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        name = self.task.id if self.task else self.stored.info.id
        return f"TaskDataset({name!r}, split={self.splits}, samples={len(self)})"

    @property
    def tasks(self) -> tuple[TaskCard, ...]:
        """The task, or all tasks of the dataset."""
        return (self.task,) if self.task is not None else self.stored.info.tasks

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return self.stored.info.channels

    @property
    def labels(self) -> LabelArray | dict[str, LabelArray]:
        """The labels of the samples, by task name where there is no single task."""
        return self._labels if self.task is None else self._labels[self.task.name]

    def class_indices(self, task: TaskCard | None = None) -> LabelArray:
        """Return labels counted from 0 in ascending order of their stored integers; multi-label rows stay as they are.

        Raises
        ------
        UsageError
            There are several tasks, and none is named.
        """
        card = task or self.task
        if card is None:
            raise UsageError("this dataset has several tasks: name one of ds.tasks.")
        return class_indices(card, self._labels[card.name])

    def class_counts(self, task: TaskCard | None = None) -> dict[str, ClassCount]:
        """Count, for every label, the samples that have it and those that have not; right for all four kinds.

        Examples
        --------
        >>> import medimeta as mm
        >>> counts = mm.load("bus/malignancy", root=getfixture("bus_root")).class_counts()
        >>> counts["malignant finding"].positive == counts["no malignant finding"].negative
        True
        """
        card = task or self.task
        if card is None:
            raise UsageError("this dataset has several tasks: name one of ds.tasks.")
        labels = self.class_indices(card)
        if card.target is TaskTarget.MULTILABEL:
            positive = labels.sum(axis=0)
        else:
            positive = np.bincount(labels, minlength=len(card.labels))
        return {
            name: ClassCount(int(count), len(self) - int(count))
            for name, count in zip(card.classes, positive, strict=True)
        }

    def __getitem__(self, index: int) -> tuple[Any, Label]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} is out of range; there are {len(self)}")
        return self.__getitems__([index % len(self)])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, Label]]:
        """Read several samples at once; PyTorch's DataLoader calls this where it is there."""
        places = np.asarray(indices, dtype=np.int64)
        images = as_tensor(self.stored.images.read(self.indices[places]))
        samples: list[tuple[Any, Label]] = []
        for place, image in zip(places.tolist(), images, strict=True):
            label = {card.name: self._label(card, place) for card in self.tasks}
            samples.append(
                (
                    image if self.transform is None else self.transform(image),
                    label if self.task is None else label[self.task.name],
                )
            )
        return samples

    def _label(self, card: TaskCard, place: int) -> int | torch.Tensor:
        label = self._labels[card.name][place]
        return torch.from_numpy(label.copy()) if card.target is TaskTarget.MULTILABEL else int(label)


def as_tensor(images: npt.NDArray[np.uint8]) -> torch.Tensor:
    """View stored images ``(n, S, S[, 3])`` as a tensor ``(n, C, S, S)``; colour comes out as channels_last."""
    tensor = torch.from_numpy(images)
    return tensor.unsqueeze(1) if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)


def load(
    task: str,
    root: str | os.PathLike[str] | None = None,
    split: str | Sequence[str] | None = None,
    transform: Transform | None = None,
) -> TaskDataset:
    """Load a task, or all tasks of a dataset, as a PyTorch dataset.

    Parameters
    ----------
    task : str
        ``dataset/task``, or a dataset alone: then labels are dicts of every task. Spaces, ``_`` and ``-`` are the same
        and case is ignored.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    split : str or sequence of str, optional
        One or several of train, val and test; all samples without it.
    transform : callable, optional
        Applied to each image, a uint8 tensor ``(C, S, S)``.

    Returns
    -------
    TaskDataset
        ``ds[i]`` is ``(image, label)``.

    Raises
    ------
    UnknownNameError
        A dataset, task or split that does not exist; names near it are offered.
    DatasetNotFoundError
        The dataset is not below the root.
    DamagedStoreError
        Its files are not whole.

    Examples
    --------
    >>> ds = load("bus/case category", root=getfixture("bus_root"), split="train")
    >>> image, label = ds[0]
    >>> image.dtype, tuple(image.shape), label
    (torch.uint8, (1, 224, 224), 1)
    """
    stored, card = resolve_task(task, root)
    return TaskDataset(stored, card, [split] if isinstance(split, str) else split, transform)
