"""The stage before the cells: backbones that are pre-trained for targets, once for all cells that share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medimeta.benchmark.cell import Cell
from medimeta.benchmark.grid import Grid
from medimeta.benchmark.job import Told
from medimeta.benchmark.methods import Step
from medimeta.benchmark.origins import Origin, from_file, origin
from medimeta.errors import UsageError
from medimeta.learning.device import Devices, best_precision
from medimeta.learning.pretraining.config import PretrainConfig
from medimeta.learning.pretraining.target import TargetPlan, plan_for, pretrain_for
from medimeta.loading.pretraining import pretraining_tasks

METHODS = {"multi-domain": "multi-task", "maml": "maml"}
"""Name of an origin to the method of pre-training."""
FOLDER = "pretrained"  # below that of the results
WEIGHTS = "backbone.safetensors"


@dataclass(frozen=True)
class Pretraining:
    """A pre-training that cells wait for.

    Attributes
    ----------
    plan : TargetPlan
        What it learns from.
    config : PretrainConfig
        With which settings.
    start : Origin
        What it starts from itself.
    origin : str
        What cells call its result: ``"multi-domain"`` or ``"maml"``.
    """

    plan: TargetPlan
    config: PretrainConfig
    start: Origin
    origin: str

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.origin} pre-training for {self.plan.target}, {self.config.backbone}"

    @property
    def lacks(self) -> str:
        """What it might learn from if it were built, for people; empty where nothing is missing."""
        return f"without {', '.join(self.plan.missing)}, not built" if self.plan.missing else ""

    @property
    def name(self) -> str:
        """Its folder below that of the results."""
        return f"{FOLDER}/{self.plan.name}"

    def made(self, out: Path) -> Origin | None:
        """Return the weights where they were made before."""
        file = out / self.name / WEIGHTS
        return from_file(file, self.origin) if file.is_file() else None


@dataclass(frozen=True)
class PretrainJob:
    """A pre-training as work for a worker, which must see the folder of the results."""

    pretraining: Pretraining
    out: Path
    devices: Devices = "auto"

    def __call__(self, told: Told) -> Path:
        """Pre-train, or find what was made before; returns the file of the weights."""
        pretraining = self.pretraining

        def epoch_done(epoch: int, figures: dict[str, float]) -> None:
            text = ", ".join([f"epoch {epoch}", *(f"{name} {value:.3f}" for name, value in figures.items())])
            told(Step(epoch, pretraining.config.epochs, text))

        return pretrain_for(
            pretraining.plan,
            None,  # the plan has its datasets open
            self.out / FOLDER,
            pretraining.config,
            weights=pretraining.start.file,
            devices=self.devices,
            epoch_done=epoch_done,
        )


def plan_pretraining(cells: Sequence[Cell], grid: Grid) -> dict[str, Pretraining]:
    """Find what must be pre-trained for cells; reads labels, but no images.

    Parameters
    ----------
    cells : sequence of Cell
        Cells whose origin is pending.
    grid : Grid
        Its settings of pre-training; ``datasets`` of it are those to choose from.

    Returns
    -------
    dict of str to Pretraining
        By the name of the cell. Cells whose targets leave the same tasks to learn from share one.

    Raises
    ------
    UsageError
        Settings that cannot be, or nothing is left to learn from.
    """
    settings = dict(grid.pretraining)
    names = settings.pop("datasets", None)
    start = origin(str(settings.pop("weights", "imagenet")))
    if start.pending:
        raise UsageError("pretraining: weights must be imagenet, none or a file: it cannot start from itself.")
    shared: dict[Any, Pretraining] = {}
    found = {}
    for cell in cells:
        root = cell.stored.folder.parent
        allowed = pretraining_tasks(cell.task.id, root, datasets=names)
        key = (allowed, cell.config.backbone, cell.origin.name)
        if key not in shared:
            config = PretrainConfig(weights=start.weights, precision=best_precision()).changed(
                **{"method": METHODS[cell.origin.name], "backbone": cell.config.backbone, **settings}
            )
            free = None if names is None else list(dict.fromkeys(task.dataset for task in allowed))
            shared[key] = Pretraining(plan_for(cell.task.id, root, config, names=free), config, start, cell.origin.name)
        found[cell.name] = shared[key]
    return found


def started(cell: Cell, pretraining: Mapping[str, Pretraining], out: Path) -> Cell:
    """Return a cell with the weights that it waits for, where they were made before; else as it is."""
    stage = pretraining.get(cell.name)
    made = None if stage is None else stage.made(out)
    return cell if made is None else cell.started_from(made)
