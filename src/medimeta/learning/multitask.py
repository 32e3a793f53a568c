"""A backbone with a head for each of several tasks, from uint8 images to scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medimeta.catalogue.schema import TaskCard, TaskTarget, normalised
from medimeta.errors import UsageError, unknown_name
from medimeta.learning.backbones import feature_length
from medimeta.learning.heads import Head
from medimeta.learning.inputs import evaluating, image_chunks
from medimeta.loading.normalize import Normalize, Statistics

if TYPE_CHECKING:
    from medimeta.learning.model_card import ModelCard


class MultiTaskModel(nn.Module):
    """Predicts several tasks: of one dataset, or of many.

    Parameters
    ----------
    backbone : nn.Module
        Turns ``(B, 3, S, S)`` into feature vectors.
    tasks : sequence of TaskCard
        What is predicted, each once. Without any there are only features.
    channels, size : int
        Channels and side of the images to come. A model for colour takes grey images too, and repeats them.
    normalize : str or (mean, std)
        Name of the statistics, or the statistics; see `medimeta.Normalize`.

    Attributes
    ----------
    tasks : tuple of TaskCard
        The tasks.
    heads : nn.ModuleList of Head
        One for each task, in their order.
    feature_length : int
        Length of a feature vector.
    card : ModelCard or None
        What is known of the model, where it was read by `medimeta.load_model`.

    Raises
    ------
    UsageError
        A task comes twice.

    Examples
    --------
    >>> import medimeta as mm
    >>> from medimeta.learning.backbones import make_backbone
    >>> backbone = make_backbone("test_resnet.r160_in1k", pretrained=False)
    >>> tasks = mm.tasks(dataset="bus")
    >>> model = MultiTaskModel(backbone, tasks, channels=1, size=224, normalize="imagenet")
    >>> images = mm.load_arrays("bus", root=getfixture("bus_root"), split="val")[0]
    >>> {name: scores.shape for name, scores in model.predict(images).items()}
    {'bus/case category': (3, 3), 'bus/malignancy': (3,)}
    """

    card: ModelCard | None = None

    def __init__(
        self, backbone: nn.Module, tasks: Sequence[TaskCard], *, channels: int = 3, size: int, normalize: Statistics
    ) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self._places = {normalised(task.id): place for place, task in enumerate(self.tasks)}
        if len(self._places) < len(self.tasks):
            raise UsageError(f"a model has one head for each task, but one comes twice: {_names(self.tasks)}.")
        self.channels = channels
        self.size = size
        self.backbone = backbone
        self.feature_length = feature_length(backbone, size)
        self.heads = nn.ModuleList(Head(self.feature_length, task) for task in self.tasks)
        self.normalize = Normalize(normalize, channels=channels, rgb=channels == 1)

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Return normalised images ``(B, 3, S, S)`` of images ``(B, C, S, S)`` with values 0 to 255."""
        if images.shape[1] == 1 and self.channels == 3:
            images = images.expand(-1, 3, -1, -1)
        return self.normalize(images).contiguous(memory_format=torch.channels_last)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return feature vectors ``(B, F)`` of images ``(B, C, S, S)`` with values 0 to 255."""
        features: torch.Tensor = self.backbone(self.prepare(images))
        return features

    def head(self, task: TaskCard | str) -> Head:
        """Return the head of a task.

        Raises
        ------
        UnknownNameError
            The model does not predict it; names near it are offered.
        """
        name = task if isinstance(task, str) else task.id
        place = self._places.get(normalised(name))
        if place is None:
            raise unknown_name("task of this model", name, [card.id for card in self.tasks])
        return cast("Head", self.heads[place])

    def logits(self, images: torch.Tensor, task: TaskCard | str) -> torch.Tensor:
        """Return logits ``(B, outputs)`` of one task; see `features`."""
        logits: torch.Tensor = self.head(task)(self.features(images))
        return logits

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return logits of every task by its id; the backbone runs once."""
        features = self.features(images)
        return {task.id: self.head(task)(features) for task in self.tasks}

    @torch.inference_mode()
    def predict(self, images: Any) -> dict[str, npt.NDArray[np.float64]]:
        """Return the scores of images, computed in chunks on the device that the model is on.

        Parameters
        ----------
        images : tensor or array
            uint8, in any of the layouts that `medimeta.load` and `medimeta.load_arrays` give; any number.

        Returns
        -------
        dict of str to ndarray of float64
            By task id, probabilities as `medimeta.evaluate` takes them: ``(N,)`` for binary tasks, else
            ``(N, labels)``.

        Raises
        ------
        UsageError
            Images of other channels, size, type or range; all that is wrong is told at once.
        """
        channels = 1 if self.channels == 3 and _is_grey(images) else self.channels
        device = next(self.parameters()).device
        parts: dict[str, list[npt.NDArray[np.float64]]] = {
            task.id: [np.empty((0,) if task.target is TaskTarget.BINARY else (0, task.outputs))] for task in self.tasks
        }
        with evaluating(self):
            for chunk in image_chunks(images, channels=channels, size=self.size, device=device):
                for name, logits in self(chunk).items():
                    parts[name].append(self.head(name).scores(logits).double().cpu().numpy())
        return {name: np.concatenate(found) for name, found in parts.items()}


def _is_grey(images: Any) -> bool:
    """Whether images have one channel, in any of the layouts of `image_chunks`."""
    shape: tuple[int, ...] = tuple(getattr(images, "shape", ()))
    if len(shape) == 4:
        return shape[1] == 1
    return len(shape) == 2 or (len(shape) == 3 and 3 not in (shape[0], shape[-1]))


def _names(tasks: Sequence[TaskCard]) -> str:
    return ", ".join(task.id for task in tasks)
