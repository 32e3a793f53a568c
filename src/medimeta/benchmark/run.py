"""Run the cells of a grid. Finished cells are kept, failed ones are told in the end, and killed ones resume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from medimeta.benchmark.cell import Cell
from medimeta.benchmark.cell_job import CellJob
from medimeta.benchmark.cluster import cluster
from medimeta.benchmark.grid import Grid, grid_from, read_fields
from medimeta.benchmark.job import Failure
from medimeta.benchmark.ledger import Ledger
from medimeta.benchmark.methods import Method, Step, methods
from medimeta.benchmark.plan import check_cells, plan_grid
from medimeta.benchmark.record import Record
from medimeta.benchmark.workers import Here, Processes, Workers
from medimeta.errors import UsageError
from medimeta.learning.device import Devices, check_devices
from medimeta.store.layout import default_root


class Watcher(Protocol):
    """Who is told how the cells go."""

    def started(self, cell: Cell) -> None:
        """Take note that a cell begins."""

    def stepped(self, cell: Cell, step: Step) -> None:
        """Take note of a step of a cell."""


class Unwatched:
    """Tells nobody."""

    def started(self, cell: Cell) -> None:
        """Do nothing."""

    def stepped(self, cell: Cell, step: Step) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its record, or the failure that ended it."""

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
        Whether trained models are kept.
    """

    devices: Devices = "auto"
    jobs: int = 1
    dask: str | None = None
    retries: int = 0
    models: bool = True

    def __post_init__(self) -> None:
        if self.jobs < 1 or self.retries < 0:
            raise UsageError(
                f"jobs must be at least 1 and retries not negative, got jobs={self.jobs}, retries={self.retries}."
            )
        check_devices(self.devices)

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
        Fields of `Running`: `devices`, `jobs`, `dask`, `retries`, `models`.

    Raises
    ------
    MedimetaError
        The grid cannot be run; nothing was.

    Examples
    --------
    >>> from medimeta.benchmark.run import run_benchmark
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
    done = {
        outcome.cell.name: outcome
        for outcome in run_cells(plan.cells, Path(out), Running(**running), known=every, watcher=watcher)
    }
    return list(done.values())


def run_cells(
    cells: Sequence[Cell],
    out: Path,
    running: Running | None = None,
    *,
    known: Mapping[str, Method] | None = None,
    watcher: Watcher | None = None,
) -> Iterator[Outcome]:
    """Run cells, and yield what became of each, as it ends.

    A cell whose record is there, for the same settings and the same data, is kept and not run again. A cell that fails
    does not stop the others; why it failed is written beside where its record would be.

    Raises
    ------
    UsageError, WeightsError, MedimetaError
        What is wrong with the data, the weights or the devices, all at once, before anything is trained.
    RootNotWritableError
        The output folder cannot be written.
    """
    running = running or Running()
    known = methods() if known is None else known
    ledger = Ledger(out)
    left = []
    for cell in cells:
        record = ledger.finished(cell)
        if record is None:
            left.append(cell)
        else:
            yield Outcome(cell, record, kept=True)
    check_cells(left, known)
    if not left:
        return
    with running.workers() as workers:
        for tries in range(1, running.retries + 2):
            again = []
            jobs = [CellJob(cell, known[cell.method], ledger.out, running.devices, running.models) for cell in left]
            for place, result in workers.run(jobs, _ByPlace(left, watcher or Unwatched())):
                cell = left[place]
                if not isinstance(result, Failure):
                    yield Outcome(cell, ledger.keep(cell, result))
                    continue
                ledger.note(cell, result, tries)
                if result.crash and tries <= running.retries:
                    again.append(cell)
                else:
                    yield Outcome(cell, None, result)
            left = again


@dataclass(frozen=True)
class _ByPlace:
    """Tells of cells who is told of places."""

    cells: Sequence[Cell]
    watcher: Watcher

    def started(self, place: int) -> None:
        self.watcher.started(self.cells[place])

    def stepped(self, place: int, step: Step) -> None:
        self.watcher.stepped(self.cells[place], step)
