"""How often each label occurs, and the weights that make up for it in a loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.store.table import LabelArray, positives


class ClassCount(NamedTuple):
    """How many samples have a label, and how many have not."""

    positive: int
    negative: int


def class_counts(task: TaskCard, labels: LabelArray) -> dict[str, ClassCount]:
    """Count, for every label, the samples that have it and those that have not; right for all four kinds.

    Parameters
    ----------
    task : TaskCard
        The task.
    labels : ndarray of int64, shape (n,) or, multi-label, (n, L)
        Labels as stored.

    Examples
    --------
    >>> import medimeta as mm
    >>> class_counts(mm.task("bus/malignancy"), np.array([0, 1, 0]))["malignant finding"]
    ClassCount(positive=1, negative=2)
    """
    return {
        name: ClassCount(int(count), len(labels) - int(count))
        for name, count in zip(task.classes, positives(task, labels), strict=True)
    }


def class_weights(task: TaskCard, labels: LabelArray) -> npt.NDArray[np.float32]:
    """Weigh labels by the inverse of how often they occur.

    Parameters
    ----------
    task : TaskCard
        The task.
    labels : ndarray of int64, shape (n,) or, multi-label, (n, L)
        Labels as stored.

    Returns
    -------
    ndarray of float32
        Multi-class and ordinal, shape ``(K,)``: ``n / (K n_k)``, for `torch.nn.CrossEntropyLoss` ``(weight=...)``.
        A class without samples weighs 0 and does not count in ``K``, so that the mean weight of a sample is 1.
        Binary, shape ``(1,)``, and multi-label, shape ``(L,)``: negatives / positives, for
        `torch.nn.BCEWithLogitsLoss` ``(pos_weight=...)``; 1 where there are no positives or no negatives, and so
        nothing to balance.

    Notes
    -----
    ``n / (K n_k)``: King and Zeng, "Logistic regression in rare events data", Political Analysis 9 (2001); it is
    scikit-learn's ``class_weight="balanced"``. negatives / positives: PyTorch's documentation of BCEWithLogitsLoss.

    Examples
    --------
    >>> import medimeta as mm
    >>> class_weights(mm.task("bus/case category"), np.array([0, 0, 1, 2]))
    array([0.6666667, 1.3333334, 1.3333334], dtype=float32)
    >>> class_weights(mm.task("bus/malignancy"), np.array([0, 0, 0, 1]))
    array([3.], dtype=float32)
    """
    have = positives(task, labels).astype(np.float64)
    weights = np.zeros_like(have)
    if task.target in (TaskTarget.BINARY, TaskTarget.MULTILABEL):
        have = have[-task.outputs :]  # of a binary task, the label 1 alone
        negatives = len(labels) - have
        weights = np.ones_like(have)
        np.divide(negatives, have, out=weights, where=(have > 0) & (negatives > 0))
    else:
        there = have > 0
        np.divide(len(labels), there.sum() * have, out=weights, where=there)
    return weights.astype(np.float32)
