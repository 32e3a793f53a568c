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
    from medimeta.benchmark.run import run_cells
    from medimeta.benchmark.table import make_rows, terminal_table, write_tables

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
    done = [(outcome.cell.task, outcome.record) for outcome in outcomes if outcome.record is not None]
    rows = make_rows([task for task, _ in done], [record for _, record in done])
    if rows:
        markdown, values = write_tables(out, rows)
    if json:
        print_json([record.model_dump(mode="json") for _, record in done])
    elif rows:
        console().print(terminal_table(rows))
        typer.echo(
            f"Table: {markdown} and {values}; a record and the predictions of every run lie beside them in {out}"
        )
    return DONE if len(done) == len(cells) else PROBLEMS
