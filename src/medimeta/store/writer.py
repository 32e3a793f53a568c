"""Write a dataset in the layout. One writer, any order of images, the same bytes at the end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import SPLITS, DatasetCard
from medimeta.errors import RootNotWritableError, StoreError
from medimeta.store import layout
from medimeta.store.digest import RunningDigest
from medimeta.store.flushing import Flusher
from medimeta.store.info import info_text
from medimeta.store.licence import licence_text
from medimeta.store.manifest import Manifest, digest_files, write_manifest
from medimeta.store.table import SampleTable


class DatasetWriter:
    """Writes one dataset into an empty folder, or goes on with one that is not finished.

    Parameters
    ----------
    folder : Path
        Where to write; made if missing.
    card : DatasetCard
        The dataset's card.
    count : int
        How many samples there will be.
    size : int
        Side of the images in pixels.
    resume : bool
        Whether to keep the images that are there.

    Raises
    ------
    RootNotWritableError
        The folder cannot be made or written.
    """

    def __init__(self, folder: Path, card: DatasetCard, count: int, size: int, *, resume: bool = False) -> None:
        self.folder = folder
        self.card = card
        self.size = size
        self.count = count
        self._shape = card.shape(size)
        self._image_bytes = int(np.prod(self._shape))
        self._folders: set[Path] = set()
        path = folder / layout.IMAGES
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not resume:
                _allocate(path, (count, *self._shape))
            self._offset = _offset(path)
            self._images = path.open("r+b", buffering=0)
        except PermissionError as error:
            raise RootNotWritableError(f"{folder}: cannot be written ({error.strerror}).") from error
        except (OSError, RuntimeError) as error:  # h5py raises RuntimeError where the file cannot be closed
            raise StoreError(f"{folder}: cannot be written ({getattr(error, 'strerror', None) or error}).") from error
        self._digest = RunningDigest(self._images, self._offset, self._image_bytes, count)
        self._flusher = Flusher(self._images.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the image file; harmless when called twice."""
        self._flusher.close()
        self._images.close()

    def write_images(self, images: Iterable[tuple[int, npt.NDArray[np.uint8]]]) -> None:
        """Write images at their indices; each has shape ``(S, S)`` or ``(S, S, 3)``."""
        for index, image in images:
            if image.shape != self._shape or image.dtype != np.uint8:
                raise ValueError(f"expected uint8 images of shape {self._shape}, got {image.dtype} {image.shape}")
            view = np.ascontiguousarray(image).reshape(-1).data
            try:
                self._images.seek(self._offset + index * self._image_bytes)
                rest = view
                while rest:
                    rest = rest[self._images.write(rest) :]
                self._flusher.written(len(view))
            except OSError as error:
                raise StoreError(f"{self.folder / layout.IMAGES}: cannot be written ({error.strerror}).") from error
            self._digest.written(index, view)

    def read_image(self, index: int) -> bytes:
        """Return the bytes of an image as they are on the disk."""
        self._images.seek(self._offset + index * self._image_bytes)
        return self._images.read(self._image_bytes)

    def already_written(self, indices: Iterable[int]) -> None:
        """Say which images a broken build has left whole."""
        for index in indices:
            self._digest.written(index, None)

    def write_file(self, name: str, data: bytes) -> None:
        """Write a further file of the dataset, such as a mask."""
        path = self.folder / name
        try:
            if path.parent not in self._folders:
                path.parent.mkdir(exist_ok=True)
                self._folders.add(path.parent)
            path.write_bytes(data)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror}).") from error

    def write_table(self, table: SampleTable) -> None:
        """Write labels, splits, annotations, ``info.yaml`` and ``LICENSE``."""
        labels = self.folder / layout.LABELS
        labels.mkdir(exist_ok=True)
        for task in self.card.tasks:
            np.save(
                labels / f"{task.name}.npy",
                table.labels[task.name].astype(np.int64, copy=False),
                allow_pickle=False,
            )
        splits = table.indices_by(table.split)
        original_splits = table.indices_by(table.original_split)
        # An original split without samples has no file in release 1.0; of the three splits proper, each always has one.
        self._write_splits(layout.SPLITS_FOLDER, {split: splits.get(split, []) for split in SPLITS})
        self._write_splits(layout.ORIGINAL_SPLITS_FOLDER, original_splits)
        self._write_text(layout.ANNOTATIONS, table.csv_text(self.card.tasks))
        counts = {split: len(splits.get(split, [])) for split in SPLITS}
        original_counts = {split: len(original_splits.get(split, [])) for split in SPLITS}
        self._write_text(layout.INFO, info_text(self.card, self.size, counts, original_counts))
        self._write_text(layout.LICENCE, licence_text(self.card))

    def finish(self, **facts: Any) -> Manifest:
        """Flush everything, hash every file, and write the manifest last; `facts` are its further fields."""
        known = {layout.IMAGES: self._digest.finish()}
        try:
            self._flusher.finish()
        except OSError as error:
            raise StoreError(f"{self.folder / layout.IMAGES}: cannot be written ({error.strerror}).") from error
        self.close()
        manifest = Manifest(dataset=self.card.id, files=digest_files(self.folder, known), **facts)
        write_manifest(self.folder, manifest)
        return manifest

    def _write_splits(self, folder: str, splits: dict[str, list[int]]) -> None:
        (self.folder / folder).mkdir(exist_ok=True)
        for split, indices in splits.items():
            self._write_text(f"{folder}/{split}.txt", layout.split_text(indices))

    def _write_text(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8", newline="\n")


def can_go_on(folder: Path, card: DatasetCard, count: int, size: int) -> bool:
    """Whether the image file of a dataset that is not finished is there, with room for all of its images."""
    path, shape = folder / layout.IMAGES, (count, *card.shape(size))
    try:
        with h5py.File(path, "r") as file:
            images = file[layout.IMAGES_DATASET]
            return bool(
                images.shape == shape
                and images.dtype == np.uint8
                and images.chunks is None
                and images.id.get_offset() + int(np.prod(shape)) <= path.stat().st_size
            )
    except (OSError, KeyError, AttributeError, TypeError):  # missing, damaged, or of another make
        return False


def _allocate(path: Path, shape: Iterable[int]) -> None:
    """Make the HDF5 file with one contiguous block."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    # Early allocation without fill: the block has its place now, and is written from outside HDF5.
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        file.create_dataset(layout.IMAGES_DATASET, shape=tuple(shape), dtype=np.uint8, dcpl=plan)


def _offset(path: Path) -> int:
    """Return where the block starts, in bytes."""
    with h5py.File(path, "r") as file:
        return int(file[layout.IMAGES_DATASET].id.get_offset())
