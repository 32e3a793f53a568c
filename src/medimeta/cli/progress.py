"""How a grid is shown while it runs: a line for each cell that runs, and a bar over all; in a log, a line an event."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from medimeta.benchmark.methods import Step
    from medimeta.benchmark.run import Named, Outcome

QUIET_SECONDS = 5  # in a log, between two lines of one cell


class GridProgress:
    """Shows how the cells of a grid go.

    Parameters
    ----------
    count : int
        How many cells there are.
    screen : Console, optional
        Where; standard error without it.
    """

    def __init__(self, count: int, screen: Console | None = None) -> None:
        self._count = count
        self._screen = screen or Console(stderr=True, highlight=False, markup=False)
        # Names are shown as they are: markup would take what stands in brackets for a colour.
        text = TextColumn("{task.description}", markup=False)
        columns = (SpinnerColumn(), text, BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
        shown = self._screen.is_terminal
        self._bars = Progress(*columns, TimeRemainingColumn(), console=self._screen, transient=True, disable=not shown)
        self._lines: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}
        self._all = self._bars.add_task("all cells", total=count)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def started(self, what: Named) -> None:
        """Show that a cell or a pre-training begins."""
        self._forget(what)  # where it is tried again
        self._lines[what.name] = self._bars.add_task(what.title, total=None)

    def stepped(self, what: Named, step: Step) -> None:
        """Show a step of it."""
        if self._screen.is_terminal and what.name in self._lines:
            text = f"{what.title}: {step.text}"
            self._bars.update(self._lines[what.name], description=text, completed=step.done, total=step.total)
            if step.done == step.total:  # of a pre-training nobody says that it has ended
                self._forget(what)
        elif step.done == step.total or time.monotonic() - self._said.get(what.name, -math.inf) > QUIET_SECONDS:
            self._said[what.name] = time.monotonic()
            self._say(f"{what.title}: {step.text}")

    def ended(self, outcome: Outcome) -> None:
        """Say what became of a cell."""
        cell = outcome.cell
        self._forget(cell)
        self._bars.advance(self._all)
        name = f"[{outcome.place + 1}/{self._count}] {cell.title}"
        record = outcome.record
        if record is None:
            self._say(f"{name}: failed: {outcome.error}")
        elif outcome.kept:
            self._say(f"{name}: kept from before")
        else:
            epochs = f"{record.training.epochs} epochs, " if record.training else ""
            self._say(f"{name}: {epochs}{record.seconds:.0f} s, {record.images_per_second:.0f} images/s")

    def _forget(self, what: Named) -> None:
        line = self._lines.pop(what.name, None)
        if line is not None:
            self._bars.remove_task(line)

    def _say(self, text: str) -> None:
        if self._screen.is_terminal:
            self._screen.print(text, soft_wrap=True)
        else:
            typer.echo(text, err=True)
