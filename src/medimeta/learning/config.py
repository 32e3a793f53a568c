"""How a model is trained: a frozen, hashed description, so that equal numbers can be traced to equal settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from medimeta.errors import UsageError, bullet_list
from medimeta.learning.augment import Augmentation
from medimeta.loading.normalize import STATISTICS

PRECISIONS = ("bf16-mixed", "32-true")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training run. The defaults are the paper's for ResNet-18.

    Attributes
    ----------
    backbone : str
        timm's name of the model.
    weights : str
        ``"imagenet"``, ``"none"``, or ``"sha256:..."`` of a weights file.
    learning_rate : float
        Of Adam, without weight decay and without a schedule.
    batch_size : int
        Images a step.
    max_epochs : int
        Upper bound; early stopping usually ends before.
    patience : int
        Epochs without a better validation AUROC after which training stops.
    augmentation : Augmentation
        How training images are varied.
    normalize : str
        Name of the statistics.
    precision : str
        ``"bf16-mixed"`` or ``"32-true"``.
    seed : int
        Of initialisation, order and augmentation.
    """

    backbone: str = "resnet18"
    weights: str = "imagenet"
    learning_rate: float = 1e-3
    batch_size: int = 64
    max_epochs: int = 100
    patience: int = 10
    augmentation: Augmentation = field(default_factory=Augmentation)
    normalize: str = "imagenet"
    precision: str = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least 1, got {value}"
            for name, value in (
                ("batch_size", self.batch_size),
                ("max_epochs", self.max_epochs),
                ("patience", self.patience),
            )
            if value < 1
        ]
        for name, value, known in (
            ("normalize", self.normalize, tuple(STATISTICS)),
            ("precision", self.precision, PRECISIONS),
        ):
            if value not in known:
                problems.append(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if not self.learning_rate > 0:
            problems.append(f"learning_rate must be positive, got {self.learning_rate}")
        if self.seed < 0:
            problems.append(f"seed must not be negative, got {self.seed}")
        if problems:
            raise UsageError(f"the training settings are not usable:\n{bullet_list(problems)}")

    def as_dict(self) -> dict[str, object]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    def digest(self) -> str:
        """Return the SHA-256 of the settings: equal for equal settings.

        Examples
        --------
        >>> TrainConfig(seed=1).digest() == TrainConfig(seed=1).digest() != TrainConfig(seed=2).digest()
        True
        """
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()
