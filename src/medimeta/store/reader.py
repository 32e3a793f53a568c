"""Open a stored dataset: its description, images, labels, splits, annotations and subjects.

Opens what this package wrote, and folders in release 1.0's layout made by others: without a manifest, with or without
TIFF files, with chunked HDF5.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from medimeta.catalogue.catalogue import check_split, default_catalogue
from medimeta.catalogue.schema import SPLITS, DatasetCard, TaskCard, TaskTarget, normalised
from medimeta.errors import DamagedStoreError, DatasetNotFoundError, UnknownNameError, problems_error, unknown_name
from medimeta.store import layout
from medimeta.store.annotations import read_column, read_rows, subject_codes
from medimeta.store.images import ImageBlock
from medimeta.store.info import DatasetInfo, read_info
from medimeta.store.manifest import Manifest, digest_file, read_manifest
from medimeta.store.splits import Places, read_split, shared_problems
from medimeta.store.table import LabelArray

_QUICK_MANIFEST = 1 << 20  # bytes; one that lists every TIFF file of a large dataset is read by `verify` alone


class StoredDataset:
    """A dataset on disk.

    What is asked for is read then, and belongs to the images that were there when the dataset was opened: if these were
    replaced in the meantime, as by building the dataset again, every method says so. Pickles as its place, in a few
    hundred bytes.

    Parameters
    ----------
    folder : Path
        ``<root>/<dataset id>``.

    Attributes
    ----------
    folder : Path
        The same, absolute.
    images : ImageBlock
        The images.

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
        self.folder = Path(folder).absolute()
        info = read_info(self.folder)
        self.images = ImageBlock(self.folder / layout.IMAGES)
        if self.images.shape[1:] != info.image_shape:
            raise DamagedStoreError(
                f"{self.folder}: {layout.INFO} says images of shape {info.image_shape}, "
                f"but {layout.IMAGES} has {self.images.shape[1:]}."
            )
        self._info: DatasetInfo | None = info
        self._manifest: Manifest | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"StoredDataset({str(self.folder)!r}, samples={len(self)})"

    def __getstate__(self) -> tuple[ImageBlock]:
        return (self.images,)

    def __setstate__(self, state: tuple[ImageBlock]) -> None:
        [self.images] = state
        self.folder = self.images.path.parent
        self._info = self._manifest = None

    # No cached_property: that of Python 3.11 has a lock, which a forked process may find locked for ever.
    @property
    def info(self) -> DatasetInfo:
        """What the dataset says of itself; read anew after pickling."""
        if self._info is None:
            with self.images.unchanged():
                self._info = read_info(self.folder)
        return self._info

    @property
    def manifest(self) -> Manifest | None:
        """The manifest, or None in folders made by others."""
        if self._manifest is None:
            with self.images.unchanged():
                self._manifest = read_manifest(self.folder)
        return self._manifest

    def check(self) -> None:
        """Compare what is quickly seen of the images with the manifest, where there is one; nothing is hashed.

        A manifest of more than a megabyte is left to `medimeta.verify`.

        Raises
        ------
        DamagedStoreError
            The dataset, its number of samples, or the size of images or file are not what the manifest says.
        """
        path = self.folder / layout.MANIFEST
        if not path.is_file() or path.stat().st_size > _QUICK_MANIFEST or (manifest := self.manifest) is None:
            return
        images = manifest.files.get(layout.IMAGES)
        said = {
            "dataset": (manifest.dataset, self.info.id),
            "samples": (manifest.samples, len(self)),
            "size of images": (manifest.settings.get("size", self.info.size), self.info.size),
            f"bytes of {layout.IMAGES}": (images and images.bytes, self.images.state.size),
        }
        problems = [
            f"{what}: it says {expected}, the files say {got}"
            for what, (expected, got) in said.items()
            if expected != got
        ]
        if problems:
            raise problems_error(
                DamagedStoreError,
                f"{path}: does not fit the files beside it.",
                problems,
                "Build or download the dataset again.",
            )

    def fingerprint(self) -> str:
        """Return one digest of all that learning depends on: images, labels and splits.

        It is that of the manifest, and of what has become of labels and splits since. In folders without a manifest
        the images count by their file's size alone: hashing them could take minutes.
        """
        said = {} if self.manifest is None else self.manifest.learned_from()
        labels = [f"{layout.LABELS}/{task.name}.npy" for task in self.info.tasks]
        splits = [f"{layout.SPLITS_FOLDER}/{split}.txt" for split in SPLITS]
        with self.images.unchanged():
            now = {name: digest_file(self.folder / name) for name in labels + splits if (self.folder / name).is_file()}
        lines = [f"{name} {file.sha256}" for name, file in said.items()]
        lines = lines or [f"{layout.IMAGES} {self.images.state.size}"]
        lines += [f"{name} {file.sha256}" for name, file in now.items() if file != said.get(name)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def labels(self, task: str | TaskCard) -> LabelArray:
        """Read the labels of a task as stored: shape ``(N,)``, or ``(N, L)`` for multi-label tasks.

        Raises
        ------
        UnknownNameError
            There is no such task.
        DamagedStoreError
            The labels are missing, of the wrong shape, or hold values that the task does not know.
        ChangedStoreError
            The images were replaced since the dataset was opened.
        """
        card = task if isinstance(task, TaskCard) else self.info.task(task)
        path = self.folder / layout.LABELS / f"{card.name}.npy"
        with self.images.unchanged():
            labels = _read_array(path)
        multilabel = card.target is TaskTarget.MULTILABEL
        expected = (len(self), len(card.labels)) if multilabel else (len(self),)
        if labels.ndim == 2 and labels.shape[1] == 1 and not multilabel:
            labels = labels[:, 0]
        if labels.shape != expected or labels.dtype.kind not in "iub":
            raise DamagedStoreError(
                f"{path}: expected integers of shape {expected}, got {labels.dtype} {labels.shape}."
            )
        stored: LabelArray = labels.astype(np.int64, copy=False)
        strange = _strange(stored, (0, 1) if multilabel else card.keys)
        if strange.size:
            values, first = np.unique(stored.reshape(-1)[strange]).tolist(), strange[0] // (stored.size // len(stored))
            raise DamagedStoreError(
                f"{path}: holds {values}, which {card.id} does not know; the first is that of sample {first}."
            )
        return stored

    def split(self, *splits: str, original: bool = False) -> np.ndarray:
        """Return the sample indices of one or several splits, ascending; a split named twice counts once.

        Raises
        ------
        UnknownNameError
            A name other than train, val and test.
        DamagedStoreError
            A split file is missing, names samples that do not exist, or shares samples with another split.
        ChangedStoreError
            The images were replaced since the dataset was opened.
        """
        names = list(dict.fromkeys(map(check_split, splits)))
        with self.images.unchanged():
            found = self.read_splits(original=original)
        folder = layout.ORIGINAL_SPLITS_FOLDER if original else layout.SPLITS_FOLDER
        missing = [str(self.folder / folder / f"{name}.txt") for name in names if name not in found]
        if missing and not original:  # release 1.0 writes no file for an original split without samples
            raise DamagedStoreError(f"{', '.join(missing)}: is missing. Build or download the dataset again.")
        problems = list(shared_problems(found, folder, len(self)))
        if problems:
            raise problems_error(DamagedStoreError, f"{self.folder}: has splits that overlap.", problems)
        parts = [found[name] for name in names if name in found]
        if len(parts) == 1:
            return parts[0]
        return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *parts]))

    def read_splits(self, *, original: bool = False) -> dict[str, Places]:
        """Read the split files that are there, each by itself: they may overlap."""
        folder = self.folder / (layout.ORIGINAL_SPLITS_FOLDER if original else layout.SPLITS_FOLDER)
        found = {}
        for name in SPLITS:
            try:
                found[name] = read_split(folder / f"{name}.txt", len(self))
            except FileNotFoundError:
                continue
        return found

    def annotations(self) -> Iterator[dict[str, str]]:
        """Yield the rows of ``annotations.csv`` in index order; a cell that its row lacks is missing.

        Raises
        ------
        DamagedStoreError
            The file is missing or does not read.
        ChangedStoreError
            The images were replaced since the dataset was opened.
        """
        rows = read_rows(self.folder / layout.ANNOTATIONS)
        with self.images.unchanged():
            head = next(rows, [])
        for row in rows:
            yield dict(zip(head, row, strict=False))

    def subjects(self) -> np.ndarray | None:
        """Return the number of each sample's subject: the patient, lesion or volume that the source names.

        Returns
        -------
        ndarray of int64, shape (N,), or None
            Subjects count from 0, in order of first appearance. A sample whose subject is not told is a subject of its
            own. None where the source tells no subjects at all.

        Raises
        ------
        DamagedStoreError
            ``info.yaml`` names a column that ``annotations.csv`` does not have, or that file is not whole.
        ChangedStoreError
            The images were replaced since the dataset was opened.

        Examples
        --------
        >>> stored = open_dataset("mammo_mass", getfixture("bus_root"))
        >>> train, test = (set(stored.subjects()[stored.split(name)]) for name in ("train", "test"))
        >>> train & test
        set()
        """
        path, told = self.folder / layout.ANNOTATIONS, self.info.subject_column is not None
        column = self.info.subject_column or _catalogued_subjects(self.info.id)
        if column is None or not (told or path.is_file()):
            return None
        with self.images.unchanged():
            cells = read_column(path, column, len(self))
        if cells is None and told:
            raise DamagedStoreError(f"{path}: has no column {column!r}, which {layout.INFO} names as the subjects'.")
        return None if cells is None else subject_codes(cells)


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
    known = default_catalogue().datasets()  # read only now: it would take longer than opening the dataset
    for card in known:
        if normalised(card.id) == normalised(name):
            raise not_built([card], root)
    here = _names(built)
    names = [*(card.id for card in known), *(folder.name for folder in built)]
    raise unknown_name("dataset", name, names, hint=f"Under {root} there is {here}.")


