"""The fully supervised protocol as a method of the grid: train on train, choose on val, report on test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from medimeta.benchmark.cell import Cell
from medimeta.benchmark.grid import Grid
from medimeta.benchmark.methods import Choice, Result, Step, Surroundings
from medimeta.benchmark.protocol import paper_config
from medimeta.benchmark.record import Training
from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.errors import MedimetaError
from medimeta.learning.config import TrainConfig, settings_from
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
        return paper.changed(**settings_from(grid.training, "training"))

    def check(self, cell: Cell) -> None:
        """See that there is something to learn from, to choose by, and to report on."""
        problems = []
        for split in SPLITS:
            labels = TaskDataset(cell.stored, cell.task, split).labels
            if not len(labels):
                problems.append(f"the {split} split has no samples")
            elif split != "val" and math.isnan(_auroc_of_chance(cell.task, labels)):  # val: chosen by its loss, then
                problems.append(f"the {split} split has {_only_class(cell.task, labels)}, so that there is no AUROC")
        if problems:
            raise MedimetaError(
                f"{cell.task.id}: {'; '.join(problems)}. Build {cell.stored.info.id} from the whole original, or name "
                f"other tasks by --tasks."
            )

    def run(self, cell: Cell, surroundings: Surroundings) -> Result:
        """Train, and evaluate on val and test."""
        config: Any = cell.config
        parts = {split: TaskDataset(cell.stored, cell.task, split) for split in SPLITS}

        def epoch_done(epoch: int, figures: dict[str, float]) -> None:
            text = f"epoch {epoch}, loss {figures['train_loss']:.3f}"
            text += f", validation AUROC {100 * figures['val_auroc']:.1f}, {figures['images_per_second']:.0f} images/s"
            surroundings.told(Step(epoch, config.max_epochs, text))

        trained = train(
            parts["train"],
            parts["val"],
            config,
            weights=cell.weights,
            devices=surroundings.devices,
            nodes=surroundings.nodes,
            accelerator=surroundings.accelerator,
            folder=surroundings.folder,
            log=surroundings.log,
            log_folder=surroundings.log_folder,
            epoch_done=epoch_done,
        )
        data = cell.stored.fingerprint()
        predictions, figures = {}, {}
        for split in ("val", "test"):
            part = parts[split]
            labels: Any = part.labels
            scores = predict(trained.model, part, config, accelerator=surroundings.accelerator)
            subjects = part.subjects()
            predictions[split] = Predictions(cell.task.id, split, data, part.indices, labels, scores, subjects)
            figures[split] = evaluate(cell.task, labels, scores, groups=subjects).as_dict()
        return Result(
            test=figures["test"],
            predictions=predictions,
            seconds=trained.seconds,
            images_per_second=trained.images_per_second,
            peak_memory_mb=trained.peak_memory_mb,
            training=Training(
                chosen_by=trained.chosen_by,
                best_epoch=trained.best_epoch,
                epochs=trained.epochs,
                history=tuple(trained.history),
                val=figures["val"],
            ),
            model=trained.model,
        )


def _only_class(task: TaskCard, labels: Any) -> str:
    """Say that all labels of a split are alike, and what they are."""
    if task.target is TaskTarget.MULTILABEL:
        return f"the same labels in all {len(labels)} samples"
    return f"one class alone, {task.labels[int(labels[0])]!r} in all {len(labels)} samples"


def _auroc_of_chance(task: TaskCard, labels: Any) -> float:
    """Return one half, or NaN where the labels do not define an AUROC."""
    return macro_auroc(task, labels, np.zeros((len(labels),) if task.outputs == 1 else (len(labels), task.outputs)))
