"""The figures of every epoch, and what follows from them alone: the best epoch, and when to stop.

Whether training is interrupted between two epochs then makes no difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Figures = dict[str, float]
"""``train_loss``, ``val_loss`` and ``val_auroc`` of an epoch."""
Monitor = Literal["val_auroc", "val_loss"]


def best_epoch(history: Sequence[Figures], monitor: Monitor) -> int:
    """Return the number of the best epoch, counted from 1; of equally good ones the first.

    Examples
    --------
    >>> best_epoch([{"val_auroc": 0.7}, {"val_auroc": 0.9}, {"val_auroc": 0.9}], "val_auroc")
    2
    """
    sign = -1 if monitor == "val_loss" else 1
    values = [sign * figures[monitor] for figures in history]
    return 1 + values.index(max(values))


def is_finished(history: Sequence[Figures], monitor: Monitor, *, patience: int, max_epochs: int) -> bool:
    """Tell whether training ends after these epochs.

    Examples
    --------
    >>> epochs = [{"val_loss": 0.5}, {"val_loss": 0.4}, {"val_loss": 0.4}, {"val_loss": 0.6}]
    >>> [is_finished(epochs[:count], "val_loss", patience=2, max_epochs=9) for count in (3, 4)]
    [False, True]
    """
    if not history:
        return False
    return len(history) >= max_epochs or len(history) - best_epoch(history, monitor) >= patience


def has_diverged(figures: Figures) -> bool:
    """Tell whether an epoch's losses are no longer numbers."""
    return not (math.isfinite(figures["train_loss"]) and math.isfinite(figures["val_loss"]))
