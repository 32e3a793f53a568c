"""The episodes of an evaluation, each with a task of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import TaskCard
from medimeta.errors import UsageError
from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.maml import episode_card
from medimeta.loading.dataset import TaskDataset
from medimeta.loading.episode import Episode
from medimeta.loading.episodes import Episodes

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DrawnEpisode:
    """One episode.

    Attributes
    ----------
    number : int
        Which it is.
    episode : Episode
        Its support and query sets.
    """

    number: int
    episode: Episode

    @cached_property
    def task(self) -> TaskCard:
        """The task of the episode: its classes alone, stored as 0 and up, in their order."""
        card = self.episode.dataset.task
        if card is None:
            raise UsageError("an episode is of one task: its dataset has several.")
        return episode_card(card, self.episode.classes)


def draw(dataset: TaskDataset, config: FewShotConfig) -> Episodes:
    """Return the episodes that the settings ask for; classes with fewer than shots + queries images are left out.

    Raises
    ------
    UsageError
        The dataset has several tasks, or too few images, subjects or classes.
    """
    return Episodes(
        dataset,
        config.shots,
        config.queries,
        config.ways,
        config.episodes,
        config.seed,
        min_samples=config.shots + config.queries,
        disjoint_subjects=config.disjoint_subjects,
    )


def numbered(episodes: Episodes) -> Iterator[DrawnEpisode]:
    """Draw all episodes, one after the other."""
    return (DrawnEpisode(number, episodes[number]) for number in range(len(episodes)))
