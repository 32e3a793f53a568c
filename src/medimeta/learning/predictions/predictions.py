"""What a model says of the samples of a split, and a fingerprint of which samples these are, in which order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medimeta.store.layout import split_text

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Scores of a model for the samples of one split.

    Attributes
    ----------
    task : str
        ``dataset/task``.
    split : str
        One of train, val and test.
    data : str or None
        Fingerprint of the dataset, see `medimeta.store.reader.StoredDataset.fingerprint`; None where it is not told.
    samples : ndarray of int64, shape (N,), or None
        Index of each sample in the dataset; None where it is not told.
    labels : ndarray of int64, shape (N,) or (N, L), or None
        Labels as stored; None where they are to be looked up in the dataset.
    scores : ndarray of float64, shape (N,), (N, K) or (N, L)
        Probabilities, as `medimeta.evaluate` takes them.
    subjects : ndarray of int64, shape (N,), or None
        Number of each sample's patient; None where it is not told.

    Examples
    --------
    >>> found = Predictions("bus/malignancy", "test", None, np.array([0, 2]), np.array([0, 1]), np.array([0.2, 0.7]))
    >>> found.samples_sha256[:8]
    'c52724b3'
    """

    task: str
    split: str
    data: str | None
    samples: Integers | None
    labels: Integers | None
    scores: Floats
    subjects: Integers | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def samples_sha256(self) -> str | None:
        """SHA-256 of the samples' names in their order: of a whole split, that of its file ``splits/<split>.txt``."""
        return None if self.samples is None else samples_digest(self.samples)


def samples_digest(samples: Integers) -> str:
    """Return the SHA-256 of the names of samples, one a line, without a newline at the end."""
    return hashlib.sha256(split_text(samples.tolist()).encode()).hexdigest()