def not_built(cards: Sequence[DatasetCard], root: Path) -> DatasetNotFoundError:
    """Return the error for datasets of the catalogue that are not below a root: one for all of them."""
    ids, one = [card.id for card in cards], len(cards) == 1
    where = f"{root / ids[0]}: is" if one else f"{root}: {', '.join(ids)} are"
    told = f"{where} not there (under {root} there is {_names(stored_datasets(root))}). "
    without_recipe = [card.id for card in cards if card.recipe is None]
    if (root / layout.INFO).is_file():
        told += f"{root} is itself a dataset: pass the folder that holds it, --root {root.absolute().parent}"
    elif without_recipe:
        which = "it" if one else ", ".join(without_recipe)
        told += f"This version cannot build {which} yet; a folder in release 1.0's layout can be put there."
    else:
        what, name = ("it", ids[0]) if one else ("each", "ID")
        told += f"Build {what} with: medimeta build {name} --source PATH --root {root}"
        told += f", or fetch the release: medimeta download {' '.join(ids)} --root {root}"
    return DatasetNotFoundError(told)


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(folder.name for folder in folders) or "no dataset"


def open_dataset(name: str, root: str | os.PathLike[str] | None = None) -> StoredDataset:
    """Open a stored dataset by name, and compare it with its manifest as far as that takes no time.

    Raises
    ------
    UnknownNameError, DatasetNotFoundError, DamagedStoreError
        See `find_dataset`, `StoredDataset` and `StoredDataset.check`.
    """
    stored = StoredDataset(find_dataset(name, layout.default_root(root)))
    stored.check()
    return stored


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


def _read_array(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DamagedStoreError(f"{path}: is missing. Build or download the dataset again.") from None
    except (ValueError, EOFError, OSError) as error:
        raise DamagedStoreError(f"{path}: does not read ({error}).") from None
    return array


def _strange(labels: LabelArray, keys: Sequence[int]) -> np.ndarray:
    """Return the places in the flattened labels of what is none of the keys, which ascend."""
    no_gap = keys[-1] - keys[0] == len(keys) - 1  # then this is much faster than looking every label up
    if no_gap and labels.size and keys[0] <= labels.min() and labels.max() <= keys[-1]:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(~np.isin(labels, keys))


def _catalogued_subjects(dataset: str) -> str | None:
    """Return what the catalogue says of folders that do not tell it themselves, as those of release 1.0's scripts."""
    try:
        return default_catalogue().dataset(dataset).subject_column
    except UnknownNameError:
        return None
