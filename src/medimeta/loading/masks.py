"""Masks of the images of a dataset, read when they are asked for."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np

from medimeta._optional import require
from medimeta.errors import DamagedStoreError, UsageError
from medimeta.loading.selection import Indices, check_place
from medimeta.store import layout
from medimeta.store.images import Images
from medimeta.store.reader import StoredDataset

PLAIN = "mask"  # the kind of a file that is named by its sample alone

_MASK_NAME = re.compile(r"^(\d{6,})(?:_(.+))?\.tiff?$")


class Masks:
    """The masks of some samples: ``masks[i]`` reads those of one.

    Parameters
    ----------
    stored : StoredDataset
        The dataset on disk.
    indices : ndarray of int64, shape (n,)
        The samples.

    Attributes
    ----------
    kinds : tuple of str
        The kinds that the dataset has. ``masks/000000.tiff`` is of the kind "mask", ``masks/000000_cup.tiff`` of the
        kind "cup".

    Raises
    ------
    UsageError
        The dataset has no masks.

    Examples
    --------
    >>> import medimeta as mm
    >>> masks = mm.load("glaucoma", root=getfixture("built_root")).masks
    >>> masks.kinds
    ('cup', 'disc')
    >>> disc = masks[0]["disc"]
    >>> disc.shape, disc.dtype, np.unique(disc)
    ((224, 224), dtype('uint8'), array([  0, 255], dtype=uint8))
    """

    def __init__(self, stored: StoredDataset, indices: Indices) -> None:
        self._folder = stored.folder / layout.MASKS
        self._size = stored.info.size
        self._indices = indices
        self._files = _files_of_samples(self._folder)
        if not self._files:
            raise UsageError(f"{stored.info.id} has no masks: {self._folder} {_nothing(self._folder)}.")
        self.kinds = tuple(sorted({kind for files in self._files.values() for kind in files}))

    def __len__(self) -> int:
        return len(self._indices)

    def __repr__(self) -> str:
        return f"Masks({', '.join(self.kinds)}; samples={len(self)})"

    def __getitem__(self, place: int) -> dict[str, Images]:
        """Read the masks of one sample.

        Parameters
        ----------
        place : int
            Place of the sample.

        Returns
        -------
        dict of str to ndarray of uint8, shape (S, S)
            By kind, sorted: 255 inside, 0 outside, as stored. Empty where the sample has no mask.

        Raises
        ------
        SampleIndexError, UsageError
            There is no such sample.
        MissingDependencyError
            Pillow is not installed.
        DamagedStoreError
            A file does not read, or is of another size than the images.
        """
        index = int(self._indices[check_place(place, len(self))])
        return {kind: self._read(self._folder / name) for kind, name in sorted(self._files.get(index, {}).items())}

    def _read(self, path: Path) -> Images:
        pillow = require("PIL.Image")
        try:
            with (
                warnings.catch_warnings(action="ignore"),
                pillow.open(path) as image,
            ):  # what is odd is told as an error
                mask = np.array(image.convert("L"), dtype=np.uint8)
        except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all of these on damaged files
            raise DamagedStoreError(f"{path}: does not read ({error}). Build or download the dataset again.") from None
        if mask.shape != (self._size, self._size):
            raise DamagedStoreError(
                f"{path}: is {mask.shape[1]}x{mask.shape[0]} pixels, the images {self._size}x{self._size}. "
                f"Build or download the dataset again."
            )
        return mask


def _files_of_samples(folder: Path) -> dict[int, dict[str, str]]:
    """Return, for each sample with masks, its kinds of mask and their files."""
    if not folder.is_dir():
        return {}
    found: dict[int, dict[str, str]] = {}
    for name in sorted(path.name for path in folder.iterdir()):
        if match := _MASK_NAME.match(name):
            found.setdefault(int(match[1]), {})[match[2] or PLAIN] = name
    return found


def _nothing(folder: Path) -> str:
    return "holds no mask files" if folder.is_dir() else "is not there"
