"""``medimeta verify``: whether stored datasets are whole."""

from __future__ import annotations

from typing import Annotated

import typer

from medimeta.cli import options
from medimeta.cli.boundary import DONE, PROBLEMS
from medimeta.cli.console import print_json


def command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="Datasets; all below the root without.")
    ] = None,
    root: options.Root = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also hash every file and compare it with the manifest.")
    ] = False,
    json: options.Json = False,
) -> int:
    """Check stored datasets and report every problem; leaves with 1 if there is one."""
    from medimeta.errors import DatasetNotFoundError
    from medimeta.store.layout import default_root
    from medimeta.store.reader import stored_datasets
    from medimeta.store.verify import fetch_anew, verify, verify_folder

    place = default_root(root)
    if names:
        reports = [verify(name, place, deep=deep) for name in options.some_words(names, "ID...")]
    else:
        reports = [verify_folder(folder, place, deep=deep) for folder in stored_datasets(place)]
        if not reports:
            raise DatasetNotFoundError(f"{place}: there is no dataset here. Pass --root, or build one first.")
    if json:
        print_json([report.as_dict() for report in reports])
    else:
        for report in reports:
            typer.echo(report.text())
        if len(anew := [report.dataset for report in reports if report.fetch_anew]) > 1:
            typer.echo(f"To fetch anew: {fetch_anew(anew, place)}")
    return DONE if all(report.ok for report in reports) else PROBLEMS
