"""Open a stored dataset: its description, images, labels, splits and annotations.

Opens what this package wrote, and folders in release 1.0's layout made by others: without a manifest, with or without
TIFF files, with chunked HDF5.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from medimeta.catalogue.catalogue import check_split, default_catalogue
from medimeta.catalogue.schema import SPLITS, TaskCard, TaskTarget, normalised
from medimeta.errors import DamagedStoreError, DatasetNotFoundError, unknown_name
from medimeta.store import layout
from medimeta.store.images import ImageBlock
from medimeta.store.info import DatasetInfo, read_info
from medimeta.store.manifest import Manifest, digest_file, read_manifest
from medimeta.store.table import LabelArray


class StoredDataset:
    """A dataset on disk.

    Parameters
    ----------
    folder : Path
        ``<root>/<dataset id>``.

    Raises
    ------
    DatasetNotFoundError, DamagedStoreError
        The folder is missing, or is no stored dataset.

    Examples
    --------
    >>> root = getfixture("bus_root")
    >>> stored = open_dataset("bus", root)
    >>> stored.images.read([0, 1]).shape
    (2, 224, 224)
    >>> sorted(set(stored.labels("malignancy").tolist()))
    [0, 1]
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.info: DatasetInfo = read_info(self.folder)
        self.images = ImageBlock(self.folder / layout.IMAGES)
        if self.images.shape[1:] != self.info.image_shape:
            raise DamagedStoreError(
                f"{self.folder}: {layout.INFO} says images of shape {self.info.image_shape}, "
                f"but {layout.IMAGES} has {self.images.shape[1:]}."
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"StoredDataset({str(self.folder)!r}, samples={len(self)})"

    @cached_property
    def manifest(self) -> Manifest | None:
        """The manifest, or None in folders made by others."""
        return read_manifest(self.folder)

    def fingerprint(self) -> str:
        """Return one digest of all that learning depends on: images, labels and splits.

        In folders without a manifest the images count by their file's size alone: hashing them could take minutes.
        """
        if self.manifest is not None:
            return self.manifest.fingerprint()
        names = [f"{layout.LABELS}/{task.name}.npy" for task in self.info.tasks]
        names += [f"{layout.SPLITS_FOLDER}/{split}.txt" for split in SPLITS]
        lines = [f"{layout.IMAGES} {(self.folder / layout.IMAGES).stat().st_size}"]
        lines += [
            f"{name} {digest_file(self.folder / name).sha256}" for name in names if (self.folder / name).is_file()
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def labels(self, task: str | TaskCard) -> LabelArray:
        """Read the labels of a task as stored: shape ``(N,)``, or ``(N, L)`` for multi-label tasks.

        Raises
        ------
        UnknownNameError
            There is no such task.
        DamagedStoreError
            The labels are missing, of the wrong shape, or hold values that the task does not know.
        """
        card = task if isinstance(task, TaskCard) else self.info.task(task)
        path = self.folder / layout.LABELS / f"{card.name}.npy"
        try:
            labels = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            raise DamagedStoreError(f"{path}: is missing. Build the dataset again.") from None
        except (ValueError, EOFError, OSError) as error:
            raise DamagedStoreError(f"{path}: does not read ({error}).") from None
        multilabel = card.target is TaskTarget.MULTILABEL
        expected = (len(self), len(card.labels)) if multilabel else (len(self),)
        if labels.ndim == 2 and labels.shape[1] == 1 and not multilabel:
            labels = labels[:, 0]
        if labels.shape != expected or labels.dtype.kind not in "iub":
            raise DamagedStoreError(
                f"{path}: expected integers of shape {expected}, got {labels.dtype} {labels.shape}."
            )
        strange = np.setdiff1d(labels, [0, 1] if multilabel else card.keys)
        if strange.size:
            raise DamagedStoreError(f"{path}: holds {strange.tolist()}, which {card.id} does not know.")
        stored: LabelArray = labels.astype(np.int64, copy=False)
        return stored

    def split(self, *splits: str, original: bool = False) -> np.ndarray:
        """Return the sample indices of one or several splits, ascending; a split named twice counts once.

        Raises
        ------
        UnknownNameError
            A name other than train, val and test.
        DamagedStoreError
            A split file is missing or names samples that do not exist.
        """
        folder = layout.ORIGINAL_SPLITS_FOLDER if original else layout.SPLITS_FOLDER
        names = dict.fromkeys(map(check_split, splits))
        parts = [self._read_split(self.folder / folder / f"{name}.txt", original) for name in names]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)

    def _read_split(self, path: Path, original: bool) -> np.ndarray:
        try:
            lines = path.read_text(encoding="utf-8-sig").split("\n")
        except FileNotFoundError:
            if original:  # release 1.0 writes no file for an original split without samples
                return np.empty(0, dtype=np.int64)
            raise DamagedStoreError(f"{path}: is missing. Build the dataset again.") from None
        except UnicodeDecodeError as error:
            raise DamagedStoreError(f"{path}: is not text ({error.reason}).") from None
        try:
            indices = np.array([layout.image_index(line) for line in lines if line.strip()], dtype=np.int64)
        except ValueError as error:
            raise DamagedStoreError(f"{path}: {error}.") from None
        if indices.size and indices.max() >= len(self):
            raise DamagedStoreError(f"{path}: names sample {indices.max()}, but there are {len(self)} samples.")
        return indices

    def annotations(self) -> Iterator[dict[str, str]]:
        """Yield the rows of ``annotations.csv`` in index order."""
        path = self.folder / layout.ANNOTATIONS
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield from csv.DictReader(file)
        except FileNotFoundError:
            raise DamagedStoreError(f"{path}: is missing. Build the dataset again.") from None
        except (csv.Error, UnicodeDecodeError) as error:
            raise DamagedStoreError(f"{path}: does not read ({error}).") from None


def find_dataset(name: str, root: Path) -> Path:
    """Return the folder of a dataset below `root`, by its id; spaces, ``_`` and ``-`` are the same, case is ignored.

    Raises
    ------
    DatasetNotFoundError
        The dataset exists, but not below this root.
    UnknownNameError
        Neither the catalogue nor the root knows such a dataset; names near it are offered.
    """
    built = stored_datasets(root)
    for folder in built:
        if normalised(folder.name) == normalised(name):
            return folder
    known = default_catalogue().datasets()
    here = ", ".join(folder.name for folder in built) or "no dataset"
    for card in known:
        if normalised(card.id) == normalised(name):
            if (root / layout.INFO).is_file():
                way_out = f"{root} is itself a dataset: pass the folder that holds it, --root {root.absolute().parent}"
            elif card.recipe is None:
                way_out = "This version cannot build it yet; a folder in release 1.0's layout can be put there."
            else:
                way_out = f"Build it with: medimeta build {card.id} --source PATH --root {root}"
            raise DatasetNotFoundError(f"{root / card.id}: is not there (under {root} there is {here}). {way_out}")
    names = [*(card.id for card in known), *(folder.name for folder in built)]
    raise unknown_name("dataset", name, names, hint=f"Under {root} there is {here}.")


def open_dataset(name: str, root: str | os.PathLike[str] | None = None) -> StoredDataset:
    """Open a stored dataset by name. See `find_dataset` for what is raised."""
    return StoredDataset(find_dataset(name, layout.default_root(root)))


def stored_datasets(root: Path) -> Sequence[Path]:
    """Return the folders of all stored datasets below a root, sorted; unfinished ones start with a dot."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if not path.name.startswith(".") and (path / layout.INFO).is_file())


def resolve_task(name: str, root: str | os.PathLike[str] | None = None) -> tuple[StoredDataset, TaskCard | None]:
    """Open the dataset that a name such as ``"oct/disease class"`` means, and find the task if one is named.

    Raises
    ------
    UnknownNameError, DatasetNotFoundError, DamagedStoreError
        See `find_dataset` and `StoredDataset`.
    """
    dataset, slash, task = name.partition("/")
    try:
        folder = find_dataset(dataset, layout.default_root(root))
    except DatasetNotFoundError:
        if slash:
            default_catalogue().task(name)  # a wrong task name is the better message than a missing folder
        raise
    if not (folder / layout.IMAGES).is_file() and (folder / layout.TIFF_IMAGES).is_dir():
        raise DatasetNotFoundError(
            f"{folder / layout.IMAGES}: is missing, but there are TIFF files. "
            f"Write it from them with: medimeta.interop.tiff.pack({str(folder)!r})"
        )
    stored = open_dataset(dataset, root)
    return stored, stored.info.task(task) if slash else None
