"""How a backbone is pre-trained: a frozen, hashed description, so that weights can be traced to their settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from medimeta.learning.augment import Augmentation
from medimeta.learning.config import BatchNorm, Count, Normalisation, Order, Positive, Precision, Seed
from medimeta.learning.settings import changed, check, digest_of

if TYPE_CHECKING:  # flags are made from these settings, where torch need not be
    from medimeta.learning.maml import InnerLoop

PretrainMethod = Literal["multi-task", "maml"]
Sampling = Literal["size", "uniform"]

OWN: Mapping[str, tuple[str, ...]] = {
    "multi-task": ("batch_size", "sampling", "steps_per_epoch", "task_weights"),
    "maml": (
        "order",
        "shots",
        "queries",
        "episodes",
        "episodes_per_epoch",
        "validation_episodes",
        "meta_batch_size",
        "inner_steps",
        "inner_learning_rate",
        "inner_batch_norm",
    ),
}
"""Settings that one method alone uses."""


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Settings of one pre-training. The defaults are the project's protocol.

    Attributes
    ----------
    method : {"multi-task", "maml"}
        A head for each task, or meta-training on episodes.
    backbone : str
        timm's name of the model.
    weights : str
        ``"imagenet"``, ``"none"``, or ``"sha256:..."`` of a weights file.
    learning_rate : float
        Of Adam, without weight decay and without a schedule; of MAML's outer loop.
    max_epochs : int
        Upper bound; early stopping usually ends before. MAML also ends once `episodes` are used up.
    patience : int
        Epochs without a better validation figure after which training stops.
    augmentation : Augmentation
        How training images are varied; of MAML's episodes, those of both sets.
    normalize : str
        Name of the statistics.
    precision : str
        ``"bf16-mixed"`` or ``"32-true"``.
    seed : int
        Of initialisation, order, episodes and augmentation.
    batch_size : int
        Multi-task: images a step.
    sampling : {"size", "uniform"}
        Multi-task, several datasets: how the task of a batch is drawn, among those that have batches left; see
        `medimeta.MixedBatches`.
    steps_per_epoch : int, optional
        Multi-task, several datasets: so many batches make an epoch, drawn for ever. Without it an epoch exhausts every
        task exactly once.
    task_weights : mapping of str to float
        Multi-task: what the loss of a task counts, 1 where it is not named. Only their ratios matter.
    order : 1 or 2
        MAML: whether the outer gradient takes the inner gradients as constants (1), or goes through them (2).
    shots : int or (int, int)
        MAML: images a class in the support set of an episode; of two bounds, each has a number between.
    queries : int
        MAML: images a class in the query set.
    episodes : int
        MAML: episodes of each task, in all.
    episodes_per_epoch : int
        MAML: episodes of each task after which the model is validated.
    validation_episodes : int
        MAML: episodes of each task that it is validated on, always the same.
    meta_batch_size : int
        MAML: episodes a step of the outer loop.
    inner_steps : int
        MAML: steps of gradient descent on a support set.
    inner_learning_rate : float
        MAML: rate of these steps.
    inner_batch_norm : {"support", "batch", "running"}
        MAML: whose statistics batch normalisation uses; see `medimeta.learning.maml.Learner`.

    Raises
    ------
    UsageError
        Settings of the wrong type or out of range; all of them are told at once.

    Examples
    --------
    >>> PretrainConfig(method="maml", shots=(1, 5)).most_shots
    5
    """

    method: PretrainMethod = "multi-task"
    backbone: str = "resnet18"
    weights: str = "imagenet"
    learning_rate: Positive = 1e-3
    max_epochs: Count = 100
    patience: Count = 10
    augmentation: Augmentation = field(default_factory=Augmentation)
    normalize: Normalisation = "imagenet"
    precision: Precision = "32-true"
    seed: Seed = 0
    batch_size: Count = 64
    sampling: Sampling = "size"
    steps_per_epoch: Count | None = None
    task_weights: Mapping[str, Positive] = field(default_factory=dict)
    order: Order = 1
    shots: Count | tuple[Count, Count] = (1, 10)
    queries: Count = 10
    episodes: Count = 1000
    episodes_per_epoch: Count = 100
    validation_episodes: Count = 10
    meta_batch_size: Count = 4
    inner_steps: Count = 4
    inner_learning_rate: Positive = 0.1
    inner_batch_norm: BatchNorm = "support"

    def __post_init__(self) -> None:
        check(self, "the settings of pre-training are not usable:")

    @property
    def most_shots(self) -> int:
        """The largest number of images a class in a support set."""
        return self.shots if isinstance(self.shots, int) else self.shots[1]

    @property
    def epochs(self) -> int:
        """The most epochs that there can be."""
        if self.method == "multi-task":
            return self.max_epochs
        return min(self.max_epochs, math.ceil(self.episodes / self.episodes_per_epoch))

    @property
    def inner(self) -> InnerLoop:
        """MAML's inner loop."""
        from medimeta.learning.maml import InnerLoop

        return InnerLoop(self.inner_steps, self.inner_learning_rate, self.order)

    def changed(self, **settings: Any) -> Self:
        """Return a copy with other settings; of `augmentation`, a mapping changes what it names.

        Raises
        ------
        UsageError
            Settings that there are not, or values that cannot be; all are told at once.

        Examples
        --------
        >>> PretrainConfig().changed(method="maml", shots=[1, 5], augmentation={"rotation": 0}).augmentation.rotation
        0.0
        """
        return changed(self, settings, "the settings of pre-training")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON: those that the method uses."""
        unused = {name for method, names in OWN.items() if method != self.method for name in names}
        return {name: value for name, value in asdict(self).items() if name not in unused}

    def digest(self) -> str:
        """Return the SHA-256 of the settings that the method uses: equal for equal settings.

        Examples
        --------
        >>> PretrainConfig(seed=1).digest() == PretrainConfig(seed=1).digest() != PretrainConfig(seed=2).digest()
        True
        """
        return digest_of(self.as_dict())
