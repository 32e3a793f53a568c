"""Features of a frozen backbone, computed once for each image whatever the number of episodes that it is in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.fewshot.drawn import DrawnEpisode
from medimeta.learning.fewshot.journal import Journal
from medimeta.learning.fewshot.method import EpisodeFeatures
from medimeta.loading.dataset import TaskDataset
from medimeta.loading.loader import loader

MOST_BYTES = 2**30  # of features kept at a time; a dataset of 112,120 images has 0.9 GB at 2,048 features

Indices = npt.NDArray[np.int64]


class Features:
    """Features of the images of a dataset, as they are asked for.

    They are kept, up to a bound. Where the next do not fit any more, all are dropped, and those that come again are
    computed again.

    Parameters
    ----------
    backbone : nn.Module
        On its device; put into evaluation mode.
    dataset : TaskDataset
        The images.
    config : FewShotConfig
        Normalisation, precision and batch size.
    journal : Journal
        Keeps what was computed. What is asked for must come in the same order each time.
    most_bytes : int
        The bound.
    """

    def __init__(
        self,
        backbone: nn.Module,
        dataset: TaskDataset,
        config: FewShotConfig,
        journal: Journal,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.backbone = backbone.eval()
        self.dataset = dataset
        self.config = config
        self.device = next(backbone.parameters()).device
        self.computed = 0
        self._journal = journal
        self._most_bytes = most_bytes
        self._asked = 0
        self._row = np.full(len(dataset), -1)
        self._kept: list[torch.Tensor] = []

    def of(self, places: Indices) -> torch.Tensor:
        """Return the features of images at places in the dataset, each any number of times.

        Returns
        -------
        tensor of float32, shape (n, F)
        """
        wanted = np.unique(places)
        if self._kept and self._bytes(len(wanted)) > self._most_bytes:
            self._kept = []
            self._row[:] = -1
        new = wanted[self._row[wanted] < 0]
        if len(new):
            self._row[new] = sum(map(len, self._kept)) + np.arange(len(new))
            self._kept.append(self._computed(new))
            self._asked += 1
        if len(self._kept) > 1:
            self._kept = [torch.cat(self._kept)]
        return self._kept[0][torch.from_numpy(self._row[places])]

    def _bytes(self, more: int) -> int:
        return sum(part.nbytes for part in self._kept) + more * self._kept[0][0].nbytes

    def _computed(self, places: Indices) -> torch.Tensor:
        name = f"features-{self._asked:05d}"
        known = self._journal.get(name)
        if known is not None and len(known) == len(places):
            return torch.from_numpy(known)
        features = self._pass(places)
        self.computed += len(places)
        self._journal.put(name, features.numpy())
        return features

    @torch.no_grad()  # no inference mode: a method may learn from the features by gradients
    def _pass(self, places: Indices) -> torch.Tensor:
        batches = loader(
            self.dataset.subset(places),
            self.config.batch_size,
            device=self.device,
            normalize=self.config.normalize,
            rgb=self.dataset.channels == 1,
        )
        low = self.config.precision == "bf16-mixed"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low):
            return torch.cat([self.backbone(_as_weights_lie(images)).float().cpu() for images, _ in batches])


def stacked(episodes: Sequence[DrawnEpisode], features: Features) -> EpisodeFeatures:
    """Gather the features of several episodes, the shorter support and query sets filled up with zeros."""
    sets = [drawn.episode.support for drawn in episodes] + [drawn.episode.query for drawn in episodes]
    found = iter(torch.split(features.of(np.concatenate(sets)), [len(places) for places in sets]))
    supports = [next(found) for _ in episodes]
    labels = [torch.from_numpy(drawn.episode.support_labels()) for drawn in episodes]
    present = [torch.ones(len(support), dtype=torch.bool) for support in supports]

    def filled_up(parts: list[torch.Tensor]) -> torch.Tensor:
        return nn.utils.rnn.pad_sequence(parts, batch_first=True).to(features.device)

    return EpisodeFeatures(
        tasks=tuple(drawn.task for drawn in episodes),
        support=filled_up(supports),
        support_labels=filled_up(labels),
        present=filled_up(present),
        query=filled_up(list(found)),
    )


def _as_weights_lie(images: torch.Tensor) -> torch.Tensor:
    return images.contiguous(memory_format=torch.channels_last)
