"""``medimeta build``: datasets from their original downloads."""

from __future__ import annotations

from typing import Annotated

import typer

from medimeta.cli import options
from medimeta.cli.console import build_progress, print_json


def command(
    names: Annotated[list[str], typer.Argument(metavar="ID...", help="Datasets to build.")],
    source: Annotated[
        str,
        typer.Option(help="The download: the archive, the folder it was extracted to, or a folder that holds either."),
    ],
    root: options.Root = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes; as many as there are processors.", show_default=False),
    ] = None,
    size: Annotated[int, typer.Option(help="Side of the images in pixels; release 1.0 has 224.")] = 224,
    allow_partial: Annotated[
        bool,
        typer.Option("--allow-partial", help="Build although the download does not hold all that the release holds."),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a dataset that is there, once the new one is verified."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Build datasets from their original downloads, without extracting them."""
    from medimeta.building.engine import build

    if not source:
        raise typer.BadParameter("is empty; name the download", param_hint="--source")
    wanted = options.some_words(names, "ID...")
    with build_progress() as progress:
        reports = build(
            wanted,
            source,
            root,
            workers=workers,
            size=size,
            allow_partial=allow_partial,
            overwrite=overwrite,
            progress=progress,
        )
    if json:
        print_json([report.as_dict() for report in reports])
        return
    for report in reports:
        typer.echo(report.text())
