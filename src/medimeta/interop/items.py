"""Images and labels as the released loader gives them, and as torchcross's losses and metrics expect them."""

from __future__ import annotations

import torch

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.store.table import LabelArray


def released_pixels(images: torch.Tensor) -> torch.Tensor:
    """Turn uint8 images of any shape into float32 from -1 to 1, bit for bit as the released loader does by default.

    Examples
    --------
    >>> released_pixels(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([-1.,  1.])
    """
    pixels = images.to(torch.float32, memory_format=torch.contiguous_format)
    return pixels.div_(255).sub_(0.5).div_(0.5)


def released_labels(card: TaskCard, labels: LabelArray) -> LabelArray:
    """Give labels of shape ``(n,)``, or ``(n, L)`` for multi-label, the released shape: binary ones are ``(n, 1)``.

    A model for a binary task has one output, and torchcross compares outputs with labels of the same shape. Ordinal
    labels stay the original grades: torchcross looks them up among the keys of the classes.

    Examples
    --------
    >>> import medimeta as mm
    >>> import numpy as np
    >>> released_labels(mm.task("bus/malignancy"), np.array([0, 1, 1])).shape
    (3, 1)
    """
    return labels[:, None] if card.target is TaskTarget.BINARY else labels
