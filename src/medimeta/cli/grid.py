"""What ``train``, ``benchmark`` and ``demo`` share: run cells, show how they go, write and print the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from medimeta.cli.boundary import DONE, PROBLEMS
from medimeta.cli.console import console, print_json
from medimeta.cli.progress import GridProgress

if TYPE_CHECKING:
    from medimeta.benchmark.cell import Cell
    from medimeta.benchmark.plan import Plan
    from medimeta.benchmark.pretraining import Pretraining
    from medimeta.benchmark.record import Record
    from medimeta.benchmark.run import Outcome, Running


def run_grid(plan: Plan, out: Path, running: Running, *, json: bool) -> int:
    """Run the cells of a plan and report; returns the exit code."""
    from medimeta.benchmark.run import run_cells

    for stage in _stages(plan, out):
        if stage.lacks:
            typer.echo(f"{stage.title}: {stage.lacks}", err=True)
    for cell, why in _not_whole(plan, out, running):
        typer.echo(f"run again: {cell.title}: {why}", err=True)
    outcomes: list[Outcome] = []
    with GridProgress(len(plan.cells)) as progress:
        for outcome in run_cells(plan, out, running, watcher=progress):
            outcomes.append(outcome)
            progress.ended(outcome)
    # In the order of the grid, whichever ended first: so what is printed is the same for any number of jobs.
    outcomes.sort(key=lambda outcome: outcome.place)
    _report([outcome.record for outcome in outcomes if outcome.record is not None], out, json=json)
    failed = [outcome for outcome in outcomes if outcome.record is None]
    for outcome in failed:
        typer.echo(f"failed: {outcome.cell.title}: {outcome.error}", err=True)
    if failed:
        typer.echo(
            f"{len(failed)} of {len(plan.cells)} cells failed; *.failed.json in {out} says why. The same command tries "
            f"them again.",
            err=True,
        )
    return PROBLEMS if failed else DONE


def _not_whole(plan: Plan, out: Path, running: Running) -> Iterator[tuple[Cell, str]]:
    """Return cells that were run before, and why they do not count as finished."""
    from medimeta.benchmark.ledger import looked_up
    from medimeta.benchmark.pretraining import started

    for cell in (started(cell, plan.pretraining, out) for cell in plan.cells):
        why = "" if cell.origin.pending else looked_up(cell, out, models=running.models)[1]
        if why:
            yield cell, why


def _stages(plan: Plan, out: Path) -> list[Pretraining]:
    """Return what is pre-trained before the cells."""
    stages = {stage.name: stage for stage in plan.pretraining.values()}.values()
    return [stage for stage in stages if stage.made(out) is None]


def _report(records: Sequence[Record], out: Path, *, json: bool) -> None:
    from medimeta.benchmark.formats import terminal_table
    from medimeta.benchmark.report.write import write_report
    from medimeta.benchmark.rows import make_rows
    from medimeta.benchmark.table import make_tables

    written = write_report(out) if records else ()
    if json:
        print_json([record.model_dump(mode="json") for record in records])
    elif records:
        for table in make_tables(make_rows(records)):
            console().print(terminal_table(table))
        typer.echo(f"Written: {', '.join(map(str, written))}; a record and the predictions of every run lie in {out}")


def list_cells(plan: Plan, out: Path, *, json: bool, models: bool = True) -> int:
    """Say what a grid would run: its cells, which are finished, what is missing; nothing is written."""
    from medimeta.benchmark.ledger import state
    from medimeta.benchmark.methods import methods
    from medimeta.benchmark.plan import problems_of
    from medimeta.benchmark.pretraining import started

    cells = [started(cell, plan.pretraining, out) for cell in plan.cells]
    states = [(cell, *(("to do", "") if cell.origin.pending else state(cell, out, models=models))) for cell in cells]
    stages = _stages(plan, out)
    missing = [str(error) for error in plan.missing]
    problems = problems_of([cell for cell, word, _ in states if word != "finished"], methods())
    if json:
        listed = [{"cell": cell.title, "record": f"{cell.name}.json", "state": word} for cell, word, _ in states]
        first = [stage.title for stage in stages]
        print_json({"cells": listed, "pretraining": first, "missing": missing, "problems": problems})
        return PROBLEMS if missing or problems else DONE
    for stage in stages:
        typer.echo(f"{'first':>12}  {stage.title}" + (f" ({stage.lacks})" if stage.lacks else ""))
    for cell, word, why in states:
        typer.echo(f"{word:>12}  {cell.title}" + (f" ({why})" if why else ""))
    counts = {word: [each for _, each, _ in states].count(word) for word in ("finished", "failed", "begun", "to do")}
    typer.echo(f"{len(states)} cells: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count))
    for what, lines in (("Not built", missing), ("In the way", problems)):
        if lines:
            typer.echo(f"{what}:")
        for line in lines:
            typer.echo(f"  {line}")
    return PROBLEMS if missing or problems else DONE
