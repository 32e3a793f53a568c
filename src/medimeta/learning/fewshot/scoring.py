"""From the logits of an episode to scores, and from scores to its figures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.learning.metrics import macro_auroc

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def scores_of(task: TaskCard, logits: torch.Tensor) -> Floats:
    """Turn logits ``(m, outputs)`` into probabilities: ``(m,)`` for binary tasks, else ``(m, classes)``.

    In float64: in float32, a network that is sure of itself gives many images the score 1, and ties cost AUROC.
    """
    wide = logits.detach().double().cpu()
    if task.target is TaskTarget.BINARY:
        wide = wide[:, 0].sigmoid()
    elif task.target is TaskTarget.MULTILABEL:
        wide = wide.sigmoid()
    else:
        wide = wide.softmax(dim=1)
    found: Floats = wide.numpy()
    return found


def auroc(task: TaskCard, labels: Labels, scores: Floats) -> float:
    """Return the macro AUROC of an episode; labels without positives or negatives are skipped."""
    return macro_auroc(task, labels, scores)


def accuracy(task: TaskCard, labels: Labels, scores: Floats) -> float:
    """Return the share of right predictions; multi-label: of right labels (micro). Sigmoid scores count from 0.5.

    Examples
    --------
    >>> import medimeta as mm
    >>> accuracy(mm.task("bus/malignancy"), np.array([0, 1, 1]), np.array([0.2, 0.5, 0.4])).__round__(3)
    0.667
    """
    one_of_several = task.target in (TaskTarget.MULTICLASS, TaskTarget.ORDINAL)
    predicted = scores.argmax(axis=1) if one_of_several else scores >= 0.5
    return float((predicted == labels).mean())
