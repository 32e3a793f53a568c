"""Areas under ROC curves, for many resamples at once.

The area is the probability that a positive scores above a negative, ties counting half (Mann-Whitney U; Hanley and
McNeil 1982, Radiology 143:29). With a weight for each sample, one sort serves every bootstrap resample.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_BLOCK_VALUES = 4_000_000  # weights worked on at a time: about 100 MB with their sums


def weighted_auroc(positive: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    """Compute the area under the ROC curve under each row of sample weights.

    Parameters
    ----------
    positive : ndarray of bool, shape (N,)
        Which samples are positive.
    scores : ndarray of float, shape (N,)
        Higher means more positive.
    weights : ndarray of float, shape (R, N)
        How often each sample counts, in each of R resamples.

    Returns
    -------
    ndarray of float, shape (R,)
        Areas in 0..1; NaN where the positives or the negatives weigh nothing.

    Examples
    --------
    >>> positive, scores = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.8, 0.1])
    >>> weighted_auroc(positive, scores, np.ones((1, 4)))
    array([0.875])
    """
    order = np.argsort(scores, kind="stable")
    positive, ascending = positive[order], scores[order]
    starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])  # first sample of each distinct score
    block = max(1, _BLOCK_VALUES // max(1, len(scores)))
    areas = [
        _areas(positive, starts, weights[first : first + block][:, order]) for first in range(0, len(weights), block)
    ]
    return np.concatenate(areas) if areas else np.empty(0)


def _areas(positive: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64], weights: Floats) -> Floats:
    ties_positive = np.add.reduceat(weights * positive, starts, axis=1)
    ties_negative = np.add.reduceat(weights * ~positive, starts, axis=1)
    below = np.cumsum(ties_negative, axis=1) - ties_negative
    wins = (ties_positive * (below + 0.5 * ties_negative)).sum(axis=1)
    pairs = ties_positive.sum(axis=1) * ties_negative.sum(axis=1)
    areas: Floats = np.divide(wins, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
    return areas
