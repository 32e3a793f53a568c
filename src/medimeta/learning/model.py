"""A backbone with the head of one task, from uint8 images to scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.learning.backbones import feature_length
from medimeta.learning.heads import Head
from medimeta.learning.inputs import evaluating, image_chunks
from medimeta.loading.normalize import Normalize, Statistics

if TYPE_CHECKING:
    from medimeta.learning.model_card import ModelCard


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
    normalize : str or (mean, std)
        Name of the statistics, or the statistics; see `medimeta.Normalize`.

    Attributes
    ----------
    task : TaskCard
        What is predicted; ``task.classes`` names the columns of scores.
    card : ModelCard or None
        What is known of the model, where it was read by `medimeta.load_model`.
    """

    card: ModelCard | None = None

    def __init__(self, backbone: nn.Module, task: TaskCard, *, channels: int, size: int, normalize: Statistics) -> None:
        super().__init__()
        self.task = task
        self.channels = channels
        self.size = size
        self.backbone = backbone
        self.head = Head(feature_length(backbone, size), task)
        self.normalize = Normalize(normalize, channels=channels, rgb=channels == 1)

    @property
    def tasks(self) -> tuple[TaskCard, ...]:
        """The task, as models of several tasks have it."""
        return (self.task,)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return feature vectors ``(B, F)`` of images ``(B, C, S, S)`` with values 0 to 255."""
        prepared = self.normalize(images).contiguous(memory_format=torch.channels_last)
        features: torch.Tensor = self.backbone(prepared)
        return features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, outputs)`` of images ``(B, C, S, S)`` with values 0 to 255."""
        logits: torch.Tensor = self.head(self.features(images))
        return logits

    @torch.inference_mode()
    def predict(self, images: Any) -> npt.NDArray[np.float64]:
        """Return the scores of images, computed in chunks on the device that the model is on.

        Parameters
        ----------
        images : tensor or array
            uint8 ``(N, C, S, S)``, as `medimeta.load` and `medimeta.loader` with ``normalize=None`` give them, or
            ``(N, S, S)`` and ``(N, S, S, 3)``, as `medimeta.load_arrays` does. One image may lack N.

        Returns
        -------
        ndarray of float64
            Probabilities, as `medimeta.evaluate` takes them: ``(N,)`` for binary tasks, else ``(N, labels)``.

        Raises
        ------
        UsageError
            Images of other channels, size, type or range; all that is wrong is told at once.
        """
        device = next(self.parameters()).device
        chunks = image_chunks(images, channels=self.channels, size=self.size, device=device)
        with evaluating(self):
            parts = [self.head.scores(self(chunk)).double().cpu().numpy() for chunk in chunks]
        outputs = () if self.task.target is TaskTarget.BINARY else (self.task.outputs,)
        return np.concatenate([np.empty((0, *outputs)), *parts])
