"""What an evaluation says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from medimeta.learning.metrics.bootstrap import Interval

AbsentRule = Literal["skip", "zero"]
"""What an absent class (no positive or no negative sample) counts in the mean: nothing, or 0 as in release 1.0."""

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "auroc": "AUROC",
        "average_precision": "Average precision",
        "accuracy": "Accuracy",
        "balanced_accuracy": "Balanced accuracy",
        "expected_calibration_error": "Expected calibration error",
        "quadratic_weighted_kappa": "Quadratic-weighted kappa",
        "mean_absolute_error": "Mean absolute error (grade steps)",
    }
)
"""The figures of a whole task, by the names of the fields of `Scores`, as a person calls them; the last two are of
ordinal tasks alone. Each has an interval, ``<name>_interval``."""

LOWER_IS_BETTER = frozenset({"expected_calibration_error", "mean_absolute_error"})


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """How well one class is told from the rest. Figures are None where they are not defined.

    Attributes
    ----------
    auroc : float or None
        Area under the ROC curve; None where the class has no positive or no negative sample.
    positives, negatives : int
        How many samples have the class, and how many do not.
    average_precision : float or None
        Mean precision over the positives; None where there is none.
    recall : float or None
        Share of the positives that are predicted: sensitivity.
    specificity : float or None
        Share of the negatives that are not predicted.
    auroc_interval, average_precision_interval, recall_interval, specificity_interval : (float, float) or None
        Bootstrap intervals.
    """

    auroc: float | None
    auroc_interval: Interval | None
    average_precision: float | None
    average_precision_interval: Interval | None
    recall: float | None
    recall_interval: Interval | None
    specificity: float | None
    specificity_interval: Interval | None
    positives: int
    negatives: int


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The evaluation of one task. Figures are fractions, 0 to 1; None where they are not defined.

    Every figure has a bootstrap interval, ``<name>_interval``; it is None where the figure is not defined, and without
    resamples.

    Attributes
    ----------
    task : str
        ``dataset/task``.
    samples : int
        How many samples were evaluated.
    absent : {"skip", "zero"}
        The rule by which `auroc` and `average_precision` are averaged over classes.
    auroc : float or None
        Mean of the one-vs-rest areas under the ROC curve; binary: that of class 1.
    auroc_by_rule : mapping of str to float or None
        AUROC by either rule.
    accuracy : float
        Share of right predictions; multi-label: of right labels (micro).
    per_class : mapping of str to ClassScores
        By label name; a binary task has one entry, its positive class.
    absent_classes : tuple of str
        Labels without AUROC.
    confidence, resamples : float, int
        Level of the intervals, and the number of bootstrap resamples behind them.
    average_precision : float or None
        Mean over classes of the average precision; binary: that of class 1.
    average_precision_by_rule : mapping of str to float or None
        Average precision by either rule.
    balanced_accuracy : float
        Mean recall of the classes that there are; binary: of class 0 and 1; multi-label: the mean over labels of that.
    expected_calibration_error : float
        How far scores are from the share that is right.
    quadratic_weighted_kappa : float or None
        Agreement of grades beyond chance, -1 to 1; ordinal tasks alone.
    mean_absolute_error : float or None
        In grade steps; ordinal tasks alone.
    groups : int or None
        How many patients were drawn from in each resample; None where samples were.
    seed : int
        Seed of the resamples.
    """

    task: str
    samples: int
    absent: AbsentRule
    auroc: float | None
    auroc_interval: Interval | None
    auroc_by_rule: Mapping[str, float | None]
    average_precision: float | None
    average_precision_interval: Interval | None
    average_precision_by_rule: Mapping[str, float | None]
    accuracy: float
    accuracy_interval: Interval | None
    balanced_accuracy: float
    balanced_accuracy_interval: Interval | None
    expected_calibration_error: float
    expected_calibration_error_interval: Interval | None
    quadratic_weighted_kappa: float | None = None
    quadratic_weighted_kappa_interval: Interval | None = None
    mean_absolute_error: float | None = None
    mean_absolute_error_interval: Interval | None = None
    per_class: Mapping[str, ClassScores]
    absent_classes: tuple[str, ...]
    confidence: float
    resamples: int
    groups: int | None = None
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)
