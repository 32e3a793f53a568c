"""Fine-tuning: the whole network, with a fresh head, is trained on the support set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from medimeta.learning.fewshot.method import EpisodeImages, Network, NetworkMethod

if TYPE_CHECKING:
    from medimeta.learning.fewshot.config import FewShotConfig


class FineTuning(NetworkMethod):
    """Adam on the summed network, for a fixed number of steps and at a fixed rate, without augmentation.

    Batch normalisation uses the statistics of the support set while it learns, and its running averages afterwards, so
    that the query images do not help each other. (Protocol: release 1.0, "Few-shot".)
    """

    settings = ("steps", "learning_rate")

    def logits(self, network: Network, episode: EpisodeImages, config: FewShotConfig) -> torch.Tensor:
        """Train on the support set; see `NetworkMethod.logits`."""
        optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        chosen = batches(len(episode.support), config.batch_size, episode.chance)
        for _ in range(config.steps):
            batch = next(chosen).to(episode.support.device)
            loss = network.head.loss(network(episode.support[batch]), episode.support_labels[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return predicted(network, episode.query, config.batch_size)


def batches(count: int, most: int, chance: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield places of batches without end: the whole set where it fits, else equal parts of it, shuffled each round.

    Equal parts, because a last batch of one image would teach batch normalisation nothing, or break it.

    Examples
    --------
    >>> rounds = batches(5, 2, torch.Generator().manual_seed(0))
    >>> [len(next(rounds)) for _ in range(6)]
    [2, 2, 1, 2, 2, 1]
    """
    parts = -(-count // most)
    while True:
        order = torch.randperm(count, generator=chance) if parts > 1 else torch.arange(count)
        yield from order.tensor_split(parts)


@torch.no_grad()
def predicted(network: Network, images: torch.Tensor, most: int) -> torch.Tensor:
    """Return logits of images, in evaluation mode, at most so many at once."""
    network.eval()
    return torch.cat([network(part) for part in torch.split(images, most)])
