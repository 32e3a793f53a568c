"""Images from the TIFF files of release 1.0's layout, where ``images.hdf5`` is not there or not wanted.

Release 1.0 stores every image twice, in ``images.hdf5`` and as ``images/000000.tiff``. Where only TIFF files are left,
`TiffDataset` reads them, an image at a time; `pack` writes ``images.hdf5``, to be read at full speed from then on.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from medimeta._optional import require
from medimeta.catalogue.schema import SPLITS
from medimeta.errors import DamagedStoreError, DatasetExistsError, DatasetNotFoundError, StoreError, problems_error
from medimeta.store import layout
from medimeta.store.images import Images
from medimeta.store.indices import Indices, check_indices
from medimeta.store.info import DatasetInfo, read_info
from medimeta.store.reader import StoredDataset

_RUN = 64  # images that `pack` holds in memory at once


class TiffImages:
    """The images of a stored dataset, read from ``images/*.tiff``; it reads like `medimeta.store.images.ImageBlock`.

    Parameters
    ----------
    folder : Path
        ``<root>/<dataset id>``.
    info : DatasetInfo
        What the dataset says of itself: how many images of which shape there must be.

    Attributes
    ----------
    path : Path
        The folder of the files.
    shape : tuple of int
        ``(N, S, S)`` or ``(N, S, S, 3)``.
    contiguous : bool
        Always False: each image is a file.

    Raises
    ------
    DatasetNotFoundError
        There are no TIFF files.
    DamagedStoreError
        Some are missing, or there are more than there should be.
    """

    contiguous = False

    def __init__(self, folder: Path, info: DatasetInfo) -> None:
        self.path = Path(folder).absolute() / layout.TIFF_IMAGES
        self.shape = (_count(self.path, info.raw.get("total_num_samples")), *info.image_shape)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, indices: Indices, out: Images | None = None, *, threads: int | None = None) -> Images:
        """Read images in the order of `indices`, which may repeat; one at a time, whatever `threads` says.

        Parameters
        ----------
        indices : sequence of int
            Sample indices, 0 to N-1.
        out : ndarray of uint8, optional
            Buffer of shape ``(len(indices), ...)`` to read into.

        Returns
        -------
        ndarray of uint8, shape (n, S, S) or (n, S, S, 3)
            `out`, or a new array.

        Raises
        ------
        SampleIndexError
            An index is negative or too large; it is an IndexError.
        UsageError
            Indices that are no sequence of whole numbers.
        DamagedStoreError
            A file is missing, does not decode, or is of another shape.
        """
        wanted = check_indices(indices, len(self), self.path)
        shape = (wanted.size, *self.shape[1:])
        if out is None:
            out = np.empty(shape, dtype=np.uint8)
        elif out.shape != shape or out.dtype != np.uint8:
            raise ValueError(f"out must be a uint8 array of shape {shape}, got {out.dtype} {out.shape}")
        for place, index in enumerate(wanted.tolist()):
            out[place] = _decode(self.path / f"{layout.stem(index)}.tiff", self.shape[1:])
        return out

    def as_memory_map(self) -> Images:
        """Return all images, read into memory."""
        return self.read(np.arange(len(self)))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Promise nothing: files that are replaced one by one cannot be watched."""
        yield

    def close(self) -> None:
        """Do nothing: no file stays open."""


class TiffDataset(StoredDataset):
    """A stored dataset whose images are read from its TIFF files; ``images.hdf5`` need not be there.

    Raises
    ------
    DatasetNotFoundError, DamagedStoreError
        The folder is no stored dataset, or its TIFF files are not whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).absolute()
        info = read_info(self.folder)
        self.images = TiffImages(self.folder, info)  # type: ignore[assignment]  # reads like an ImageBlock
        self._info = info

    def fingerprint(self) -> str:
        """Return one digest of all that learning depends on; TIFF files count by their sizes."""
        lines = [f"{path.name} {path.stat().st_size}" for path in sorted(self.images.path.glob("*.tiff"))]
        lines += [f"{task.name} {self.labels(task).tolist()}" for task in self.info.tasks]
        lines += [f"{split} {self.split(split).tolist()}" for split in SPLITS]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def pack(folder: str | os.PathLike[str]) -> Path:
    """Write ``images.hdf5`` from the TIFF files of a dataset, so that everything else can read it, at full speed.

    The file appears once it is whole; the TIFF files stay.

    Parameters
    ----------
    folder : path
        ``<root>/<dataset id>``, in release 1.0's layout.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DatasetExistsError
        ``images.hdf5`` is there already.
    DatasetNotFoundError, DamagedStoreError
        The folder is no stored dataset, or its TIFF files are not whole.
    StoreError
        The file cannot be written.
    """
    folder = Path(folder)
    path = folder / layout.IMAGES
    if path.exists():
        raise DatasetExistsError(f"{path}: is there already. Remove it to have it written anew.")
    images = TiffImages(folder, read_info(folder))
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with h5py.File(partial, "w") as file:
            block = file.create_dataset(layout.IMAGES_DATASET, shape=images.shape, dtype=np.uint8)
            for start in range(0, len(images), _RUN):
                stop = min(start + _RUN, len(images))
                block[start:stop] = images.read(range(start, stop))
        partial.replace(path)
    except DamagedStoreError:
        raise
    except (OSError, RuntimeError) as error:  # h5py raises RuntimeError where the file cannot be closed
        raise StoreError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}).") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _count(folder: Path, said: object) -> int:
    """Return how many files there are, and are to be; tell every gap."""
    found = set(_indices(folder))
    if not found:
        raise DatasetNotFoundError(f"{folder}: has no TIFF files such as {layout.stem(0)}.tiff.")
    count = said if isinstance(said, int) and said > 0 else max(found) + 1
    problems = [f"{layout.image_name(index)} is missing" for index in range(count) if index not in found]
    problems += [
        f"{layout.image_name(index)} is beyond the {count} samples" for index in sorted(found) if index >= count
    ]
    if problems:
        raise problems_error(
            DamagedStoreError, f"{folder.parent}: the TIFF files are not whole.", problems, "Fetch the dataset again."
        )
    return count


def _indices(folder: Path) -> Iterator[int]:
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            index = layout.image_index(f"{layout.TIFF_IMAGES}/{path.name}")
        except ValueError:  # not an image of the layout, such as a thumbnail of the file manager
            continue
        if path.suffix == ".tiff":
            yield index


def _decode(path: Path, shape: tuple[int, ...]) -> Images:
    pil = require("PIL.Image")
    broken = (OSError, ValueError, SyntaxError, TypeError, IndexError, pil.DecompressionBombError)  # Pillow raises all
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is cut short is told as an error
            with pil.open(path, formats=("TIFF",)) as image:
                mode, pixels = image.mode, np.asarray(image)
    except FileNotFoundError:
        raise DamagedStoreError(f"{path}: is missing. Fetch the dataset again.") from None
    except broken as error:
        raise DamagedStoreError(f"{path}: does not decode ({error}). Fetch the dataset again.") from error
    if mode not in ("L", "RGB") or pixels.shape != shape:
        raise DamagedStoreError(
            f"{path}: expected uint8 pixels of shape {shape}, got mode {mode} of shape {pixels.shape}."
        )
    return pixels
