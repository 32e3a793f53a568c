"""The fully supervised protocol of the paper's Table 1."""

from __future__ import annotations

from medimeta.learning.config import TrainConfig
from medimeta.learning.device import best_precision

# The paper trains ResNet-18 at 1e-3 and ResNet-50 at 1e-4; whatever it does not name gets the more careful rate.
LEARNING_RATES = {"resnet18": 1e-3, "resnet50": 1e-4}
OTHER_LEARNING_RATE = 1e-4


def paper_config(backbone: str, *, weights: str = "imagenet", seed: int = 0, max_epochs: int = 100) -> TrainConfig:
    """Return the paper's settings for a backbone.

    Adam without weight decay or schedule, batches of 64, early stopping on validation AUROC with a patience of 10
    epochs, ImageNet statistics, flips, rotation and crops (paper, section 3). The precision is this machine's best.

    Examples
    --------
    >>> paper_config("resnet50").learning_rate
    0.0001
    """
    return TrainConfig(
        backbone=backbone,
        weights=weights,
        learning_rate=LEARNING_RATES.get(backbone, OTHER_LEARNING_RATE),
        max_epochs=max_epochs,
        precision=best_precision(),
        seed=seed,
    )
