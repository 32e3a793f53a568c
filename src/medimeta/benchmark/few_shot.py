"""The few-shot methods as methods of the grid: episodes of a whole dataset, whatever the split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medimeta.benchmark.cell import Cell
from medimeta.benchmark.grid import Grid
from medimeta.benchmark.methods import Choice, Method, Result, Step, Surroundings
from medimeta.learning.device import best_precision
from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.fewshot.drawn import draw
from medimeta.learning.fewshot.methods import METHODS
from medimeta.learning.fewshot.run import run_few_shot
from medimeta.loading.dataset import TaskDataset


@dataclass(frozen=True)
class FewShot:
    """Evaluate a method of `medimeta.learning.fewshot` over episodes.

    Attributes
    ----------
    name : str
        The method's name there.
    """

    name: str
    few_shot = True

    def config(self, choice: Choice, grid: Grid) -> FewShotConfig:
        """Return release 1.0's protocol, changed as the grid says."""
        release = FewShotConfig(
            method=self.name,
            backbone=choice.backbone,
            weights=choice.weights,
            seed=choice.seed,
            precision=best_precision(),
        )
        return release.changed(shots=choice.shots, **grid.few_shot)

    def check(self, cell: Cell) -> None:
        """See that there are images enough for an episode."""
        config: Any = cell.config
        draw(TaskDataset(cell.stored, cell.task), config)

    def run(self, cell: Cell, surroundings: Surroundings) -> Result:
        """Solve the episodes, on one device however many there are."""
        config: Any = cell.config

        def episode_done(finished: int, auroc: float) -> None:
            text = f"episode {finished} of {config.episodes}, AUROC {100 * auroc:.1f}"
            surroundings.told(Step(finished, config.episodes, text))

        result = run_few_shot(
            TaskDataset(cell.stored, cell.task),
            config,
            weights=cell.weights,
            folder=surroundings.folder,
            episode_done=episode_done,
        )
        return Result(
            test=result.as_dict(),
            predictions=result.predictions,
            seconds=result.seconds,
            images_per_second=result.images_per_second,
        )


def few_shot_methods() -> dict[str, Method]:
    """Return every few-shot method by name."""
    return {name: FewShot(name) for name in METHODS}
