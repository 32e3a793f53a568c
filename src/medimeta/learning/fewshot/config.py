"""How a few-shot method is run: a frozen, hashed description, so that equal numbers can be traced to equal settings."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from dataclasses import dataclass, fields, replace
from typing import Any, Self, get_args

from medimeta.errors import UsageError, problems_error, unknown_name
from medimeta.learning.config import PRECISIONS
from medimeta.learning.fewshot.methods import METHODS
from medimeta.learning.maml import BatchNorm
from medimeta.loading.normalize import STATISTICS

WHOLE = {"shots": 1, "queries": 1, "episodes": 1, "seed": 0, "batch_size": 1, "steps": 0, "inner_steps": 0}
WAYS = 2
POSITIVE = ("learning_rate", "penalty", "inner_learning_rate")


@dataclass(frozen=True, kw_only=True)
class FewShotConfig:
    """Settings of a few-shot evaluation. The defaults are release 1.0's protocol.

    Attributes
    ----------
    method : str
        ``"finetune"``, ``"linear-probe"``, ``"protonet"`` or ``"maml"``, or what was added to `METHODS`.
    backbone : str
        timm's name of the model.
    weights : str
        ``"imagenet"``, ``"none"``, or ``"sha256:..."`` of a weights file.
    shots, queries : int
        Images a class in the support and in the query set.
    ways : int, optional
        Classes of an episode; all that have enough images without it. Not for multi-label tasks.
    episodes : int
        How many episodes there are.
    disjoint_subjects : bool
        Whether support and query set are of different subjects, where these are known.
    normalize : str
        Name of the statistics.
    precision : str
        ``"bf16-mixed"`` or ``"32-true"``, of what the backbone computes.
    batch_size : int
        The most images at once. A larger support set is fine-tuned on in batches.
    seed : int
        Of episodes, heads, and whatever else a method draws.
    steps, learning_rate : int, float
        Of Adam in fine-tuning.
    penalty : float
        Of the linear probe: the weight of half the squared norm of its weights, beside the summed loss.
    inner_steps, inner_learning_rate : int, float
        Of gradient descent in MAML.
    inner_batch_norm : str
        ``"support"``, ``"batch"`` or ``"running"``: whose statistics batch normalisation uses in MAML; see
        `medimeta.learning.maml.Learner`.

    Raises
    ------
    UnknownNameError
        There is no such method; names near it are offered.
    UsageError
        Settings that cannot be used; all of them are told.

    Examples
    --------
    >>> config = FewShotConfig(method="protonet", shots=1)
    >>> config.queries, config.episodes
    (10, 100)
    """

    method: str = "finetune"
    backbone: str = "resnet18"
    weights: str = "imagenet"
    shots: int = 5
    queries: int = 10
    ways: int | None = None
    episodes: int = 100
    disjoint_subjects: bool = True
    normalize: str = "imagenet"
    precision: str = "32-true"
    batch_size: int = 64
    seed: int = 0
    steps: int = 50
    learning_rate: float = 1e-3
    penalty: float = 1.0
    inner_steps: int = 4
    inner_learning_rate: float = 0.1
    inner_batch_norm: str = "support"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("few-shot method", str(self.method), METHODS)
        least = WHOLE if self.ways is None else {**WHOLE, "ways": WAYS}
        problems = [
            f"{name} must be a whole number of at least {low}, got {getattr(self, name)!r}"
            for name, low in least.items()
            if not _whole(getattr(self, name), low)
        ]
        problems += [
            f"{name} must be a positive number, got {getattr(self, name)!r}"
            for name in POSITIVE
            if not _positive(getattr(self, name))
        ]
        for name, known in (
            ("normalize", tuple(STATISTICS)),
            ("precision", PRECISIONS),
            ("inner_batch_norm", get_args(BatchNorm)),
        ):
            if getattr(self, name) not in known:
                problems.append(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        for name in ("backbone", "weights"):
            if not isinstance(getattr(self, name), str):
                problems.append(f"{name} must be text, got {getattr(self, name)!r}")
        if not isinstance(self.disjoint_subjects, bool):
            problems.append(f"disjoint_subjects must be True or False, got {self.disjoint_subjects!r}")
        if problems:
            raise problems_error(UsageError, "the few-shot settings are not usable:", problems)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON: those that the method uses.

        Examples
        --------
        >>> set(FewShotConfig(method="linear-probe").as_dict()) - set(FewShotConfig(method="protonet").as_dict())
        {'penalty'}
        """
        own = {name for method in METHODS.values() for name in method.settings}
        unused = own - set(METHODS[self.method].settings)
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in unused}

    def digest(self) -> str:
        """Return the SHA-256 of the settings that the method uses: equal for equal settings.

        Examples
        --------
        >>> FewShotConfig(method="protonet").digest() == FewShotConfig(method="protonet", penalty=2.0).digest()
        True
        """
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def changed(self, **settings: Any) -> Self:
        """Return a copy with other settings.

        Raises
        ------
        UsageError
            Unknown settings, all of them told with names near them, or settings that cannot be used.

        Examples
        --------
        >>> FewShotConfig().changed(method="protonet", shots=1).shots
        1
        """
        known = [field.name for field in fields(self)]
        unknown = [str(unknown_name("setting", name, known)) for name in settings if name not in known]
        if unknown:
            raise problems_error(UsageError, "the few-shot settings are not usable:", unknown)
        return replace(self, **settings)


def _whole(value: Any, least: int) -> bool:
    try:
        return not isinstance(value, bool) and operator.index(value) >= least
    except TypeError:
        return False


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
