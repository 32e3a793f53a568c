"""Whether a score of 0.8 is right in 8 of 10 cases: the expected calibration error.

Samples are put into 15 bins of equal width by their confidence; the error is the mean distance, weighted by the samples
in each bin, of mean confidence and share that is right (Naeini et al. 2015, AAAI; 15 bins as Guo et al. 2017, ICML).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medimeta.learning.metrics.arithmetic import Floats, Weights

BINS = 15


class Reliability(NamedTuple):
    """Points of a reliability diagram, one for each bin that holds samples; all of shape (bins with samples,).

    Attributes
    ----------
    confidence, right : ndarray of float64
        Mean confidence, and share that is right.
    samples : ndarray of int64
        How many samples.
    """

    confidence: Floats
    right: Floats
    samples: npt.NDArray[np.int64]


class Calibration:
    """Confidences in bins, and whether each was right.

    Parameters
    ----------
    confidence : ndarray of float, shape (N,)
        In 0..1. A bin holds its lower edge; the last one 1.0, too.
    right : ndarray of bool, shape (N,)
        Whether what the confidence is in came true.
    bins : int
        How many.

    Examples
    --------
    >>> found = Calibration(np.array([0.75, 0.75, 0.1]), np.array([True, False, False]))
    >>> found.error(np.ones((1, 3), dtype=np.int32)).round(3).tolist()
    [0.2]
    """

    def __init__(self, confidence: Floats, right: npt.NDArray[np.bool_], bins: int = BINS) -> None:
        inner = np.linspace(0, 1, bins + 1)[1:-1]
        place = np.searchsorted(inner, confidence, side="right")
        self.order = np.argsort(place, kind="stable")
        _, self.starts = np.unique(place[self.order], return_index=True)
        self.confidence, self.right = confidence[self.order], right[self.order]
        self.gap: Floats = self.confidence - self.right

    def error(self, weights: Weights) -> Floats:
        """Compute the expected calibration error under each row of sample weights; shape (R,)."""
        gaps = np.add.reduceat(weights.take(self.order, axis=1) * self.gap, self.starts, axis=1)
        error: Floats = np.abs(gaps).sum(axis=1) / weights.sum(axis=1, dtype=np.float64)
        return error

    def reliability(self) -> Reliability:
        """Return the points of the reliability diagram."""
        samples = np.diff(np.append(self.starts, len(self.order)))
        confidence, right = (
            np.add.reduceat(each.astype(np.float64), self.starts) for each in (self.confidence, self.right)
        )
        return Reliability(confidence / samples, right / samples, samples)
