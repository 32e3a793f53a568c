"""The released class `MedIMeta`, for scripts that were written for ``medimeta`` 0.0.6: they change one import line.

``from medimeta import MedIMeta`` becomes ``from medimeta.interop.released import MedIMeta``. Made by the released
package's documentation and behaviour; none of its code is used. New scripts should use `medimeta.load`.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from medimeta._optional import require
from medimeta.catalogue.catalogue import check_split
from medimeta.catalogue.schema import SPLITS, TaskTarget, normalised
from medimeta.errors import DatasetNotFoundError, UnknownNameError, UsageError, unknown_name
from medimeta.interop.items import released_labels, released_pixels
from medimeta.interop.tiff import TiffDataset
from medimeta.interop.torchcross import task_description, task_identifier
from medimeta.loading.dataset import as_tensor
from medimeta.store import layout
from medimeta.store.images import Images
from medimeta.store.info import read_info
from medimeta.store.reader import StoredDataset, find_dataset, stored_datasets
from medimeta.store.table import LabelArray

Splits = str | Sequence[str]


class MedIMeta(Dataset[tuple[Any, torch.Tensor]]):
    """One task of a stored dataset, with the arguments, items and attributes of the released class.

    Works with torchcross as the released class does; `task_target` and `task_description` need it, all else does not.

    Parameters
    ----------
    data_path : path
        Folder that holds the folders of datasets.
    dataset_id : str
        Id of the dataset.
    task_name : str
        Name of the task.
    split, original_split : str or sequence of str, optional
        Splits to take, by one of the two; all samples without. Several come together, in index order.
    transform : callable, optional
        Applied to each image, a PIL image (mode L or RGB). Without it images are float32 tensors ``(C, S, S)`` from -1
        to 1.
    use_hdf5 : bool
        Whether to read images from ``images.hdf5``; else from the TIFF files in ``images/``.

    Attributes
    ----------
    labels : ndarray of int64
        Shape ``(n,)``; ``(n, 1)`` for binary and ``(n, L)`` for multi-label tasks. Ordinal labels are the grades.
    info : dict
        What ``info.yaml`` says.
    classes : dict of int to str
        Label names by stored integer.
    split_indices : list of int, or None
        Index of each sample in the stored dataset, where a split was named.

    Raises
    ------
    UnknownNameError
        A dataset, task or split that does not exist; it is a ValueError, as the released one.
    UsageError
        Both `split` and `original_split` are given.
    DatasetNotFoundError, DamagedStoreError
        The dataset is not there, or its files are not whole.

    Examples
    --------
    >>> ds = MedIMeta(getfixture("bus_root"), "bus", "malignancy", split="train")
    >>> image, label = ds[0]
    >>> image.dtype, tuple(image.shape), label
    (torch.float32, (1, 224, 224), tensor([0]))
    """

    def __init__(
        self,
        data_path: str | os.PathLike[str],
        dataset_id: str,
        task_name: str,
        split: Splits | None = None,
        original_split: Splits | None = None,
        transform: Callable[[Any], Any] | None = None,
        use_hdf5: bool = True,
    ) -> None:
        if split is not None and original_split is not None:
            raise UsageError("only one of split and original_split can be given.")
        folder = _folder_of(dataset_id, Path(data_path))
        self._stored = StoredDataset(folder) if use_hdf5 else TiffDataset(folder)
        self._card = self._stored.info.task(task_name)
        self.data_path = data_path
        self.dataset_id, self.task_name = dataset_id, task_name
        self.split, self.original_split = split, original_split
        self.transform = transform
        self.use_hdf5 = use_hdf5
        wanted = split if original_split is None else original_split
        self.use_split_indices = wanted is not None
        self.split_indices = None if wanted is None else self.get_split_indices(wanted, original_split is not None)
        self._indices: npt.NDArray[np.int64] = np.asarray(
            range(len(self._stored)) if self.split_indices is None else self.split_indices, dtype=np.int64
        )
        self.labels: LabelArray = released_labels(self._card, self._stored.labels(self._card)[self._indices])

    @classmethod
    def get_available_datasets(cls, data_path: str | os.PathLike[str]) -> list[str]:
        """Return the ids of the datasets below a folder, sorted by folder."""
        return [read_info(folder).id for folder in stored_datasets(Path(data_path))]

    @classmethod
    def get_available_tasks(cls, data_path: str | os.PathLike[str]) -> dict[str, list[str]]:
        """Return the task names of every dataset below a folder, by its id."""
        found = [read_info(folder).raw for folder in stored_datasets(Path(data_path))]
        return {str(raw["id"]): [task["task_name"] for task in raw["tasks"]] for raw in found}

    @classmethod
    def get_info_dict(cls, data_path: str | os.PathLike[str], dataset_id: str) -> dict[str, Any]:
        """Return what ``info.yaml`` of a dataset says."""
        return dict(read_info(_folder_of(dataset_id, Path(data_path))).raw)

    def get_split_indices(self, split: Splits, use_original_split: bool = False) -> list[int]:
        """Return the sample indices of one or several splits, ascending.

        Raises
        ------
        UnknownNameError
            There is no such split; release 1.0 has no file for an original split without samples.
        """
        names = [split] if isinstance(split, str) else list(split)
        for name in names:
            check_split(name)
            path = self._stored.folder / layout.ORIGINAL_SPLITS_FOLDER / f"{name}.txt"
            if use_original_split and not path.is_file():
                here = [each for each in SPLITS if path.with_name(f"{each}.txt").is_file()]
                raise unknown_name(f"original split of {self._stored.info.id}", name, here)
        indices: list[int] = self._stored.split(*names, original=use_original_split).tolist()
        return indices

    def get_num_samples_per_class(self, neg: bool = False) -> npt.NDArray[np.int64]:
        """Count the samples of each class, or, with `neg`, those that are not of it; binary: of the positive class."""
        if self._card.target in (TaskTarget.BINARY, TaskTarget.MULTILABEL):
            counts = self.labels.sum(axis=0)
        else:
            counts = (self.labels[:, None] == np.array(self._card.keys)).sum(axis=0)
        return np.asarray(len(self) - counts if neg else counts, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[Any, torch.Tensor]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, torch.Tensor]]:
        """Read several samples at once; PyTorch's DataLoader calls this where it is there."""
        places = [operator.index(index) for index in indices]
        for place in places:
            if not -len(self) <= place < len(self):
                raise IndexError(f"sample {place} is out of range; there are {len(self)}")
        images = self._stored.images.read(self._indices[places])
        labels = torch.from_numpy(self.labels[places])
        return list(zip(self._transformed(images), labels, strict=True))

    def _transformed(self, images: Images) -> Sequence[Any]:
        if self.transform is None:
            return list(released_pixels(as_tensor(images)))
        image_module = require("PIL.Image")
        return [self.transform(image_module.fromarray(image)) for image in images]

    @property
    def task_description(self) -> Any:
        """The task as torchcross describes it; needs torchcross."""
        return task_description(self._stored.info, self._card)

    @property
    def task_target(self) -> Any:
        """The kind of task, as torchcross's ``TaskTarget``; needs torchcross."""
        return self.task_description.task_target

    @property
    def info(self) -> dict[str, Any]:
        """What ``info.yaml`` says."""
        return dict(self._stored.info.raw)

    @property
    def classes(self) -> dict[int, str]:
        """Label names by stored integer."""
        return dict(self._card.labels)

    @property
    def dataset_name(self) -> str:
        """Name of the dataset."""
        return self._stored.info.name

    @property
    def task_identifier(self) -> str:
        """Name of the dataset and of the task."""
        return task_identifier(self._stored.info, self._card)

    @property
    def domain_identifier(self) -> str:
        """Name of the domain."""
        return self._stored.info.domain

    @property
    def input_size(self) -> list[int]:
        """Channels, height and width of the stored images."""
        return [self.num_channels, self._stored.info.size, self._stored.info.size]

    @property
    def num_channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return self._stored.info.channels

    @property
    def dataset_subdir(self) -> str:
        """Name of the dataset's folder."""
        return self._stored.folder.name

    @property
    def image_dir(self) -> str:
        """Folder of the TIFF files, which need not be there."""
        return str(self._stored.folder / layout.TIFF_IMAGES)

    @property
    def label_file(self) -> str:
        """File of the labels."""
        return str(self._stored.folder / layout.LABELS / f"{self._card.name}.npy")

    @property
    def hdf5_path(self) -> str:
        """File of the images."""
        return str(self._stored.folder / layout.IMAGES)


get_available_datasets = MedIMeta.get_available_datasets
get_available_tasks = MedIMeta.get_available_tasks


def _folder_of(dataset_id: str, root: Path) -> Path:
    """Find a dataset by its folder or, where the folder was renamed, by the id in ``info.yaml``."""
    try:
        return find_dataset(dataset_id, root)
    except (UnknownNameError, DatasetNotFoundError):
        for folder in stored_datasets(root):
            if normalised(read_info(folder).id) == normalised(dataset_id):
                return folder
        raise
