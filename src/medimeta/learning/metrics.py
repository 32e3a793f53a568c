"""Evaluate scores of a task: AUROC under both rules for absent classes, accuracy, and bootstrap intervals.

Definitions are those of the release's validation: binary, the ROC area of the score; multi-class and ordinal, the macro
mean of one-vs-rest areas (ordinal grades by their ascending index); multi-label, the macro mean over labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.errors import MetricError, bullet_list
from medimeta.learning.auroc import Floats, weighted_auroc
from medimeta.store.table import class_indices

AbsentRule = Literal["skip", "zero"]
"""What an absent class (no positive or no negative sample) counts in the mean: nothing, or 0 as in release 1.0."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class ClassScores:
    """How well one class is told from the rest; `auroc` is None where the class has no positive or no negative."""

    auroc: float | None
    positives: int
    negatives: int


@dataclass(frozen=True)
class Scores:
    """The evaluation of one task. Figures are fractions, 0 to 1; None where they are not defined.

    Attributes
    ----------
    task : str
        ``dataset/task``.
    samples : int
        How many samples were evaluated.
    absent : {"skip", "zero"}
        The rule by which `auroc` was made.
    auroc : float or None
        By the rule of `absent`.
    auroc_interval : (float, float) or None
        Its bootstrap interval.
    auroc_by_rule : mapping of str to float or None
        AUROC by either rule.
    accuracy : float
        Share of right predictions; multi-label: of right labels (micro).
    accuracy_interval : (float, float) or None
        Its bootstrap interval.
    per_class : mapping of str to ClassScores
        By label name; a binary task has one entry, its positive class.
    absent_classes : tuple of str
        Labels without AUROC.
    confidence, resamples : float, int
        Level of the intervals, and the number of bootstrap resamples behind them.
    """

    task: str
    samples: int
    absent: AbsentRule
    auroc: float | None
    auroc_interval: Interval | None
    auroc_by_rule: Mapping[str, float | None]
    accuracy: float
    accuracy_interval: Interval | None
    per_class: Mapping[str, ClassScores]
    absent_classes: tuple[str, ...]
    confidence: float
    resamples: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def evaluate(
    task: TaskCard | str,
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    absent: AbsentRule = "skip",
    resamples: int = 1000,
    confidence: float = 0.95,
    groups: Sequence[Any] | None = None,
    seed: int = 0,
) -> Scores:
    """Evaluate scores of a task.

    Parameters
    ----------
    task : TaskCard or str
        The task, or its name in the catalogue.
    labels : array of int, shape (N,) or (N, L)
        Labels as stored.
    scores : array of float, shape (N,), (N, K) or (N, L)
        Probabilities: binary, of class 1, shape ``(N,)`` or ``(N, 1)``; else one column per label.
    absent : {"skip", "zero"}
        Whether a class without positives or negatives is left out of the mean, or counts 0.
    resamples : int
        Bootstrap resamples; 0 makes no intervals.
    confidence : float
        Level of the intervals.
    groups : sequence, optional
        Patient of each sample; then patients are drawn, not samples.
    seed : int
        Seed of the resampling.

    Returns
    -------
    Scores
        The figures.

    Raises
    ------
    UnknownNameError
        There is no such task.
    MetricError
        Labels and scores do not fit the task or each other; every problem is listed.

    Examples
    --------
    >>> result = evaluate("bus/malignancy", [0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], resamples=200)
    >>> result.auroc, result.accuracy
    (0.75, 0.5)
    """
    card = default_catalogue().task(task) if isinstance(task, str) else task
    known, predicted = _checked(card, labels, scores, absent, resamples, confidence, groups)
    positive = _one_vs_rest(card, known)
    columns = predicted[:, None] if predicted.ndim == 1 else predicted
    draws = _bootstrap_weights(card, known, resamples, groups, seed)
    weights = np.concatenate([np.ones((1, len(known))), draws])  # row 0 is the sample itself
    areas = np.stack(
        [weighted_auroc(positive[:, column], columns[:, column], weights) for column in range(columns.shape[1])],
        axis=1,
    )
    means = {rule: _macro(areas, rule) for rule in get_args(AbsentRule)}
    right = _right(card, known, predicted)
    accuracy = (weights * right).sum(axis=1) / weights.sum(axis=1)
    names = card.classes[1:] if card.target is TaskTarget.BINARY else card.classes
    per_class = {
        name: ClassScores(_defined(areas[0, column]), int(count), len(known) - int(count))
        for column, (name, count) in enumerate(zip(names, positive.sum(axis=0), strict=True))
    }
    return Scores(
        task=card.id,
        samples=len(known),
        absent=absent,
        auroc=_defined(means[absent][0]),
        auroc_interval=_interval(means[absent][1:], confidence),
        auroc_by_rule={rule: _defined(values[0]) for rule, values in means.items()},
        accuracy=float(accuracy[0]),
        accuracy_interval=_interval(accuracy[1:], confidence),
        per_class=per_class,
        absent_classes=tuple(name for name, result in per_class.items() if result.auroc is None),
        confidence=confidence,
        resamples=resamples,
    )


