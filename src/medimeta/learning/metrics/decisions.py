"""How often what is predicted is right: recall, specificity, accuracy, kappa and distance between grades.

Each is made of a few sums of weights over sets of samples, and a resample only changes the weights.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medimeta.learning.metrics.arithmetic import Floats, Weights, ratio

Members = npt.NDArray[np.int64]


def weight_of(weights: Weights, members: Members) -> Floats:
    """Sum the weights of some samples; shape (R,)."""
    found: Floats = weights.take(members, axis=1).sum(axis=1, dtype=np.float64)
    return found


class Decisions:
    """What is right, and what is predicted, of one class or label.

    Parameters
    ----------
    positive, predicted : ndarray of bool, shape (N,)
        Which samples have the class, and which are said to have it.
    """

    def __init__(self, positive: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> None:
        self.positive = np.flatnonzero(positive)
        self.predicted = np.flatnonzero(predicted)
        self.both = np.flatnonzero(positive & predicted)

    def counts(self, weights: Weights) -> tuple[Floats, Floats, Floats]:
        """Sum the weights of the samples that have the class, are said to have it, and both; shape (R,) each."""
        return weight_of(weights, self.positive), weight_of(weights, self.predicted), weight_of(weights, self.both)


class Steps:
    """How far predicted grades are from the right ones, in steps of the ordered grades.

    Parameters
    ----------
    known, predicted : ndarray of int64, shape (N,)
        Places of the grades in ascending order.
    """

    def __init__(self, known: Members, predicted: Members) -> None:
        steps = np.abs(known - predicted)
        self.wrong = np.flatnonzero(steps)
        self.steps = steps[self.wrong].astype(np.float64)

    def sums(self, weights: Weights) -> tuple[Floats, Floats]:
        """Sum steps and squared steps under each row of weights; shape (R,) each."""
        wrong = weights.take(self.wrong, axis=1).astype(np.float64)
        return wrong @ self.steps, wrong @ self.steps**2


def quadratic_weighted_kappa(squares: Floats, known: Floats, predicted: Floats) -> Floats:
    """Compute Cohen's kappa with squared distances as weights (Cohen 1968, Psychological Bulletin 70:213).

    1 minus the observed sum of squared steps over that expected if predictions had nothing to do with the labels.

    Parameters
    ----------
    squares : ndarray of float64, shape (R,)
        Sum of squared steps.
    known, predicted : ndarray of float64, shape (R, K)
        How many samples have each grade, and how many are said to have it.

    Returns
    -------
    ndarray of float64, shape (R,)
        At most 1, 0 for chance; NaN where all labels and predictions are one and the same grade.
    """
    grades = np.arange(known.shape[1], dtype=np.float64)
    apart = (grades[:, None] - grades) ** 2
    expected = ((known @ apart) * predicted).sum(axis=1) / known.sum(axis=1)
    return 1 - ratio(squares, expected)
