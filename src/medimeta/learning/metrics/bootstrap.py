"""Bootstrap resamples as sample weights, and what is concluded from the figures of many.

A resample draws as many units as there are, with replacement; a sample weighs as often as it was drawn (Efron and
Tibshirani 1993, An Introduction to the Bootstrap). Units are samples or, where they are known, patients: images of one
patient are alike, and drawing them one by one would make intervals too narrow. Units are drawn within strata, so that
no rare class is left out of a resample: each unit belongs to the rarest class that it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta.learning.metrics.arithmetic import Floats

Interval = tuple[float, float]
Groups = Sequence[Any] | npt.NDArray[Any]
"""Patient of each sample: anything that can be a key of a dict."""


class Units:
    """What is drawn.

    Parameters
    ----------
    count : int
        How many samples there are.
    classes : iterable of ndarray of int64
        For each class, the samples that have it; a sample may have several classes or none.
    groups : ndarray of int64, shape (N,), optional
        Number of each sample's patient, from 0 without a gap; without it each sample is a unit.

    Examples
    --------
    >>> units = Units(4, [np.array([0]), np.array([1, 2, 3])])
    >>> units.weights(seed=0, rows=range(2)).sum(axis=1).tolist(), units.weights(0, range(2))[:, 0].tolist()
    ([4, 4], [1, 1])
    """

    def __init__(
        self, count: int, classes: Iterable[npt.NDArray[np.int64]], groups: npt.NDArray[np.int64] | None = None
    ) -> None:
        self.groups = groups
        self.count = count if groups is None else int(groups.max()) + 1
        having = [members if groups is None else np.unique(groups[members]) for members in classes]
        stratum = np.full(self.count, -1)
        for number, units in enumerate(sorted(having, key=len, reverse=True)):  # rarer classes take theirs last
            stratum[units] = number
        self._units = np.argsort(stratum, kind="stable")
        _, place, size = np.unique(stratum[self._units], return_inverse=True, return_counts=True)
        self._low = (np.cumsum(size) - size)[place]
        self._size = size[place]

    def weights(self, seed: int, rows: Iterable[int]) -> npt.NDArray[np.int32]:
        """Draw resamples by their numbers; the same number is the same resample, whichever are drawn with it.

        Parameters
        ----------
        seed : int
            Seed of all resamples.
        rows : iterable of int
            Numbers of the resamples.

        Returns
        -------
        ndarray of int32, shape (rows, N)
            How often each sample counts.
        """
        return np.stack([self._draw(np.random.default_rng([seed, row])) for row in rows])

    def _draw(self, generator: np.random.Generator) -> npt.NDArray[np.int32]:
        places = self._low + (generator.random(self.count) * self._size).astype(np.int64)
        drawn = np.bincount(self._units[places], minlength=self.count).astype(np.int32)
        return drawn if self.groups is None else drawn[self.groups]


def group_numbers(groups: Groups) -> npt.NDArray[np.int64]:
    """Count groups from 0 in order of first appearance; None and NaN are each a group of its own.

    Raises
    ------
    TypeError
        A group cannot be compared, such as a list.

    Examples
    --------
    >>> group_numbers(["P7", "P3", None, "P7", None])
    array([0, 1, 2, 0, 3])
    """
    numbers: dict[Any, int] = {}
    listed = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)
    keys = ((place,) if group is None or group != group else (group, 0) for place, group in enumerate(listed))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def interval(values: Floats, confidence: float) -> Interval | None:
    """Return the percentile interval of a figure over resamples; those where it is not defined (NaN) do not count."""
    values = values[~np.isnan(values)]
    if not values.size:
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def p_value(differences: Floats) -> float | None:
    """Return the two-sided p-value of a difference being 0, from its values over resamples.

    Twice the smaller tail beyond 0, so that it is below 0.05 where the 95 % interval leaves out 0; one more is counted
    on either side, so that it is never 0 (Davison and Hinkley 1997, Bootstrap Methods and their Application, 4.2).
    """
    differences = differences[~np.isnan(differences)]
    if not differences.size:
        return None
    tail = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (1 + tail) / (1 + differences.size))
