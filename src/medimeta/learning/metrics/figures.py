"""All figures of a task's scores at once, under many sample weights."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from medimeta._processors import usable_processors
from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.learning.metrics.arithmetic import Floats, Weights, mean_of_defined, ratio
from medimeta.learning.metrics.bootstrap import Units
from medimeta.learning.metrics.calibration import Calibration
from medimeta.learning.metrics.decisions import Decisions, Steps, quadratic_weighted_kappa
from medimeta.learning.metrics.ranking import Ranking
from medimeta.store.table import LabelArray

THRESHOLD = 0.5
"""A binary or multi-label score from here on predicts the label."""

PER_CLASS = ("auroc", "average_precision", "recall", "specificity")
"""Figures that every class has; of shape (R, classes), the others of shape (R,)."""

_BLOCK_VALUES = 130_000  # weights worked on at a time: they and their sums stay in a core's cache

Figures = dict[str, Floats]


def one_of_several(card: TaskCard) -> bool:
    """Whether one of several classes is right, rather than each output being so or not."""
    return card.target in (TaskTarget.MULTICLASS, TaskTarget.ORDINAL)


class Prepared:
    """Labels and scores of a task, sorted and counted as far as that does not depend on the weights.

    Parameters
    ----------
    card : TaskCard
        The task.
    known : ndarray of int64, shape (N,) or (N, L)
        Classes by their place, or 0 and 1 of every label.
    scores : ndarray of float64, shape (N,), (N, K) or (N, L)
        Probabilities.
    """

    def __init__(self, card: TaskCard, known: LabelArray, scores: Floats) -> None:
        self.card = card
        columns = scores.reshape(len(known), -1)
        places = range(columns.shape[1])
        if one_of_several(card):
            predicted = columns.argmax(axis=1)
            positive = [known == place for place in places]
            said = [predicted == place for place in places]
            right = predicted == known
            self.calibrations = [Calibration(columns[np.arange(len(known)), predicted], right)]
        else:
            truth = known.reshape(len(known), -1) == 1
            positive = [truth[:, place] for place in places]
            said = [columns[:, place] >= THRESHOLD for place in places]
            self.calibrations = [Calibration(columns[:, place], positive[place]) for place in places]
        self.rankings = [Ranking(positive[place], columns[:, place]) for place in places]
        self.decisions = [Decisions(*each) for each in zip(positive, said, strict=True)]
        self.steps = Steps(known, predicted) if card.target is TaskTarget.ORDINAL else None

    def under(self, weights: Weights) -> Figures:
        """Compute every figure under each row of sample weights, ``(R, N)``."""
        auroc, average_precision = (
            np.stack(areas, axis=1) for areas in zip(*(each.areas(weights) for each in self.rankings), strict=True)
        )
        known, said, both = (
            np.stack(counts, axis=1) for counts in zip(*(each.counts(weights) for each in self.decisions), strict=True)
        )
        total = weights.sum(axis=1, dtype=np.float64)
        recall = ratio(both, known)
        neither = total[:, None] - known - said + both
        specificity = ratio(neither, total[:, None] - known)
        found = {
            "auroc": auroc,
            "average_precision": average_precision,
            "recall": recall,
            "specificity": specificity,
            "expected_calibration_error": np.mean([each.error(weights) for each in self.calibrations], axis=0),
        }
        if one_of_several(self.card):
            found["accuracy"] = both.sum(axis=1) / total
            found["balanced_accuracy"] = mean_of_defined(recall)
        else:
            found["accuracy"] = (both + neither).mean(axis=1) / total
            found["balanced_accuracy"] = mean_of_defined(np.stack([recall, specificity], axis=2)).mean(axis=1)
        if self.steps is not None:
            steps, squares = self.steps.sums(weights)
            found["quadratic_weighted_kappa"] = quadratic_weighted_kappa(squares, known, said)
            found["mean_absolute_error"] = steps / total
        return found

    def positives(self) -> list[int]:
        """Return how many samples have each class or label."""
        return [len(each.positive) for each in self.decisions]

    def once(self) -> Figures:
        """Compute every figure of the samples themselves: R = 1."""
        return self.under(np.ones((1, len(self.rankings[0].order)), dtype=np.int32))


def resampled(models: Sequence[Prepared], units: Units, samples: int, resamples: int, seed: int) -> list[Figures]:
    """Compute the figures of several models of the same samples over the same resamples.

    Parameters
    ----------
    models : sequence of Prepared
        One for each model.
    units : Units
        What is drawn.
    samples, resamples : int
        How many there are, and are to be drawn.
    seed : int
        Seed of the drawing.

    Returns
    -------
    list of dict
        For each model, each figure with `resamples` rows.
    """
    rows = max(1, _BLOCK_VALUES // samples)
    blocks = [range(first, min(first + rows, resamples)) for first in range(0, resamples, rows)]

    def block(numbers: range) -> list[Figures]:
        weights = units.weights(seed, numbers)
        return [model.under(weights) for model in models]

    with ThreadPoolExecutor(usable_processors()) as threads:  # NumPy lets go of the lock in all that takes time
        parts = list(threads.map(block, blocks))
    return [
        {name: np.concatenate([part[place][name] for part in parts]) for name in parts[0][place]}
        for place in range(len(models))
    ]


def members(card: TaskCard, known: LabelArray) -> list[npt.NDArray[np.int64]]:
    """Return for each class or label the samples that have it."""
    if card.target is TaskTarget.MULTILABEL:
        return [np.flatnonzero(column) for column in known.T]
    return [np.flatnonzero(known == place) for place in range(len(card.labels))]
