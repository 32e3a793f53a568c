"""What came of a few-shot evaluation: figures of every episode, their mean, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta.learning.fewshot.config import FewShotConfig

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

NORMAL_95 = 1.96  # standard errors to either side of a mean; as in release 1.0


@dataclass(frozen=True, eq=False)
class FewShotResult:
    """Figures over the episodes of a task. They are fractions, 0 to 1.

    Attributes
    ----------
    task : str
        ``dataset/task``.
    config : FewShotConfig
        How it was run.
    classes, left_out : tuple of str
        The classes that episodes are drawn from, and those that have too few images.
    ways : int or None
        Classes of an episode; None for multi-label tasks.
    subjects_known : bool
        Whether support and query sets are of different subjects.
    aurocs, accuracies : ndarray of float64, shape (E,)
        Of the query set of each episode. Macro AUROC; NaN where no class has one.
    seconds : float
        Of everything: reading, learning, predicting.
    images : int
        Support and query images of all episodes together.
    predictions : mapping of str to ndarray
        ``episode`` (T,), ``samples`` (T,), ``labels`` and ``scores``: the episode of each query image, its index in the
        stored dataset, its label as the episode counts it, and its scores; ``classes`` (E, ways): places of each
        episode's classes in those of the task; ``support_episode`` (U,) and ``support_samples`` (U,).
    """

    task: str
    config: FewShotConfig
    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    ways: int | None
    subjects_known: bool
    aurocs: Floats
    accuracies: Floats
    seconds: float
    images: int
    predictions: Mapping[str, npt.NDArray[Any]]

    @property
    def auroc(self) -> float | None:
        """Mean AUROC over the episodes; None where no episode has one."""
        return _mean(self.aurocs)

    @property
    def standard_error(self) -> float | None:
        """Standard error of `auroc`; None for fewer than two episodes."""
        return _standard_error(self.aurocs)

    @property
    def interval(self) -> Interval | None:
        """The mean AUROC minus and plus 1.96 standard errors; None for fewer than two episodes."""
        return _interval(self.aurocs)

    @property
    def accuracy(self) -> float | None:
        """Mean accuracy over the episodes."""
        return _mean(self.accuracies)

    @property
    def accuracy_standard_error(self) -> float | None:
        """Standard error of `accuracy`; None for fewer than two episodes."""
        return _standard_error(self.accuracies)

    @property
    def accuracy_interval(self) -> Interval | None:
        """The mean accuracy minus and plus 1.96 standard errors; None for fewer than two episodes."""
        return _interval(self.accuracies)

    @property
    def images_per_second(self) -> float:
        """Support and query images of all episodes, by the seconds that everything took."""
        return self.images / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON: what follows from data and settings, and no times."""
        return {
            "task": self.task,
            "auroc": self.auroc,
            "auroc_interval": self.interval,
            "auroc_standard_error": self.standard_error,
            "auroc_episodes": _plain(self.aurocs),
            "accuracy": self.accuracy,
            "accuracy_interval": self.accuracy_interval,
            "accuracy_standard_error": self.accuracy_standard_error,
            "accuracy_episodes": _plain(self.accuracies),
            "shots": self.config.shots,
            "queries": self.config.queries,
            "ways": self.ways,
            "episodes": self.config.episodes,
            "classes": list(self.classes),
            "left_out": list(self.left_out),
            "subjects_known": self.subjects_known,
        }

    def __repr__(self) -> str:
        return f"FewShotResult({self.task!r}, {self})"

    def __str__(self) -> str:
        half = "" if self.standard_error is None else f" +- {NORMAL_95 * self.standard_error:.3f}"
        area = "not defined" if self.auroc is None else f"{self.auroc:.3f}{half}"
        return f"{self.config.method}, {self.config.shots} shots: AUROC {area} over {len(self.aurocs)} episodes"


def _defined(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _mean(values: Floats) -> float | None:
    known = _defined(values)
    return float(known.mean()) if known.size else None


def _standard_error(values: Floats) -> float | None:
    """Return the sample's standard deviation over the root of its size."""
    known = _defined(values)
    return float(known.std(ddof=1) / math.sqrt(known.size)) if known.size > 1 else None


def _interval(values: Floats) -> Interval | None:
    mean, error = _mean(values), _standard_error(values)
    return None if mean is None or error is None else (mean - NORMAL_95 * error, mean + NORMAL_95 * error)


def _plain(values: Floats) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]
