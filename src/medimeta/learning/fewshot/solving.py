"""Solve episodes one after the other: by a network that is changed for each, or by features, several at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medimeta.errors import DivergedError
from medimeta.learning.backbones import feature_length
from medimeta.learning.device import gpus
from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.fewshot.drawn import DrawnEpisode, numbered
from medimeta.learning.fewshot.features import Features, stacked
from medimeta.learning.fewshot.journal import Journal
from medimeta.learning.fewshot.method import EpisodeImages, FeatureMethod, Network, NetworkMethod
from medimeta.learning.fewshot.scoring import scores_of
from medimeta.learning.heads import Head
from medimeta.loading.episodes import Episodes
from medimeta.loading.loader import loader

AT_ONCE = 20  # episodes solved together from features; a killed run loses as many at most

Floats = npt.NDArray[np.float64]
Solved = tuple[DrawnEpisode, Floats]


def solve_by_features(
    method: FeatureMethod, backbone: nn.Module, episodes: Episodes, config: FewShotConfig, journal: Journal
) -> Iterator[Solved]:
    """Yield each episode with the scores of its query set; features are computed as they are needed."""
    features = Features(backbone, episodes.dataset, config, journal)
    left = numbered(episodes)
    while group := list(islice(left, AT_ONCE)):
        logits = method.logits(stacked(group, features), config)
        for drawn, padded in zip(group, logits, strict=True):
            yield drawn, _scores(drawn, padded[: len(drawn.episode.query)])


def solve_by_network(
    method: NetworkMethod, backbone: nn.Module, episodes: Episodes, config: FewShotConfig, journal: Journal
) -> Iterator[Solved]:
    """Yield each episode with the scores of its query set; the backbone is put back after each."""
    length = feature_length(backbone, episodes.dataset.stored.info.size)
    initial = Snapshot(backbone)
    for drawn in numbered(episodes):
        name = f"scores-{drawn.number:05d}"
        scores = journal.get(name)
        if scores is None:
            initial.put_back()
            scores = _scores(drawn, _adapted(method, backbone, length, drawn, config))
            journal.put(name, scores)
        yield drawn, scores


class Snapshot:
    """The weights and buffers of a module as they are now, to be put back without making the module anew."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._values = [tensor.detach().clone() for tensor in self._tensors()]

    def put_back(self) -> None:
        """Give the module its weights and buffers back, no gradients, and training mode."""
        with torch.no_grad():
            for tensor, value in zip(self._tensors(), self._values, strict=True):
                tensor.copy_(value)
        self._module.requires_grad_(True).zero_grad(set_to_none=True)
        self._module.train()

    def _tensors(self) -> list[torch.Tensor]:
        return [*self._module.parameters(), *self._module.buffers()]


def episode_seed(seed: int, number: int) -> int:
    """Return a seed for all that is drawn in an episode, whatever episodes come before.

    Examples
    --------
    >>> episode_seed(0, 1) == episode_seed(0, 1) != episode_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _adapted(
    method: NetworkMethod, backbone: nn.Module, length: int, drawn: DrawnEpisode, config: FewShotConfig
) -> torch.Tensor:
    device = next(backbone.parameters()).device
    seed = episode_seed(config.seed, drawn.number)
    support, query = _images(drawn, config, device)
    with torch.random.fork_rng(gpus()):
        torch.manual_seed(seed)  # of the head, and of what layers such as dropout draw
        head = Head(length, drawn.task).to(device)
        network = Network(backbone, head, low=config.precision == "bf16-mixed").train()
        images = EpisodeImages(
            number=drawn.number,
            task=drawn.task,
            support=support,
            support_labels=torch.from_numpy(drawn.episode.support_labels()).to(device),
            query=query,
            chance=torch.Generator().manual_seed(seed),
        )
        return method.logits(network, images, config)


def _images(drawn: DrawnEpisode, config: FewShotConfig, device: torch.device) -> list[torch.Tensor]:
    """Read the support and the query set, normalised and as the weights lie."""
    dataset, episode = drawn.episode.dataset, drawn.episode
    places = np.concatenate([episode.support, episode.query])
    [(images, _)] = loader(
        dataset.subset(places),
        len(places),
        device=device,
        normalize=config.normalize,
        rgb=dataset.channels == 1,
    )
    images = images.contiguous(memory_format=torch.channels_last)
    return list(torch.split(images, [len(episode.support), len(episode.query)]))


def _scores(drawn: DrawnEpisode, logits: torch.Tensor) -> Floats:
    if not torch.isfinite(logits).all():
        raise DivergedError(
            f"{drawn.task.id}: learning diverged in episode {drawn.number}: its predictions are not finite numbers. "
            f"Try a lower learning rate, or precision 32-true."
        )
    return scores_of(drawn.task, logits)