def macro_auroc(card: TaskCard, labels: npt.NDArray[np.int64], scores: Floats) -> float:
    """Return the AUROC alone, absent classes skipped; NaN where no class has both positives and negatives."""
    known = class_indices(card, labels)
    positive = _one_vs_rest(card, known)
    columns = scores[:, None] if scores.ndim == 1 else scores
    ones = np.ones((1, len(known)))
    areas = [weighted_auroc(positive[:, column], columns[:, column], ones) for column in range(columns.shape[1])]
    return float(_macro(np.stack(areas, axis=1), "skip")[0])


def _checked(
    card: TaskCard,
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    absent: str,
    resamples: int,
    confidence: float,
    groups: Sequence[Any] | None,
) -> tuple[npt.NDArray[np.int64], Floats]:
    try:
        known, predicted = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise MetricError(f"{card.id}: cannot be evaluated:\n  - labels and scores must be numbers ({error})") from None
    if card.target is TaskTarget.BINARY and predicted.ndim == 2 and predicted.shape[1] == 1:
        predicted = predicted[:, 0]
    count = len(known) if known.ndim else 0
    multilabel = card.target is TaskTarget.MULTILABEL
    label_shape = (count, len(card.labels)) if multilabel else (count,)
    score_shape = (count,) if card.target is TaskTarget.BINARY else (count, len(card.labels))
    problems = []
    if absent not in get_args(AbsentRule):
        problems.append(f"absent must be 'skip' or 'zero', got {absent!r}")
    if resamples < 0 or not 0 < confidence < 1:
        problems.append(f"resamples must be 0 or more and confidence within 0..1, got {resamples} and {confidence}")
    if count == 0:
        problems.append("there are no samples")
    if known.shape != label_shape or known.dtype.kind not in "iub":
        problems.append(f"labels must be integers of shape {label_shape}, got {known.dtype} {known.shape}")
    else:
        strange = np.setdiff1d(known, [0, 1] if multilabel else card.keys)
        if strange.size:
            problems.append(f"labels hold {strange[:10].tolist()}, which the task does not know")
    if predicted.shape != score_shape:
        problems.append(f"scores must have the shape {score_shape}, got {predicted.shape}")
    elif not np.isfinite(predicted).all():
        rows = np.flatnonzero(~np.isfinite(predicted).reshape(count, -1).all(axis=1))
        problems.append(f"scores of {rows.size} samples are not finite, the first is sample {rows[0]}")
    elif predicted.size and (predicted.min() < 0 or predicted.max() > 1):
        problems.append(
            f"scores must be probabilities in 0..1, got {predicted.min():.4g} to {predicted.max():.4g}; "
            f"apply the sigmoid or softmax to logits first"
        )
    if groups is not None and len(groups) != count:
        problems.append(f"groups must name one group a sample, got {len(groups)} for {count} samples")
    if problems:
        raise MetricError(f"{card.id}: cannot be evaluated:\n{bullet_list(problems)}")
    return class_indices(card, known.astype(np.int64)), predicted


def _one_vs_rest(card: TaskCard, known: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    columns = known if card.target is TaskTarget.MULTILABEL else known[:, None]
    wanted = np.arange(len(card.labels)) if _has_classes(card) else 1
    positive: npt.NDArray[np.bool_] = columns == wanted
    return positive


def _right(card: TaskCard, known: npt.NDArray[np.int64], predicted: Floats) -> Floats:
    """Return for each sample the share of its labels that are predicted right: 0 or 1, or between for multi-label."""
    if _has_classes(card):
        right = (predicted.argmax(axis=1) == known)[:, None]
    else:
        right = ((predicted >= 0.5) == (known == 1)).reshape(len(known), -1)
    share: Floats = right.mean(axis=1)
    return share


def _has_classes(card: TaskCard) -> bool:
    """Whether one of several classes is right, rather than each output being so or not."""
    return card.target in (TaskTarget.MULTICLASS, TaskTarget.ORDINAL)


def _macro(areas: Floats, rule: str) -> Floats:
    """Average over classes; `areas` has the shape (R, classes), NaN for absent ones."""
    present = ~np.isnan(areas)
    counts = np.full(len(areas), areas.shape[1]) if rule == "zero" else present.sum(axis=1)
    sums = np.where(present, areas, 0).sum(axis=1)
    means: Floats = np.divide(sums, counts, out=np.full(len(areas), np.nan), where=counts > 0)
    return means


def _bootstrap_weights(
    card: TaskCard, known: npt.NDArray[np.int64], resamples: int, groups: Sequence[Any] | None, seed: int
) -> Floats:
    """Draw how often each sample counts in each resample; shape (resamples, N).

    Samples are drawn within their class, so that no class vanishes. Patients are drawn whole, and labels of
    multi-label samples cannot be kept apart: there a label may vanish from a resample and is then absent from it.
    """
    generator = np.random.default_rng(seed)
    if groups is not None:
        numbers: dict[Any, int] = {}
        member = [numbers.setdefault(group, len(numbers)) for group in groups]
        drawn = generator.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), size=resamples)
        return drawn[:, member].astype(np.float64)
    strata = np.zeros(len(known), dtype=np.int64) if card.target is TaskTarget.MULTILABEL else known
    weights = np.empty((resamples, len(known)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        share = np.full(len(members), 1 / len(members))
        weights[:, members] = generator.multinomial(len(members), share, size=resamples)
    return weights


def _interval(values: Floats, confidence: float) -> Interval | None:
    values = values[~np.isnan(values)]
    if not values.size:
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
