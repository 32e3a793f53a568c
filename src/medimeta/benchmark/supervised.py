"""The fully supervised protocol as a method of the grid: train on train, choose on val, report on test."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np

from medimeta.benchmark.cell import Cell
from medimeta.benchmark.grid import Grid
from medimeta.benchmark.methods import Choice, Result, Step, Surroundings
from medimeta.benchmark.protocol import paper_config
from medimeta.benchmark.record import Training
from medimeta.catalogue.schema import TaskCard
from medimeta.errors import MedimetaError, UsageError, problems_error, unknown_name
from medimeta.learning.config import TrainConfig
from medimeta.learning.metrics import evaluate, macro_auroc
from medimeta.learning.predictions.predictions import Predictions
from medimeta.learning.train import predict, train
from medimeta.loading.dataset import TaskDataset

SPLITS = ("train", "val", "test")


class Supervised:
    """Train on a task by the settings of a `TrainConfig`, and test."""

    few_shot = False

    def config(self, choice: Choice, grid: Grid) -> TrainConfig:
        """Return the paper's settings for the backbone, changed as the grid says."""
        paper = paper_config(choice.backbone, weights=choice.weights, seed=choice.seed)
        known = [field.name for field in fields(TrainConfig)]
        unknown = [str(unknown_name("setting", name, known)) for name in grid.training if name not in known]
        if unknown:
            raise problems_error(UsageError, "training:", unknown)
        return replace(paper, **grid.training)

    def check(self, cell: Cell) -> None:
        """See that there is something to learn from, to choose by, and to report on."""
        problems = []
        for split in SPLITS:
            labels = TaskDataset(cell.stored, cell.task, split).labels
            if not len(labels):
                problems.append(f"the {split} split has no samples")
            elif split != "val" and math.isnan(_auroc_of_chance(cell.task, labels)):  # val: chosen by its loss, then
                problems.append(f"the {split} split has one class alone, so that there is no AUROC")
        if problems:
            raise MedimetaError(f"{cell.task.id}: {'; '.join(problems)}.")

    def run(self, cell: Cell, surroundings: Surroundings) -> Result:
        """Train, and evaluate on val and test."""
        config: Any = cell.config
        parts = {split: TaskDataset(cell.stored, cell.task, split) for split in SPLITS}

        def epoch_done(epoch: int, figures: dict[str, float]) -> None:
            text = f"epoch {epoch}, loss {figures['train_loss']:.3f}"
            text += f", validation AUROC {100 * figures['val_auroc']:.1f}"
            surroundings.told(Step(epoch, config.max_epochs, text))

        trained = train(
            parts["train"],
            parts["val"],
            config,
            weights=cell.weights,
            devices=surroundings.devices,
            epoch_done=epoch_done,
        )
        data = cell.stored.fingerprint()
        predictions, figures = {}, {}
        for split in ("val", "test"):
            part = parts[split]
            labels: Any = part.labels
            scores = predict(trained.model, part, config)
            subjects = part.subjects()
            predictions[split] = Predictions(cell.task.id, split, data, part.indices, labels, scores, subjects)
            figures[split] = evaluate(cell.task, labels, scores, groups=subjects).as_dict()
        return Result(
            test=figures["test"],
            predictions=predictions,
            seconds=trained.seconds,
            images_per_second=trained.images_per_second,
            training=Training(
                chosen_by=trained.chosen_by,
                best_epoch=trained.best_epoch,
                epochs=trained.epochs,
                history=tuple(trained.history),
                val=figures["val"],
            ),
            model=trained.model,
        )


def _auroc_of_chance(task: TaskCard, labels: Any) -> float:
    """Return one half, or NaN where the labels do not define an AUROC."""
    return macro_auroc(task, labels, np.zeros((len(labels),) if task.outputs == 1 else (len(labels), task.outputs)))
