"""A backbone with the head of one task, from uint8 images to scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medimeta.catalogue.schema import TaskCard
from medimeta.learning.backbones import feature_length
from medimeta.learning.heads import Head
from medimeta.loading.normalize import Normalize


class TaskModel(nn.Module):
    """Predicts one task.

    Parameters
    ----------
    backbone : nn.Module
        Turns ``(B, 3, S, S)`` into feature vectors.
    task : TaskCard
        What is predicted.
    channels, size : int
        Channels and side of the images to come.
    normalize : str
        Name of the statistics.
    """

    def __init__(self, backbone: nn.Module, task: TaskCard, *, channels: int, size: int, normalize: str) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = Head(feature_length(backbone, size), task)
        self.normalize = Normalize(normalize, channels=channels, rgb=channels == 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, outputs)`` of images ``(B, C, S, S)`` with values 0 to 255."""
        prepared = self.normalize(images).contiguous(memory_format=torch.channels_last)
        logits: torch.Tensor = self.head(self.backbone(prepared))
        return logits

    @torch.inference_mode()
    def predict(self, images: torch.Tensor) -> npt.NDArray[np.float64]:
        """Return scores of images: ``(B,)`` for binary tasks, else ``(B, labels)``."""
        return self.head.scores(self(images)).double().cpu().numpy()
