"""What the four kinds of task ask of a model: a linear layer, its loss, and scores."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from medimeta.catalogue.schema import TaskCard, TaskTarget


class Head(nn.Linear):
    """One linear layer for one task.

    Binary: one output, sigmoid. Multi-label: one output per label, sigmoid. Multi-class and ordinal: one output per
    class (grades in ascending order), softmax.

    Parameters
    ----------
    features : int
        Length of the backbone's feature vector.
    task : TaskCard
        The task.
    """

    def __init__(self, features: int, task: TaskCard) -> None:
        super().__init__(features, task.outputs)
        self.task = task
        self.keys: torch.Tensor
        self.register_buffer("keys", torch.tensor(task.keys), persistent=False)

    def targets(self, labels: torch.Tensor) -> torch.Tensor:
        """Count stored labels from 0, in ascending order of the stored integers, as `loss` takes them.

        Parameters
        ----------
        labels : tensor of int64, shape (B,) or (B, L)
            Labels as stored.
        """
        if self.task.target is TaskTarget.MULTILABEL:
            return labels
        return torch.searchsorted(self.keys.to(labels.device), labels)

    def loss(
        self, logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean loss of a batch.

        Parameters
        ----------
        logits : tensor of float, shape (B, outputs)
            The head's outputs.
        targets : tensor of int64, shape (B,) or (B, L)
            Class indices counted from 0, or a row of 0 and 1 for multi-label tasks.
        class_weights : tensor of float32, shape (outputs,), optional
            What classes count, as `medimeta.TaskDataset.class_weights` gives it for the training split: of multi-class
            and ordinal tasks the weight of a sample of each class, in a mean over weights; of binary and multi-label
            ones the weight of a positive against a negative.
        """
        logits = logits.float()
        if self.task.target is TaskTarget.BINARY:
            return functional.binary_cross_entropy_with_logits(logits[:, 0], targets.float(), pos_weight=class_weights)
        if self.task.target is TaskTarget.MULTILABEL:
            return functional.binary_cross_entropy_with_logits(logits, targets.float(), pos_weight=class_weights)
        return functional.cross_entropy(logits, targets, weight=class_weights)

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn outputs into probabilities: shape (B,) for binary tasks, else (B, labels)."""
        logits = logits.float()
        if self.task.target is TaskTarget.BINARY:
            return logits[:, 0].sigmoid()
        if self.task.target is TaskTarget.MULTILABEL:
            return logits.sigmoid()
        return logits.softmax(dim=1)
