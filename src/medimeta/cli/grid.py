"""What ``train``, ``benchmark`` and ``demo`` share: run cells, show how they go, write and print the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from medimeta.cli.boundary import DONE, PROBLEMS
from medimeta.cli.console import console, epoch_progress, print_json

if TYPE_CHECKING:
    from medimeta.benchmark.run import Cell
    from medimeta.learning.device import Devices


def run_grid(cells: Sequence[Cell], out: Path, *, devices: Devices, json: bool) -> int:
    """Run the cells and report; returns the exit code."""
    from medimeta.benchmark.formats import terminal_table
    from medimeta.benchmark.report.write import write_report
    from medimeta.benchmark.rows import make_rows
    from medimeta.benchmark.run import run_cells
    from medimeta.benchmark.table import make_tables

    outcomes = []
    with epoch_progress() as watcher:
        for number, outcome in enumerate(run_cells(cells, out, devices=devices, watcher=watcher), 1):
            outcomes.append(outcome)
            cell = outcome.cell
            name = f"[{number}/{len(cells)}] {cell.task.id}, {cell.config.backbone}, seed {cell.config.seed}"
            if outcome.record is None:
                typer.echo(f"{name}: failed: {outcome.error}", err=True)
            elif outcome.kept:
                typer.echo(f"{name}: kept from before", err=True)
            else:
                record = outcome.record
                epochs = record.training.epochs if record.training else 0
                typer.echo(
                    f"{name}: {epochs} epochs, {record.seconds:.0f} s, {record.images_per_second:.0f} images/s",
                    err=True,
                )
    done = [outcome.record for outcome in outcomes if outcome.record is not None]
    written = write_report(out) if done else ()
    if json:
        print_json([record.model_dump(mode="json") for record in done])
    elif done:
        for table in make_tables(make_rows(done)):
            console().print(terminal_table(table))
        typer.echo(f"Written: {', '.join(map(str, written))}; a record and the predictions of every run lie in {out}")
    return DONE if len(done) == len(cells) else PROBLEMS
