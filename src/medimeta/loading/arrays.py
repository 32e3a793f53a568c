"""Images and labels as NumPy arrays, without any learning framework."""

from __future__ import annotations

import os
from typing import NamedTuple

from medimeta.catalogue.schema import DatasetCard, TaskCard
from medimeta.hub.missing import fetch_missing
from medimeta.loading.selection import Indices, Names, name_of, select, split_names
from medimeta.store.images import ImageBlock, Images
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
    task: str | TaskCard | DatasetCard,
    root: str | os.PathLike[str] | None = None,
    split: Names | None = None,
    *,
    original_split: Names | None = None,
    download: bool = False,
) -> Arrays:
    """Load a task, or all tasks of a dataset, as NumPy arrays.

    Images that lie side by side in the file, such as those of the whole dataset, are mapped and not copied. All others
    are read into memory.

    Parameters
    ----------
    task : str or card
        ``dataset/task``, or a dataset alone for all of its tasks.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    split : str or sequence of str, optional
        One or several of train, val and test; all samples without it.
    original_split : str or sequence of str, optional
        One or several of the splits that the source came with; with `split`, samples that are in both.
    download : bool
        Download the dataset first where it is not below the root; see `medimeta.download`, which says where from.

    Returns
    -------
    Arrays
        Images and labels, in index order.

    Raises
    ------
    UnknownNameError, UsageError, DatasetNotFoundError, DamagedStoreError
        The name, the dataset or its files are not what they should be. See `medimeta.load`.

    Examples
    --------
    >>> images, labels = load_arrays("bus/malignancy", root=getfixture("bus_root"), split="train")
    >>> images.dtype, images.shape[1:], len(labels) == len(images)
    (dtype('uint8'), (224, 224), True)
    """
    if download:
        fetch_missing(name_of(task), root)
    stored, card = resolve_task(name_of(task), root)
    indices = select(stored, split_names("split", split), split_names("original_split", original_split))
    images = _images(stored.images, indices)
    if card is not None:
        return Arrays(images, stored.labels(card)[indices])
    return Arrays(images, {each.name: stored.labels(each)[indices] for each in stored.info.tasks})


def _images(block: ImageBlock, indices: Indices) -> Images:
    """Map images where they are neighbours in one block, and read them elsewhere; `indices` ascend."""
    if len(indices) and indices[-1] - indices[0] + 1 == len(indices) and block.contiguous:
        return block.as_memory_map()[indices[0] : indices[-1] + 1]
    return block.read(indices)
