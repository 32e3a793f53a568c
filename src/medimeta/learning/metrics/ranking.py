"""How well scores order positives before negatives: areas under the ROC and the precision-recall curve.

The ROC area is the probability that a positive scores above a negative, ties counting half (Mann-Whitney U; Hanley and
McNeil 1982, Radiology 143:29). Average precision is the mean over positives of the precision at their score, the sum
that scikit-learn and torchmetrics take, without interpolation (Davis and Goadrich 2006, ICML). Scores are sorted once;
then a cumulative sum of weights gives both areas of a bootstrap resample.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medimeta.learning.metrics.arithmetic import Floats, Weights, ratio


class Ranking:
    """One column of scores, sorted.

    Parameters
    ----------
    positive : ndarray of bool, shape (N,)
        Which samples are positive.
    scores : ndarray of float, shape (N,)
        Higher means more positive.

    Examples
    --------
    >>> ranking = Ranking(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.8, 0.1]))
    >>> auroc, average_precision = ranking.areas(np.ones((1, 4), dtype=np.int32))
    >>> float(auroc[0]), round(float(average_precision[0]), 3)
    (0.875, 0.833)
    """

    def __init__(self, positive: npt.NDArray[np.bool_], scores: Floats) -> None:
        self.order = np.argsort(scores, kind="stable")
        ascending = scores[self.order]
        new = np.r_[True, ascending[1:] != ascending[:-1]]  # where a distinct score begins
        starts = np.append(np.flatnonzero(new), len(scores))
        tie = np.cumsum(new) - 1  # of each sample in order, which of the distinct scores it has
        # Only scores that a positive has count in either area, and a rare label has few of them.
        self.positives = np.flatnonzero(positive[self.order])
        ties, self.firsts = np.unique(tie[self.positives], return_index=True)
        self.starts, self.ends = starts[ties], starts[ties + 1]
        self.tied = len(self.firsts) < len(self.positives)  # positives with each other
        self.level = bool((self.ends - self.starts > 1).any())  # positives with anything

    def areas(self, weights: Weights) -> tuple[Floats, Floats]:
        """Compute both areas under each row of sample weights.

        Parameters
        ----------
        weights : ndarray of int32, shape (R, N)
            How often each sample counts, in each of R resamples.

        Returns
        -------
        auroc : ndarray of float64, shape (R,)
            In 0..1; NaN where the positives or the negatives weigh nothing.
        average_precision : ndarray of float64, shape (R,)
            In 0..1; NaN where the positives weigh nothing.
        """
        ordered = weights.take(self.order, axis=1)
        hits = ordered.take(self.positives, axis=1)
        if self.tied:
            hits = np.add.reduceat(hits, self.firsts, axis=1)
        up_to = np.zeros((len(weights), len(self.order) + 1), dtype=np.int32)
        np.cumsum(ordered, axis=1, out=up_to[:, 1:])  # of whole numbers: five times as fast as of others
        below = up_to.take(self.starts, axis=1)  # weight of all samples with a lower score
        hits_below = np.cumsum(hits, axis=1, dtype=np.int32) - hits
        beaten: Floats = (below - hits_below).astype(np.float64)
        if self.level:
            beaten += 0.5 * (up_to.take(self.ends, axis=1) - below - hits)  # the negatives of the same score
        own: Floats = hits.astype(np.float64)
        total, positive = up_to[:, -1].astype(np.float64), own.sum(axis=1)
        auroc = ratio(np.einsum("rs,rs->r", own, beaten), positive * (total - positive))

        reached: Floats = np.subtract(total[:, None], below)  # weight of all samples with this score or a higher one
        right: Floats = np.subtract(positive[:, None], hits_below)
        np.divide(right, reached, out=right, where=reached > 0)  # where nothing is reached, nothing is right either
        return auroc, ratio(np.einsum("rs,rs->r", own, right), positive)
