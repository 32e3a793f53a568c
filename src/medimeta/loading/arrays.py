"""Images and labels as NumPy arrays, without any learning framework."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medimeta.store.images import Images
from medimeta.store.reader import resolve_task
from medimeta.store.table import LabelArray


class Arrays(NamedTuple):
    """Images and labels of the same samples.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, S, S) or (n, S, S, 3)
        Read-only where it is mapped from the file.
    labels : ndarray of int64, or dict of str to ndarray
        Shape ``(n,)``, or ``(n, L)`` for multi-label tasks; by task name where no task was named.
    """

    images: Images
    labels: LabelArray | dict[str, LabelArray]


def load_arrays(
    task: str, root: str | os.PathLike[str] | None = None, split: str | Sequence[str] | None = None
) -> Arrays:
    """Load a task, or all tasks of a dataset, as NumPy arrays.

    Parameters
    ----------
    task : str
        ``dataset/task``, or a dataset alone for all of its tasks.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    split : str or sequence of str, optional
        One or several of train, val and test. Without it the whole dataset is mapped from the file, not copied.

    Returns
    -------
    Arrays
        Images and labels, in index order.

    Raises
    ------
    UnknownNameError, DatasetNotFoundError, DamagedStoreError
        The name, the dataset or its files are not what they should be.

    Examples
    --------
    >>> images, labels = load_arrays("bus/malignancy", root=getfixture("bus_root"), split="train")
    >>> images.dtype, images.shape[1:], len(labels) == len(images)
    (dtype('uint8'), (224, 224), True)
    """
    stored, card = resolve_task(task, root)
    if split is None:
        indices = np.arange(len(stored))
        images = stored.images.as_memory_map()
    else:
        indices = stored.split(*([split] if isinstance(split, str) else split))
        images = stored.images.read(indices)
    if card is not None:
        return Arrays(images, stored.labels(card)[indices])
    return Arrays(images, {each.name: stored.labels(each)[indices] for each in stored.info.tasks})
