"""What episodes are drawn from, as digests: which labels, which samples, which subjects, which images."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import TaskCard
from medimeta.loading.dataset import TaskDataset
from medimeta.store import layout

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DataFingerprint:
    """Digests of the data that saved episodes were drawn from.

    Attributes
    ----------
    labels : str
        Of the names of the labels and the label of every sample.
    samples : str
        Of which samples of the stored dataset there are, and in which order.
    images : str
        Of the file of images, as the manifest has it; in folders without a manifest, its shape.
    """

    labels: str
    samples: str
    images: str

    def differences(self, other: DataFingerprint) -> list[str]:
        """Name what is not the same."""
        mine, others = asdict(self), asdict(other)
        return [name for name in mine if mine[name] != others[name]]


def fingerprint(dataset: TaskDataset, task: TaskCard) -> DataFingerprint:
    """Return the digests of a dataset's labels, samples and images."""
    return DataFingerprint(
        digest(str(dict(task.labels)), dataset.class_indices(task)),
        digest("samples", dataset.indices),
        images_digest(dataset),
    )


def digest(words: str, numbers: Indices | None) -> str:
    """Return a digest of words and of whole numbers, the same on every machine.

    Examples
    --------
    >>> digest("a", np.array([1, 2])) == digest("a", np.array([1, 2], "int32")) != digest("a", np.array([[1, 2]]))
    True
    """
    if numbers is None:
        return digest(words + " of nobody", np.empty(0, np.int64))
    small = "<u1" if numbers.size and numbers.min() >= 0 and numbers.max() < 256 else "<i8"
    found = hashlib.sha256(f"{words} {numbers.shape} {small}\n".encode())
    found.update(numbers.astype(small, order="C").data)
    return found.hexdigest()


def images_digest(dataset: TaskDataset) -> str:
    """Return the digest of the file of images that the manifest has; without a manifest, what the file looks like."""
    stored = dataset.stored
    file = stored.manifest.files.get(layout.IMAGES) if stored.manifest is not None else None
    return file.sha256 if file is not None else f"shape {tuple(stored.images.shape)}"
