"""How a few-shot method is run: a frozen, hashed description, so that equal numbers can be traced to equal settings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, Self

from medimeta._numbers import COUNT, Bounds
from medimeta.errors import unknown_name
from medimeta.learning.config import BatchNorm, Count, Normalisation, Positive, Precision, Seed
from medimeta.learning.fewshot.methods import METHODS
from medimeta.learning.settings import changed, check, digest_of


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
    shots: Count = 5
    queries: Count = 10
    ways: Annotated[int, Bounds(2, COUNT.most)] | None = None
    episodes: Count = 100
    disjoint_subjects: bool = True
    normalize: Normalisation = "imagenet"
    precision: Precision = "32-true"
    batch_size: Count = 64
    seed: Seed = 0
    steps: Annotated[int, Bounds(0, COUNT.most)] = 50
    learning_rate: Positive = 1e-3
    penalty: Positive = 1.0
    inner_steps: Count = 4
    inner_learning_rate: Positive = 0.1
    inner_batch_norm: BatchNorm = "support"

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or self.method not in METHODS:
            raise unknown_name("few-shot method", str(self.method), METHODS)
        check(self, "the few-shot settings are not usable:")

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
        return digest_of(self.as_dict())

    def changed(self, **settings: Any) -> Self:
        """Return a copy with other settings; numbers may be written as text, as YAML reads 1e-3.

        Raises
        ------
        UsageError
            Settings that there are not, or values that cannot be; all are told at once.

        Examples
        --------
        >>> FewShotConfig().changed(method="maml", shots=1).shots
        1
        """
        return changed(self, settings, "the few-shot settings")
