"""Run the cells of a grid. Finished cells are kept, failed ones are told in the end, and killed ones resume."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from medimeta._files import as_path
from medimeta._numbers import PARALLEL, Bounds, shown, whole_number
from medimeta.benchmark.cell import Cell
from medimeta.benchmark.cell_job import CellJob
from medimeta.benchmark.cluster import cluster
from medimeta.benchmark.grid import Grid, grid_from, read_fields
from medimeta.benchmark.job import Failure
from medimeta.benchmark.ledger import Ledger
from medimeta.benchmark.methods import Method, Step, methods
from medimeta.benchmark.origins import from_file
from medimeta.benchmark.plan import Plan, check_cells, plan_grid
from medimeta.benchmark.pretraining import PretrainJob, started
from medimeta.benchmark.record import Record
from medimeta.benchmark.workers import Here, Processes, Workers
from medimeta.errors import UsageError
from medimeta.learning.device import Accelerator, Devices, check_devices
from medimeta.learning.training.logs import LogKind, check_log
from medimeta.store.layout import default_root

RETRIES = Bounds(0, 1_000)


class Named(Protocol):
    """What is told of: a cell, or a pre-training."""

    @property
    def title(self) -> str:
        """What people call it."""

    @property
    def name(self) -> str:
        """Its place below the output folder: its own."""


class Watcher(Protocol):
    """Who is told how it goes."""

    def started(self, what: Named) -> None:
        """Take note that a cell or a pre-training begins."""

    def stepped(self, what: Named, step: Step) -> None:
        """Take note of a step of it."""


class Unwatched:
    """Tells nobody."""

    def started(self, what: Named) -> None:
        """Do nothing."""

    def stepped(self, what: Named, step: Step) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its record, or the failure that ended it.

    Attributes
    ----------
    place : int
        Place of the cell in what was to be run.
    cell : Cell
        The cell, with the weights that were pre-trained for it.
    record : Record or None
        Its record.
    error : Failure, optional
        Why it has none.
    kept : bool
        Whether it was finished before.
    """

    place: int
    cell: Cell
    record: Record | None
    error: Failure | None = None
    kept: bool = False


@dataclass(frozen=True)
class Running:
    """How cells are run; nothing of it decides about their figures.

    Attributes
    ----------
    devices : int or "auto"
        Devices of each cell.
    jobs : int
        Cells at a time; each in a process of its own where there are several.
    dask : str, optional
        Address of a Dask scheduler, to run them on a cluster.
    retries : int
        How often a cell that crashed is tried again.
    models : bool
        Whether trained models are kept. A finished cell whose model is gone is then run again.
    nodes, accelerator : int, str
        Nodes with so many devices each, and what kind of devices: auto, cpu or gpu.
    log : str
        What log of a training's epochs is kept beside the record: none, csv or tensorboard.
    """

    devices: Devices = "auto"
    jobs: int = 1
    dask: str | None = None
    retries: int = 0
    models: bool = True
    nodes: int = 1
    accelerator: Accelerator = "auto"
    log: LogKind = "none"

    def __post_init__(self) -> None:
        whole_number("jobs", self.jobs, PARALLEL)
        whole_number("retries", self.retries, RETRIES)
        if self.dask is not None and self.jobs != 1:
            raise UsageError(
                f"jobs (--jobs) are processes on this machine, and dask (--dask) runs a cell on each worker of a "
                f"cluster: pass one of them, got jobs={self.jobs} and dask={shown(self.dask)}."
            )
        check_devices(self.devices, self.accelerator, self.nodes)
        check_log(self.log)

    def workers(self) -> AbstractContextManager[Workers]:
        """Open what runs the cells."""
        if self.dask is not None:
            return cluster(self.dask)
        return nullcontext(Here() if self.jobs == 1 else Processes(self.jobs, self.devices))


def run_benchmark(
    grid: Grid | Mapping[str, Any] | str | Path,
    root: str | Path | None = None,
    out: str | Path = "runs",
    *,
    known: Mapping[str, Method] | None = None,
    watcher: Watcher | None = None,
    **running: Any,
) -> list[Outcome]:
    """Run a grid, and return what became of each cell, in the order of the grid.

    Parameters
    ----------
    grid : Grid, mapping, or path
        What to run: a `Grid`, its fields, or a YAML file of them.
    root : path, optional
        Where the datasets lie. Else ``$MEDIMETA_ROOT``, else ``./data``.
    out : path
        Folder of the results. Cells that are finished there are kept.
    known : mapping of str to Method, optional
        Methods of your own by name, besides those of `medimeta.benchmark.methods.methods`.
    watcher : Watcher, optional
        Is told how it goes.
    **running
        Fields of `Running`: `devices`, `jobs`, `dask`, `retries`, `models`, `nodes`, `accelerator`, `log`.

    Raises
    ------
    MedimetaError
        The grid cannot be run; nothing was.

    Examples
    --------
    >>> root, out = getfixture("small_root"), getfixture("tmp_path")
    >>> tiny = {"tasks": "bus/malignancy", "backbones": "test_resnet.r160_in1k", "weights": "none",
    ...         "training": {"max_epochs": 1}}
    >>> [(outcome.cell.task.id, outcome.kept) for outcome in run_benchmark(tiny, root, out)]
    [('bus/malignancy', False)]
    >>> [outcome.kept for outcome in run_benchmark(tiny, root, out)]
    [True]
    """
    if isinstance(grid, str | Path):
        grid = grid_from(read_fields(grid), str(grid))
    elif not isinstance(grid, Grid):
        grid = grid_from(grid)
    every = {**methods(), **(known or {})}
    plan = plan_grid(grid, default_root(root), every)
    plan.raise_for_missing()
    outcomes = run_cells(plan, as_path(out, "out"), Running(**running), known=every, watcher=watcher)
    return sorted(outcomes, key=lambda outcome: outcome.place)


