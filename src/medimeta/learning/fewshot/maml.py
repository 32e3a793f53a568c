"""MAML as a few-shot method: the inner loop of meta-training, from weights that were meta-trained for it, or others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medimeta.learning.fewshot.method import EpisodeImages, Network, NetworkMethod
from medimeta.learning.maml import InnerLoop, Learner

if TYPE_CHECKING:
    from medimeta.learning.fewshot.config import FewShotConfig


class Maml(NetworkMethod):
    """Descends from the backbone's weights and a head of zeros on the support set; see `medimeta.learning.maml`.

    Nothing is differentiated through the loop, so that its order does not matter here. The steps, their rate and the
    statistics of batch normalisation should be those of meta-training.
    """

    settings = ("inner_steps", "inner_learning_rate", "inner_batch_norm")

    def logits(self, network: Network, episode: EpisodeImages, config: FewShotConfig) -> torch.Tensor:
        """Adapt to the support set, and return logits of the query set as one batch; see `NetworkMethod.logits`."""
        inner = InnerLoop(config.inner_steps, config.inner_learning_rate, order=1)
        learner = Learner(network.backbone, network.head.in_features, inner, batch_norm=config.inner_batch_norm)
        with torch.autocast(episode.support.device.type, dtype=torch.bfloat16, enabled=network.low):
            adapted = learner.adapt(episode.task, episode.support, episode.support_labels)
            with torch.no_grad():
                return adapted.logits(episode.query).float()
