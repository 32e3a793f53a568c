"""What a grid can run: methods by name, each behind the same small protocol.

A method that follows the protocol runs in a grid like those that are here: `medimeta.benchmark.run.run_benchmark` takes
it as ``known={"mine": Mine()}``, and the command finds it where an installed package names it as an entry point of the
group ``medimeta.methods``. docs/benchmark-grid.md has an example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from medimeta.benchmark.cell import Cell, Config
from medimeta.benchmark.grid import Grid
from medimeta.benchmark.record import SomePredictions, Training
from medimeta.learning.device import Accelerator, Devices
from medimeta.learning.model import TaskModel
from medimeta.learning.training.logs import LogKind

ENTRY_POINTS = "medimeta.methods"


class Step(NamedTuple):
    """How far a cell is.

    Attributes
    ----------
    done, total : int
        Epochs or episodes; of `total` there may be fewer in the end.
    text : str
        The same for people, with figures.
    """

    done: int
    total: int
    text: str


class Choice(NamedTuple):
    """A point on the axes of a grid, for which a method makes its settings."""

    backbone: str
    weights: str
    seed: int
    shots: int | None


@dataclass(frozen=True)
class Surroundings:
    """What a cell is run with.

    Attributes
    ----------
    devices : int or "auto"
        How many devices to compute on.
    folder : Path or None
        A place for checkpoints, which outlives a kill: the same cell finds there what it has written. It is removed
        when the cell is finished. None where there is no such place.
    told : callable
        Called with each `Step`.
    nodes, accelerator : int, str
        Nodes with so many devices each, and what kind of devices.
    log, log_folder : str, Path
        What log of the epochs to keep, and where.
    """

    devices: Devices = "auto"
    folder: Path | None = None
    told: Callable[[Step], None] = lambda _: None
    nodes: int = 1
    accelerator: Accelerator = "auto"
    log: LogKind = "none"
    log_folder: Path | None = None


@dataclass(frozen=True)
class Result:
    """What a method hands back.

    Attributes
    ----------
    test : mapping
        Figures on the test data, ready for JSON, with ``auroc`` (a fraction, or None) and ``auroc_interval`` (low and
        high, or None); of few-shot methods also ``shots``.
    predictions : mapping of str to Predictions, or to ndarray
        Labels and scores by which `test` can be computed again: by split, or any arrays by name.
    seconds, images_per_second : float
        How long it took, and how fast it was.
    training : Training, optional
        How it was trained.
    model : TaskModel, optional
        The trained model, to be kept.
    peak_memory_mb : float, optional
        The largest memory it took, where it is not that of the process which runs the cell.
    """

    test: Mapping[str, Any]
    predictions: SomePredictions
    seconds: float
    images_per_second: float
    training: Training | None = None
    model: TaskModel | None = None
    peak_memory_mb: float | None = None


class Method(Protocol):
    """A way from a task's data to figures. It must pickle, as other processes run it.

    Attributes
    ----------
    few_shot : bool
        Whether it learns from a few images, so that the grid's shots are an axis of it.
    """

    few_shot: bool

    def config(self, choice: Choice, grid: Grid) -> Config:
        """Return the settings of a cell.

        Raises
        ------
        UsageError
            The grid has settings that the method does not know, or that cannot be; all are told at once.
        """

    def check(self, cell: Cell) -> None:
        """Look at the labels, before anything is trained.

        Raises
        ------
        MedimetaError
            The data are not enough to learn from, or to test on.
        """

    def run(self, cell: Cell, surroundings: Surroundings) -> Result:
        """Learn, and test.

        Raises
        ------
        MedimetaError
            Something is wrong with the data or the machine; the other cells still run.
        """


def methods() -> dict[str, Method]:
    """Return every method by name: supervised, the few-shot methods, and those of installed packages."""
    from medimeta.benchmark.few_shot import few_shot_methods
    from medimeta.benchmark.supervised import Supervised

    ours: dict[str, Method] = {"supervised": Supervised(), **few_shot_methods()}
    return {point.name: point.load() for point in entry_points(group=ENTRY_POINTS)} | ours
