"""What the verbs print with: results on standard output, progress on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from medimeta.building.engine import Progress

PIPE_WIDTH = 160  # of tables that go to a file or a pipe, where there is no screen to fit


def console() -> Console:
    """Return a console on standard output, which shows brackets in the texts of cards as they are."""
    from rich.console import Console

    made = Console(highlight=False, markup=False)
    return made if made.is_terminal else Console(highlight=False, markup=False, width=PIPE_WIDTH)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


@contextmanager
def build_progress() -> Iterator[Progress]:
    """Show a bar with rate and time left for each dataset that is built."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    bars: dict[str, TaskID] = {}
    resumed: dict[str, int] = {}
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} images/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:

        def progress(dataset: str, done: int, total: int) -> None:
            if dataset not in bars:
                bars[dataset] = bar.add_task(dataset, total=total, rate="–")
                resumed[dataset] = done
            elapsed = next(task.elapsed for task in bar.tasks if task.id == bars[dataset])
            made = done - resumed[dataset]
            bar.update(bars[dataset], completed=done, rate=f"{made / elapsed:.0f}" if made and elapsed else "–")

        yield progress
