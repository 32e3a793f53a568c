"""What Lightning needs to know of a model and its task."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import lightning
import numpy as np
import torch
from torch import distributed

from medimeta.catalogue.schema import TaskCard
from medimeta.learning.config import TrainConfig
from medimeta.learning.metrics import macro_auroc
from medimeta.learning.model import TaskModel
from medimeta.learning.training.history import Figures
from medimeta.loading.dataset import TaskDataset


class TrainingModule(lightning.LightningModule):
    """Fits a model to its task.

    Every process computes the same figures of an epoch, from the losses and the outputs of all: each validation sample
    counts once, and the AUROC is that of the whole split.

    Parameters
    ----------
    model : TaskModel
        The model.
    train_set, val_set : TaskDataset
        The splits; for class weights and for the labels in their order.
    config : TrainConfig
        The settings.
    compiled : bool
        Whether the model is compiled.

    Attributes
    ----------
    figures : dict
        Those of the last epoch.
    """

    def __init__(
        self, model: TaskModel, train_set: TaskDataset, val_set: TaskDataset, config: TrainConfig, *, compiled: bool
    ) -> None:
        super().__init__()
        self.model = model
        self.task: TaskCard = model.head.task
        self.config = config
        self.figures: Figures = {}
        self.class_weights: torch.Tensor | None
        balanced = config.class_weighting == "balanced"
        self.register_buffer("class_weights", train_set.class_weights() if balanced else None, persistent=False)
        self._labels = np.asarray(val_set.labels)
        # A function, not a module: a compiled module would be one more, with the same parameters.
        self._network: Callable[[torch.Tensor], torch.Tensor] = torch.compile(model.forward) if compiled else model
        self._loss: torch.Tensor | float = 0.0
        self._seen = 0
        self._logits: list[torch.Tensor] = []

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        head = self.model.head
        loss = head.loss(self._network(images), head.targets(labels), self.class_weights)
        self._loss = self._loss + loss.detach() * len(images)  # added up where it is: no batch waits for the GPU
        self._seen += len(images)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Give all processes the same running statistics, each of which has seen other images."""
        if processes() > 1:
            for statistics in self.model.buffers():
                if statistics.is_floating_point():
                    distributed.all_reduce(statistics)
                    statistics /= processes()

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        """Keep the outputs for a batch."""
        self._logits.append(self._network(batch[0]).float())

    def on_validation_epoch_end(self) -> None:
        """Compute the figures of the epoch."""
        mine = (float(self._loss), self._seen, [part.cpu() for part in self._logits])
        self._loss, self._seen = 0.0, 0
        self._logits.clear()
        shares = everyones(mine)
        # Batch b is the business of process b modulo their number.
        logits = torch.cat(
            [part for turn in zip_longest(*(share[2] for share in shares)) for part in turn if part is not None]
        )
        head = self.model.head
        targets = head.targets(torch.tensor(self._labels))
        weights = None if self.class_weights is None else self.class_weights.cpu()
        scores = head.scores(logits).double().numpy()
        auroc = macro_auroc(self.task, self._labels, scores) if np.isfinite(scores).all() else math.nan
        self.figures = {
            "train_loss": sum(share[0] for share in shares) / sum(share[1] for share in shares),
            "val_loss": float(head.loss(logits, targets, weights)),
            "val_auroc": float(auroc),
        }

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the paper's optimiser."""
        return torch.optim.Adam(self.parameters(), lr=self.config.learning_rate, fused=True)


def processes() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def everyones(value: Any) -> list[Any]:
    """Return the values of all processes that train together, in the order of their ranks."""
    if processes() == 1:
        return [value]
    found: list[Any] = [None] * processes()
    distributed.all_gather_object(found, value)
    return found
