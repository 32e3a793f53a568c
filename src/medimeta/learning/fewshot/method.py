"""What a few-shot method is: it learns from the support sets of episodes, and gives logits for their query sets.

There are two kinds. A `FeatureMethod` leaves the backbone as it is, so that features are computed once for each image
and many episodes are solved together. A `NetworkMethod` changes the network, one episode at a time. Neither is shown
the labels of a query set.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from medimeta.catalogue.schema import TaskCard
from medimeta.learning.heads import Head

if TYPE_CHECKING:
    from medimeta.learning.fewshot.config import FewShotConfig


class Network(nn.Module):
    """A backbone with the head of an episode.

    Parameters
    ----------
    backbone : nn.Module
        Turns ``(B, 3, S, S)`` into feature vectors.
    head : Head
        Of the episode's task.
    low : bool
        Whether the forward pass runs in bfloat16 where that is safe (autocast).
    """

    def __init__(self, backbone: nn.Module, head: Head, *, low: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.low = low

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, outputs)``, float32, of normalised images ``(B, 3, S, S)``."""
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=self.low):
            logits: torch.Tensor = self.head(self.backbone(images))
        return logits.float()


@dataclass(frozen=True, eq=False)
class EpisodeImages:
    """An episode as a `NetworkMethod` sees it. The tensors are on the network's device.

    Attributes
    ----------
    number : int
        Which episode it is.
    task : TaskCard
        Its task: the classes of the episode alone, counted from 0; ordinal ones in ascending order.
    support : tensor of float32, shape (n, 3, S, S)
        Normalised images to learn from.
    support_labels : tensor of int64, shape (n,) or (n, L)
        Their labels: 0 to ways - 1; multi-label: rows of 0 and 1.
    query : tensor of float32, shape (m, 3, S, S)
        Normalised images to predict.
    chance : torch.Generator
        The source of chance, on the CPU: seeded by the configuration's seed and the episode's number.
    """

    number: int
    task: TaskCard
    support: torch.Tensor
    support_labels: torch.Tensor
    query: torch.Tensor
    chance: torch.Generator


@dataclass(frozen=True, eq=False)
class EpisodeFeatures:
    """Several episodes of one kind of task as a `FeatureMethod` sees them. The tensors are on one device.

    Multi-label episodes differ in their numbers of images. The shorter ones are filled up with zeros, and `present`
    tells which images there are.

    Attributes
    ----------
    tasks : tuple of TaskCard, length E
        The task of each episode; all have the same kind and number of classes. See `EpisodeImages.task`.
    support : tensor of float32, shape (E, n, F)
        Features to learn from.
    support_labels : tensor of int64, shape (E, n) or (E, n, L)
        Their labels.
    present : tensor of bool, shape (E, n)
        Which of the support images there are.
    query : tensor of float32, shape (E, m, F)
        Features to predict from.
    """

    tasks: tuple[TaskCard, ...]
    support: torch.Tensor
    support_labels: torch.Tensor
    present: torch.Tensor
    query: torch.Tensor


class NetworkMethod(ABC):
    """A method that changes the network for each episode.

    Attributes
    ----------
    settings : tuple of str
        Names of the fields of `FewShotConfig` that are this method's own. A configuration of the method is told apart
        from another by them and by the fields of all methods.
    """

    settings: tuple[str, ...] = ()

    @abstractmethod
    def logits(self, network: Network, episode: EpisodeImages, config: FewShotConfig) -> torch.Tensor:
        """Learn from the support set and return logits of the query set.

        Parameters
        ----------
        network : Network
            With its initial weights, a fresh head, and in training mode. It may be changed in place: its weights and
            buffers are put back before the next episode.
        episode : EpisodeImages
            What to learn from.
        config : FewShotConfig
            The settings.

        Returns
        -------
        tensor of float, shape (m, outputs)
            As `Head` gives them: one output for a binary task, else one for each class of the episode.
        """


class FeatureMethod(ABC):
    """A method that leaves the backbone as it is and learns from its features.

    Attributes
    ----------
    settings : tuple of str
        See `NetworkMethod.settings`.
    """

    settings: tuple[str, ...] = ()

    @abstractmethod
    def logits(self, episodes: EpisodeFeatures, config: FewShotConfig) -> torch.Tensor:
        """Learn from the support sets and return logits of the query sets.

        An episode's logits must not depend on which others come with it.

        Returns
        -------
        tensor of float, shape (E, m, outputs)
            As `Head` gives them: one output for a binary task, else one for each class of an episode.
        """


Method = NetworkMethod | FeatureMethod
