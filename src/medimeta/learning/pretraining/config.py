"""How a backbone is pre-trained: a frozen, hashed description, so that weights can be traced to their settings."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

import yaml

from medimeta.errors import UsageError, problems_error, unknown_name
from medimeta.learning.augment import Augmentation
from medimeta.learning.config import PRECISIONS
from medimeta.learning.maml import BatchNorm, InnerLoop, Order
from medimeta.loading.normalize import STATISTICS

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
        MAML: whether the outer gradient takes the inner gradients as constants, or goes through them.
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
    inner_steps, inner_learning_rate : int, float
        MAML: steps of gradient descent on a support set, and their rate.
    inner_batch_norm : {"support", "batch", "running"}
        MAML: whose statistics batch normalisation uses; see `medimeta.learning.maml.Learner`.
    """

    method: PretrainMethod = "multi-task"
    backbone: str = "resnet18"
    weights: str = "imagenet"
    learning_rate: float = 1e-3
    max_epochs: int = 100
    patience: int = 10
    augmentation: Augmentation = field(default_factory=Augmentation)
    normalize: str = "imagenet"
    precision: str = "32-true"
    seed: int = 0
    batch_size: int = 64
    sampling: Sampling = "size"
    steps_per_epoch: int | None = None
    task_weights: Mapping[str, float] = field(default_factory=dict)
    order: Order = 1
    shots: int | tuple[int, int] = (1, 10)
    queries: int = 10
    episodes: int = 1000
    episodes_per_epoch: int = 100
    validation_episodes: int = 10
    meta_batch_size: int = 4
    inner_steps: int = 4
    inner_learning_rate: float = 0.1
    inner_batch_norm: BatchNorm = "support"

    def __post_init__(self) -> None:
        if isinstance(self.shots, list):
            object.__setattr__(self, "shots", tuple(self.shots))
        problems = [
            f"{name} must be a whole number of at least {least}, got {value!r}"
            for name, value, least in self._whole_numbers()
            if not isinstance(value, int) or isinstance(value, bool) or value < least
        ]
        problems += [
            f"{name} must be one of {', '.join(map(str, known))}, got {value!r}"
            for name, value, known in (
                ("method", self.method, get_args(PretrainMethod)),
                ("normalize", self.normalize, tuple(STATISTICS)),
                ("precision", self.precision, PRECISIONS),
                ("sampling", self.sampling, get_args(Sampling)),
                ("order", self.order, get_args(Order)),
                ("inner_batch_norm", self.inner_batch_norm, get_args(BatchNorm)),
            )
            if value not in known
        ]
        rates = {"learning_rate": self.learning_rate, "inner_learning_rate": self.inner_learning_rate}
        if isinstance(self.task_weights, Mapping):
            rates |= {f"task_weights of {name}": value for name, value in self.task_weights.items()}
        else:
            problems.append(f"task_weights must be a mapping of tasks to numbers, got {self.task_weights!r}")
        problems += [f"{name} must be positive, got {value!r}" for name, value in rates.items() if not _positive(value)]
        if not isinstance(self.augmentation, Augmentation):
            problems.append(f"augmentation must be a mapping of its settings, got {self.augmentation!r}")
        problems += self._shots_problems()
        if problems:
            raise problems_error(UsageError, "the settings of pre-training are not usable:", problems)

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
        return InnerLoop(self.inner_steps, self.inner_learning_rate, self.order)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Make a config of plain values, as a YAML file has them.

        Raises
        ------
        UsageError
            There are no such settings, all of them named; or see the class.

        Examples
        --------
        >>> PretrainConfig.of({"method": "maml", "shots": [1, 5], "augmentation": {"rotation": 0}}).most_shots
        5
        """
        settings = dict(settings)
        known = [each.name for each in fields(cls)]
        problems = [str(unknown_name("setting", str(name), known)) for name in settings if name not in known]
        varied = settings.get("augmentation")
        if isinstance(varied, Mapping):
            known = [each.name for each in fields(Augmentation)]
            strange = [str(name) for name in varied if name not in known]
            problems += [str(unknown_name("setting of augmentation", name, known)) for name in strange]
            settings["augmentation"] = Augmentation() if strange else Augmentation(**varied)
        if problems:
            raise problems_error(UsageError, "the settings of pre-training are not usable:", problems)
        return cls(**settings)

    def changed(self, **settings: Any) -> Self:
        """Return a copy with other settings."""
        return type(self).of({**{each.name: getattr(self, each.name) for each in fields(self)}, **settings})

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
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def _whole_numbers(self) -> list[tuple[str, Any, int]]:
        names: tuple[str, ...] = ("max_epochs", "patience", "batch_size", "queries", "episodes", "episodes_per_epoch")
        names += ("validation_episodes", "meta_batch_size", "inner_steps")
        found = [(name, getattr(self, name), 1) for name in names] + [("seed", self.seed, 0)]
        return found if self.steps_per_epoch is None else [*found, ("steps_per_epoch", self.steps_per_epoch, 1)]

    def _shots_problems(self) -> list[str]:
        bounds = self.shots if isinstance(self.shots, tuple) else (self.shots, self.shots)
        whole = len(bounds) == 2 and all(isinstance(each, int) and not isinstance(each, bool) for each in bounds)
        if whole and 1 <= bounds[0] <= bounds[1]:
            return []
        return [f"shots must be a number of at least 1, or two bounds in ascending order, got {self.shots!r}"]


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def read_settings(path: Path) -> dict[str, Any]:
    """Read settings from a YAML file.

    Raises
    ------
    UsageError
        It cannot be read, or is no mapping.
    """
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}). Check the path given as --config.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is not valid YAML ({' '.join(str(error).split())}).") from None
    if not isinstance(settings, dict):
        raise UsageError(f"{path}: must be a mapping of settings, got {type(settings).__name__}.")
    return settings
