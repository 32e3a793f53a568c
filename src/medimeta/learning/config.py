"""How a model is trained: a frozen, hashed description, so that equal numbers can be traced to equal settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from medimeta._numbers import COUNT, POSITIVE, SEED
from medimeta.learning.augment import Augmentation
from medimeta.learning.settings import Words, changed, check, digest_of, read_settings

PRECISIONS = ("bf16-mixed", "32-true")
NORMALISATIONS = ("imagenet", "half")  # names of `medimeta.loading.normalize.STATISTICS`, which needs torch

Count = Annotated[int, COUNT]
Positive = Annotated[float, POSITIVE]
Seed = Annotated[int, SEED]
Normalisation = Annotated[str, Words(NORMALISATIONS)]
Precision = Annotated[str, Words(PRECISIONS)]
Order = Literal[1, 2]
"""Of MAML: whether the outer gradient goes through the inner gradients (2) or takes them as constants (1)."""
BatchNorm = Literal["support", "batch", "running"]
"""Of MAML: where batch normalisation takes its statistics from; see `medimeta.learning.maml.Learner`."""


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
        Images a step, over all devices together.
    max_epochs : int
        Upper bound of epochs; early stopping usually ends before.
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
    class_weighting : str
        ``"none"``, as in the paper, or ``"balanced"``: rare classes count more in the loss.
    compile : str
        Whether torch.compile makes the model faster: ``"on"``, ``"off"``, or ``"auto"``, on GPUs and in long runs.

    Raises
    ------
    UsageError
        Settings of the wrong type or out of range; all of them are told at once.
    """

    backbone: str = "resnet18"
    weights: str = "imagenet"
    learning_rate: Positive = 1e-3
    batch_size: Count = 64
    max_epochs: Count = 100
    patience: Count = 10
    augmentation: Augmentation = field(default_factory=Augmentation)
    normalize: Normalisation = "imagenet"
    precision: Precision = "32-true"
    seed: Seed = 0
    class_weighting: Literal["none", "balanced"] = "none"
    compile: Literal["auto", "on", "off"] = "auto"

    def __post_init__(self) -> None:
        check(self, "the training settings are not usable:")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON and for `changed`."""
        return asdict(self)

    def digest(self) -> str:
        """Return the SHA-256 of the settings: equal for equal settings.

        Examples
        --------
        >>> TrainConfig(seed=1).digest() == TrainConfig(seed=1).digest() != TrainConfig(seed=2).digest()
        True
        """
        return digest_of(self.as_dict())

    def changed(self, **settings: Any) -> Self:
        """Return a copy with other settings; of `augmentation`, a mapping changes what it names.

        Raises
        ------
        UsageError
            Settings that there are not, or values that cannot be; all are told at once.

        Examples
        --------
        >>> TrainConfig().changed(seed=3, augmentation={"rotation": 0}).augmentation.rotation
        0.0
        """
        return changed(self, settings, "the training settings")


def settings_from(source: Mapping[str, Any] | str | Path, place: str = "the training settings") -> dict[str, Any]:
    """Read settings of a training, some or all of them, for `TrainConfig.changed`.

    Parameters
    ----------
    source : mapping, str or Path
        Fields of `TrainConfig` by name, those of the augmentation in a mapping of their own; or the path of a YAML file
        of them.
    place : str
        What messages call a mapping; a file is called by its path.

    Returns
    -------
    dict
        The settings that are named, with their types.

    Raises
    ------
    UsageError
        The file does not read, has settings that there are not, or values that cannot be; all are told at once.

    Examples
    --------
    >>> settings_from({"learning_rate": "1e-4", "augmentation": {"rotation": 5}})
    {'learning_rate': 0.0001, 'augmentation': {'rotation': 5.0}}
    >>> settings_from({"batchsize": 32, "patience": 0, "rotation": 5})
    Traceback (most recent call last):
    ...
    medimeta.errors.UsageError: the training settings: 3 problems:
      - batchsize: there is no such setting. Did you mean 'batch_size'?
      - patience must be from 1 to 1,000,000, got 0
      - rotation: there is no such setting. Did you mean 'augmentation.rotation'?
    """
    return read_settings(TrainConfig, source, place)
