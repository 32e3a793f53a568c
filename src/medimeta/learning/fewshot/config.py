"""How a few-shot method is run: a frozen, hashed description."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class FewShotConfig:
    """Settings of a few-shot evaluation. The defaults are release 1.0's protocol.

    Attributes
    ----------
    method : str
        ``"finetune"``, ``"linear-probe"``, ``"protonet"`` or ``"maml"``.
    backbone : str
        timm's name of the model.
    weights : str
        ``"imagenet"``, ``"none"``, or ``"sha256:..."`` of a weights file.
    shots, queries : int
        Images a class in the support and in the query set.
    ways : int, optional
        Classes of an episode; all that have enough images without it. Not for multi-label tasks.
    episodes : int
        How many episodes are drawn.
    disjoint_subjects : bool
        Whether support and query set are of different subjects, where these are known.
    normalize : str
        Name of the statistics.
    precision : str
        ``"bf16-mixed"`` or ``"32-true"``, of the backbone's passes.
    seed : int
        Of episodes and heads.
    steps, learning_rate : int, float
        Fine-tuning: steps of Adam, and its rate.
    batch_size : int
        Fine-tuning: the most support images a step; larger support sets are gone through in batches.
    penalty : float
        Linear probe: weight of half the squared norm of the weights, against the summed loss of the support set.
    inner_steps, inner_learning_rate : int, float
        MAML: steps of gradient descent, and their rate.
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
    seed: int = 0
    steps: int = 50
    learning_rate: float = 1e-3
    batch_size: int = 256
    penalty: float = 1.0
    inner_steps: int = 4
    inner_learning_rate: float = 0.1

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def digest(self) -> str:
        """Return the SHA-256 of the settings."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def changed(self, **settings: Any) -> Self:
        """Return a copy with other settings."""
        return replace(self, **settings)