def run_cells(
    plan: Plan,
    out: Path,
    running: Running | None = None,
    *,
    known: Mapping[str, Method] | None = None,
    watcher: Watcher | None = None,
) -> Iterator[Outcome]:
    """Run the cells of a plan, and yield what became of each, as it ends.

    A cell whose record is there, for the same settings and the same data, is kept and not run again. Weights that cells
    start from are pre-trained first. A cell that fails does not stop the others; why it failed is written beside where
    its record would be.

    Raises
    ------
    UsageError, WeightsError, MedimetaError
        What is wrong with the data, the weights or the devices, all at once, before anything is trained.
    RootNotWritableError
        The output folder cannot be written.
    ResultsLockedError
        Another process runs cells into it.
    """
    run = _Run(plan, Ledger(out), running or Running(), known or methods(), watcher or Unwatched())
    with run.ledger.alone():
        cells = [started(cell, plan.pretraining, run.ledger.out) for cell in plan.cells]
        places = dict(enumerate(cells))
        left = yield from run.kept(places)
        check_cells(list(left.values()), run.known)
        if left:
            with run.running.workers() as workers:
                left = yield from run.pretrained(left, workers)
                yield from run.ended(left, workers)


@dataclass(frozen=True)
class _Run:
    """What the stages of a run share. Each takes the cells that are left, by place, and returns what is left then."""

    plan: Plan
    ledger: Ledger
    running: Running
    known: Mapping[str, Method]
    watcher: Watcher

    def kept(self, left: Mapping[int, Cell]) -> Generator[Outcome, None, dict[int, Cell]]:
        """Keep what is finished."""
        unfinished = {}
        for place, cell in left.items():
            record = None if cell.origin.pending else self.ledger.finished(cell, models=self.running.models)
            if record is None:
                unfinished[place] = cell
            else:
                yield Outcome(place, cell, record, kept=True)
        return unfinished

    def pretrained(self, left: Mapping[int, Cell], workers: Workers) -> Generator[Outcome, None, dict[int, Cell]]:
        """Pre-train what cells start from."""
        waiting = {place: self.plan.pretraining[cell.name] for place, cell in left.items() if cell.origin.pending}
        stages = list({stage.name: stage for stage in waiting.values()}.values())
        if not stages:
            return dict(left)
        jobs = [PretrainJob(stage, self.ledger.out, self.running.devices) for stage in stages]
        made: dict[str, Any] = {}
        for place, result in workers.run(jobs, _ByPlace(stages, self.watcher)):
            made[stages[place].name] = result
        ready = {}
        for place, cell in left.items():
            result = made[waiting[place].name] if place in waiting else None
            if isinstance(result, Failure):
                failure = replace(result, message=f"its pre-training failed: {result.message}")
                self.ledger.note(cell, failure, 1)
                yield Outcome(place, cell, None, failure)
            else:
                ready[place] = cell if result is None else cell.started_from(from_file(result, cell.origin.name))
        return (yield from self.kept(ready))

    def ended(self, left: Mapping[int, Cell], workers: Workers) -> Iterator[Outcome]:
        """Run cells, and again what crashed, as often as is asked for."""
        for tries in range(1, self.running.retries + 2):
            again = {}
            places, cells = list(left), list(left.values())
            for number, result in workers.run(list(map(self._job, cells)), _ByPlace(cells, self.watcher)):
                place, cell = places[number], cells[number]
                if not isinstance(result, Failure):
                    yield Outcome(place, cell, self.ledger.keep(cell, result))
                    continue
                self.ledger.note(cell, result, tries)
                if result.crash and tries <= self.running.retries:
                    again[place] = cell
                else:
                    yield Outcome(place, cell, None, result)
            left = again

    def _job(self, cell: Cell) -> CellJob:
        running = self.running
        return CellJob(
            cell,
            self.known[cell.method],
            self.ledger.out,
            running.devices,
            running.models,
            running.nodes,
            running.accelerator,
            running.log,
        )


@dataclass(frozen=True)
class _ByPlace:
    """Tells of what is run who is told of places."""

    run: Sequence[Named]
    watcher: Watcher

    def started(self, place: int) -> None:
        self.watcher.started(self.run[place])

    def stepped(self, place: int, step: Step) -> None:
        self.watcher.stepped(self.run[place], step)
