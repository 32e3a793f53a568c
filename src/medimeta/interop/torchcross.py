"""Tasks as sources for torchcross 0.0.6: its few-shot episodes, batches and models work with what `task_source` gives.

torchcross is imported when it is needed, and is no dependency: ``pip install torchcross==0.0.6``.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from medimeta._optional import require
from medimeta.catalogue.schema import TaskCard
from medimeta.errors import UsageError
from medimeta.interop.items import released_labels, released_pixels
from medimeta.loading.dataset import TaskDataset
from medimeta.store.info import DatasetInfo
from medimeta.store.table import LabelArray


def task_source(dataset: TaskDataset) -> Any:
    """Wrap a task as torchcross's ``TaskSource``, for ``FewShotMetaDataset``, ``BatchedTaskSource`` and its models.

    Parameters
    ----------
    dataset : TaskDataset
        One task, as `medimeta.load` gives it, of any split.

    Returns
    -------
    torchcross.data.TaskSource
        ``source[i]`` is ``(image, label)``. The image is what the dataset's transform makes of it; without a transform
        it is float32 ``(C, S, S)`` from -1 to 1, as the released loader has it. The label is an int64 tensor: a class
        or grade of shape ``()``, binary ``(1,)``, multi-label ``(L,)``. ``source.task_description`` holds the target,
        the classes by their stored integer, the dataset's name with the task's, and the domain.

    Raises
    ------
    MissingDependencyError
        torchcross is not installed.
    UsageError
        The dataset has several tasks.

    Examples
    --------
    >>> import medimeta as mm
    >>> from torchcross.data.metadataset import FewShotMetaDataset  # doctest: +SKIP
    >>> source = task_source(mm.load("bus/malignancy"))  # doctest: +SKIP
    >>> episodes = FewShotMetaDataset(source, n_support_samples_per_class=5)  # doctest: +SKIP
    """
    card = dataset.task
    if card is None:
        raise UsageError("a task source is of one task: load the dataset with one, as 'dataset/task'.")
    items = _Items(dataset, released_labels(card, np.array(dataset.labels)))  # a copy: torchcross makes tensors of it
    description = task_description(dataset.stored.info, card)
    source = require("torchcross.data").WrapTaskSource(
        items,
        description.task_target,
        description.classes,
        label_fn=_labels_of,
        task_identifier=description.task_identifier,
        domain_identifier=description.domain_identifier,
    )
    source.__getitems__ = items.__getitems__  # torch's DataLoader then asks for a whole batch in one read
    return source


def task_description(info: DatasetInfo, card: TaskCard) -> Any:
    """Describe a task as torchcross does, with the identifiers of the released loader.

    Raises
    ------
    MissingDependencyError
        torchcross is not installed.
    """
    data = require("torchcross.data")
    return data.TaskDescription(
        data.TaskTarget[card.target.value],
        classes=dict(card.labels),
        task_identifier=task_identifier(info, card),
        domain_identifier=info.domain,
    )


def task_identifier(info: DatasetInfo, card: TaskCard) -> str:
    """Return the name that the released loader gives a task, such as ``"Breast Ultrasound: malignancy"``."""
    return f"{info.name}: {card.name}"


class _Items(Dataset[tuple[Any, torch.Tensor]]):
    """The samples of a task with labels as torchcross expects them."""

    def __init__(self, dataset: TaskDataset, labels: LabelArray) -> None:
        self.dataset = dataset
        self.labels = labels

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, torch.Tensor]:
        place = operator.index(index)  # torchcross asks with NumPy's integers
        return self._item(place, self.dataset[place][0])

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, torch.Tensor]]:
        samples = self.dataset.__getitems__(indices)
        return [self._item(place, image) for place, (image, _) in zip(indices, samples, strict=True)]

    def _item(self, place: int, image: Any) -> tuple[Any, torch.Tensor]:
        if self.dataset.transform is None and isinstance(image, torch.Tensor):
            image = released_pixels(image.as_subclass(torch.Tensor))
        return image, torch.as_tensor(self.labels[place])


def _labels_of(items: _Items) -> LabelArray:
    return items.labels
