"""``medimeta report``: tables and the page again, from records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medimeta.cli import options
from medimeta.cli.console import console, print_json


def command(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder with the results of train or benchmark.")],
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="html, md, csv or tex; all without. Repeat it or separate by commas."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Make tables and the HTML report from the records in a folder. Nothing is trained."""
    from medimeta.benchmark.formats import terminal_table
    from medimeta.benchmark.report.write import FORMATS, write_report
    from medimeta.benchmark.results import read_results
    from medimeta.benchmark.rows import make_rows
    from medimeta.benchmark.table import make_tables

    written = write_report(out, options.words(formats, FORMATS))
    results = read_results(out)
    for problem in results.problems:
        typer.echo(f"left out: {problem}", err=True)
    for cell in results.failed:
        typer.echo(f"failed: {cell.cell}: {cell.error}", err=True)
    if json:
        failed = [{"cell": cell.cell, "error": cell.error} for cell in results.failed]
        files = [str(path) for path in written]
        print_json({"files": files, "failed": failed, "problems": list(results.problems)})
        return
    for table in make_tables(make_rows(results.records)):
        console().print(terminal_table(table))
    typer.echo(f"Written: {', '.join(map(str, written))}")
