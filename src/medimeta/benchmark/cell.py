"""One cell of a grid: a task, a method, its settings, and where the backbone starts from."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

from medimeta.benchmark.origins import Origin
from medimeta.catalogue.schema import TaskCard
from medimeta.store.reader import StoredDataset


class Config(Protocol):
    """Settings of a cell: a frozen dataclass that has a digest, as `TrainConfig` and `FewShotConfig` are."""

    @property
    def backbone(self) -> str:
        """Timm's name of the model."""

    @property
    def weights(self) -> str:
        """What it starts from; see `Origin.weights`."""

    @property
    def seed(self) -> int:
        """The seed of all that is random."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""

    def digest(self) -> str:
        """Return a digest: equal for equal settings."""


@dataclass(frozen=True)
class Cell:
    """One cell of the grid. It pickles as settings and paths.

    Attributes
    ----------
    stored : StoredDataset
        The dataset on disk.
    task : TaskCard
        What is learned.
    method : str
        By what.
    config : Config
        With which settings.
    origin : Origin
        From which weights.
    """

    stored: StoredDataset
    task: TaskCard
    method: str
    config: Config
    origin: Origin

    @property
    def weights(self) -> Path | None:
        """The file of weights, where there is one."""
        return self.origin.file

    @property
    def shots(self) -> int | None:
        """Labelled images a class, of few-shot methods."""
        return getattr(self.config, "shots", None)

    @property
    def title(self) -> str:
        """What people call it."""
        shots = [] if self.shots is None else [f"{self.shots}-shot"]
        method = [] if self.method == "supervised" else [self.method]
        parts = [self.task.id, self.config.backbone, self.origin.name, *method, *shots, f"seed {self.config.seed}"]
        return ", ".join(parts)

    @property
    def name(self) -> str:
        """Path of the cell's record below the output folder, without extension."""
        shots = [] if self.shots is None else [f"{self.shots}-shot"]
        method = [] if self.method == "supervised" else [self.method]
        parts = [self.config.backbone, self.origin.name, *method, *shots, f"seed{self.config.seed}"]
        return f"{_plain(self.task.id.replace('/', '__'))}/{_plain('-'.join(parts))}-{self.config.digest()[:8]}"

    def started_from(self, origin: Origin) -> Self:
        """Return the cell with the weights that its pre-training has made."""
        config: Any = self.config
        return replace(self, origin=origin, config=replace(config, weights=origin.weights))


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text)
