"""A task, or all tasks of a dataset, as a PyTorch dataset."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from medimeta.catalogue.schema import DatasetCard, TaskCard, TaskTarget
from medimeta.errors import ChangedStoreError, UsageError
from medimeta.hub.missing import fetch_missing
from medimeta.loading import balance
from medimeta.loading.annotations import Columns, read_columns
from medimeta.loading.balance import ClassCount as ClassCount
from medimeta.loading.masks import Masks
from medimeta.loading.pixels import as_pil
from medimeta.loading.pixels import as_tensor as as_tensor
from medimeta.loading.selection import Names, check_place, check_places, check_subset, name_of, select, split_names
from medimeta.loading.stacking import PixelByPixel
from medimeta.store.reader import StoredDataset, resolve_task
from medimeta.store.table import LabelArray, class_indices

Label = int | torch.Tensor | dict[str, "int | torch.Tensor"]
Transform = Callable[[Any], Any]


class TaskDataset(Dataset[tuple[Any, Label]]):
    """Images with the labels of one task, or of all tasks, of a stored dataset.

    ``ds[i]`` is ``(image, label)``. The image is a uint8 tensor ``(C, S, S)``, or what the transform makes of it. The
    label is an int, for multi-label tasks an int64 tensor ``(L,)`` of 0 and 1, and for all tasks a dict of them.

    It pickles as paths: labels are read again where it arrives, and refused if they are others by then.

    Parameters
    ----------
    stored : StoredDataset
        The dataset on disk.
    task : TaskCard, optional
        The task; without it labels are dicts of every task.
    split : str or sequence of str, optional
        Splits to take; without it all samples.
    transform : callable, optional
        Applied to each image: a uint8 tensor ``(C, S, S)``, or with `pil` a `PIL.Image.Image`.
    original_split : str or sequence of str, optional
        The source's own splits to take; with `split`, samples that are in both.
    rgb : bool
        Give grey images three equal channels.
    pil : bool
        Give images as `PIL.Image.Image`, mode L or RGB.

    Attributes
    ----------
    indices : ndarray of int64, shape (n,)
        Index of each sample in the stored dataset, each once; ascending, but for a subset in another order. Read-only.
    labels : ndarray of int64, or dict of str to ndarray
        Labels as stored: shape ``(n,)``, or ``(n, L)`` of 0 and 1 for multi-label tasks. Ordinal labels are the
        original grades; `class_indices` counts them from 0. Read-only.
    splits, original_splits : tuple of str, or None
        What was selected.
    """

    def __init__(
        self,
        stored: StoredDataset,
        task: TaskCard | None = None,
        split: Names | None = None,
        transform: Transform | None = None,
        *,
        original_split: Names | None = None,
        rgb: bool = False,
        pil: bool = False,
    ) -> None:
        self.stored = stored
        self.task = task
        self.splits = split_names("split", split)
        self.original_splits = split_names("original_split", original_split)
        self.transform = transform
        self.rgb = rgb
        self.pil = pil
        self._subset = False
        self._choose(select(stored, self.splits, self.original_splits))

    def _choose(self, indices: npt.NDArray[np.int64]) -> None:
        self.indices = _read_only(indices)
        self._labels = {card.name: _read_only(self.stored.labels(card)[indices]) for card in self.tasks}

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        name = self.task.id if self.task else self.stored.info.id
        original = "" if self.original_splits is None else f", original_split={self.original_splits}"
        return f"TaskDataset({name!r}, split={self.splits}{original}, samples={len(self)})"

    @property
    def tasks(self) -> tuple[TaskCard, ...]:
        """The task, or all tasks of the dataset."""
        return (self.task,) if self.task is not None else self.stored.info.tasks

    @property
    def channels(self) -> int:
        """Channels of the images given: 1 for grey, 3 for colour and with `rgb`."""
        return 3 if self.rgb else self.stored.info.channels

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of an image before any transform, ``(C, S, S)``."""
        return self.channels, self.stored.info.size, self.stored.info.size

    @property
    def labels(self) -> LabelArray | dict[str, LabelArray]:
        """The labels of the samples, by task name where there is no single task."""
        return dict(self._labels) if self.task is None else self._labels[self.task.name]

    def class_indices(self, task: TaskCard | str | None = None) -> LabelArray:
        """Return labels counted from 0 in ascending order of their stored integers; multi-label rows stay as they are.

        Parameters
        ----------
        task : TaskCard or str, optional
            One of the tasks; needed where there are several.

        Returns
        -------
        ndarray of int64, shape (n,) or (n, L)

        Raises
        ------
        UsageError, UnknownNameError
            There are several tasks, and none is named; or there is no such task.
        """
        card = self._card(task)
        return class_indices(card, self._labels[card.name])

    def class_counts(self, task: TaskCard | str | None = None) -> dict[str, ClassCount]:
        """Count, for every label, the samples that have it and those that have not; right for all four kinds.

        Parameters and errors are those of `class_indices`.

        Examples
        --------
        >>> import medimeta as mm
        >>> counts = mm.load("bus/malignancy", root=getfixture("bus_root")).class_counts()
        >>> counts["malignant finding"].positive == counts["no malignant finding"].negative
        True
        """
        card = self._card(task)
        return balance.class_counts(card, self._labels[card.name])

    def class_weights(self, task: TaskCard | str | None = None) -> torch.Tensor:
        """Weigh labels by the inverse of how often they occur, for a loss.

        Parameters and errors are those of `class_indices`.

        Returns
        -------
        tensor of float32
            Multi-class and ordinal, shape ``(K,)``: ``n / (K n_k)``, the `weight` of `torch.nn.CrossEntropyLoss`.
            Binary, shape ``(1,)``, and multi-label, shape ``(L,)``: negatives / positives, the `pos_weight` of
            `torch.nn.BCEWithLogitsLoss`. `medimeta.loading.balance.class_weights` says where the formulas are from,
            and what absent classes get.

        Examples
        --------
        >>> import medimeta as mm
        >>> mm.load("bus/malignancy", root=getfixture("bus_root")).class_weights()  # 10 of 30 are malignant
        tensor([2.])
        """
        card = self._card(task)
        return torch.from_numpy(balance.class_weights(card, self._labels[card.name]))

    def subjects(self) -> npt.NDArray[np.int64] | None:
        """Return a number for the subject of each sample, shape ``(n,)``; None where the source names no subjects."""
        codes = self.stored.subjects()
        return None if codes is None else codes[self.indices]

    def annotations(self) -> Columns:
        """Read the columns of ``annotations.csv``: a dict of column to the cells of all samples, as text.

        Raises
        ------
        DamagedStoreError
            The table is missing, or its rows are not the samples.

        Examples
        --------
        >>> import medimeta as mm
        >>> columns = mm.load("bus/malignancy", root=getfixture("bus_root"), split="test").annotations()
        >>> set(columns["split"]), columns["original_image_size"][0]
        ({'test'}, '300x330')
        """
        return read_columns(self.stored, self.indices)

    @cached_property
    def masks(self) -> Masks:
        """The masks of the samples: ``ds.masks[i]`` is a dict of kind to uint8 array ``(S, S)``.

        Raises
        ------
        UsageError
            The dataset has no masks.
        """
        return Masks(self.stored, self.indices)

    def subset(self, places: Sequence[int] | npt.NDArray[Any] | torch.Tensor) -> TaskDataset:
        """Return a dataset of some of the samples, in the order given.

        Parameters
        ----------
        places : sequence of int, or of bool with one value a sample
            Places in this dataset, each once, or a mask.

        Returns
        -------
        TaskDataset
            With the same task and transform. It may be empty.

        Raises
        ------
        SampleIndexError, UsageError
            There is no such sample, one comes twice, or the mask is of another length.

        Examples
        --------
        >>> import medimeta as mm
        >>> ds = mm.load("bus/malignancy", root=getfixture("bus_root"))
        >>> malignant = ds.subset(ds.labels == 1)
        >>> len(ds), len(malignant), set(malignant.labels.tolist())
        (30, 10, {1})
        """
        chosen = check_subset(places, len(self))
        part = object.__new__(TaskDataset)
        part.__dict__.update({name: value for name, value in self.__dict__.items() if name != "masks"})
        part.indices = _read_only(self.indices[chosen])
        part._labels = {name: _read_only(values[chosen]) for name, values in self._labels.items()}
        part._subset = True
        return part

    def __getitem__(self, index: int) -> tuple[Any, Label]:
        place = check_place(index, len(self))
        return self._samples(np.array([place]), torch.Tensor)[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, Label]]:
        """Read several samples with one read; PyTorch's DataLoader calls this where it is there."""
        collated = self.transform is None and self.stored.info.channels == 3
        return self._samples(check_places(indices, len(self)), PixelByPixel if collated else torch.Tensor)

    def _samples(self, places: npt.NDArray[np.int64], kind: type[torch.Tensor]) -> list[tuple[Any, Label]]:
        stored = self.stored.images.read(self.indices[places])
        if self.pil:
            images = [as_pil(image, rgb=self.rgb) for image in stored]
        else:
            images = [image.as_subclass(kind) for image in as_tensor(stored).expand(-1, self.channels, -1, -1)]
        if self.transform is not None:
            images = [self.transform(image) for image in images]
        columns = {card.name: self._labels_at(card, places) for card in self.tasks}
        if self.task is not None:
            return list(zip(images, columns[self.task.name], strict=True))
        rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        return list(zip(images, rows, strict=True))

    def _labels_at(self, card: TaskCard, places: npt.NDArray[np.int64]) -> list[Any]:
        labels = self._labels[card.name][places]
        return list(torch.from_numpy(labels)) if card.target is TaskTarget.MULTILABEL else labels.tolist()

    def _card(self, task: TaskCard | str | None) -> TaskCard:
        if task is None and self.task is None:
            raise UsageError(f"this dataset has several tasks: name one of {', '.join(self._labels)}.")
        card = self.stored.info.task(task) if isinstance(task, str) else task or self.task
        if card not in self.tasks:
            raise UsageError(f"this dataset was loaded with {', '.join(self._labels)}, not with {card}.")
        return card

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name not in ("masks", "_labels", "indices")}
        chosen = self.indices.astype(np.uint32) if self._subset else None
        return {**state, "chosen": chosen, "checksum": self._checksum()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        chosen, checksum = state.pop("chosen"), state.pop("checksum")
        self.__dict__.update(state)
        self._choose(
            select(self.stored, self.splits, self.original_splits) if chosen is None else chosen.astype(np.int64)
        )
        if self._checksum() != checksum:
            raise ChangedStoreError(
                f"{self.stored.folder}: labels or splits are no longer those that were loaded. Load the dataset again."
            )

    def _checksum(self) -> str:
        digest = hashlib.sha256(self.indices.data)
        for labels in self._labels.values():
            digest.update(labels.data)
        return digest.hexdigest()


def _read_only(array: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    array = np.ascontiguousarray(array).view()
    array.flags.writeable = False
    return array


def load(
    task: str | TaskCard | DatasetCard,
    root: str | os.PathLike[str] | None = None,
    split: Names | None = None,
    transform: Transform | None = None,
    *,
    original_split: Names | None = None,
    rgb: bool = False,
    pil: bool = False,
    download: bool = False,
) -> TaskDataset:
    """Load a task, or all tasks of a dataset, as a PyTorch dataset.

    Parameters
    ----------
    task : str or card
        ``dataset/task``, or a dataset alone: then labels are dicts of every task. Spaces, ``_`` and ``-`` are the same
        and case is ignored.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    split : str or sequence of str, optional
        One or several of train, val and test; all samples without it.
    transform : callable, optional
        Applied to each image: a uint8 tensor ``(C, S, S)``, or with `pil` a `PIL.Image.Image`.
    original_split : str or sequence of str, optional
        One or several of the splits that the source came with; with `split`, samples that are in both.
    rgb : bool
        Give grey images three equal channels.
    pil : bool
        Give images as `PIL.Image.Image`, mode L or RGB, to transforms that want them.
    download : bool
        Download the dataset first where it is not below the root; see `medimeta.download`, which says where from.

    Returns
    -------
    TaskDataset
        ``ds[i]`` is ``(image, label)``. It may be empty, where `split` and `original_split` have nothing in common or
        a partial build has no samples of a split.

    Raises
    ------
    UnknownNameError
        A dataset, task or split that does not exist; names near it are offered.
    UsageError
        The source has no such original split; it says which there are.
    DatasetNotFoundError
        The dataset is not below the root.
    DamagedStoreError
        Its files are not whole.
    DownloadError
        It cannot be downloaded.

    Examples
    --------
    >>> ds = load("bus/case category", root=getfixture("bus_root"), split="train")
    >>> image, label = ds[0]
    >>> image.dtype, tuple(image.shape), label
    (torch.uint8, (1, 224, 224), 1)
    """
    if download:
        fetch_missing(name_of(task), root)
    stored, card = resolve_task(name_of(task), root)
    return TaskDataset(stored, card, split, transform, original_split=original_split, rgb=rgb, pil=pil)
