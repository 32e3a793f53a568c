"""``medimeta build``: datasets from their original downloads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medimeta._interrupts import held_back, let_through
from medimeta.cli import options
from medimeta.cli.console import build_progress, print_json


def command(
    names: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Datasets to build, or YAML cards of your own data.")
    ],
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
    tiff: Annotated[bool, typer.Option("--tiff", help="Also write release 1.0's TIFF file of each image.")] = False,
    release_errata: Annotated[
        bool,
        typer.Option("--release-errata", help="Repeat release 1.0's mistakes in labels and masks; see medimeta show."),
    ] = False,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Work on the Dask cluster of this scheduler.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the tables, say what would be built, and build nothing.")
    ] = False,
    json: options.Json = False,
) -> int:
    """Build datasets from their original downloads, without extracting them. Called again, a broken build goes on."""
    with held_back() as ctrl_c:
        from medimeta.building.engine import build

        if not source:
            raise typer.BadParameter("is empty; name the download", param_hint="--source")
        wanted = options.some_words(names, "ID...")
        if dry_run:
            return _plan(
                wanted,
                source,
                root,
                json=json,
                size=size,
                allow_partial=allow_partial,
                tiff=tiff,
                release_errata=release_errata,
            )
        with build_progress() as progress:
            reports = build(
                wanted,
                source,
                root,
                workers=workers,
                size=size,
                allow_partial=allow_partial,
                overwrite=overwrite,
                tiff=tiff,
                release_errata=release_errata,
                dask=dask,
                progress=progress,
            )
        if json:
            print_json([report.as_dict() for report in reports])
        else:
            for report in reports:
                typer.echo(report.text())
        ctrl_c.forget()
    return 0


def _plan(
    wanted: list[str],
    source: str,
    root: Path | None,
    *,
    json: bool,
    size: int,
    allow_partial: bool,
    tiff: bool,
    release_errata: bool,
) -> int:
    """Say what would be built; the exit code says whether there is room for it."""
    from medimeta.building.dry_run import plan_build
    from medimeta.store.disk import room

    with let_through():
        plans = plan_build(
            wanted, source, root, size=size, allow_partial=allow_partial, tiff=tiff, release_errata=release_errata
        )
    if json:
        print_json([plan.as_dict() for plan in plans])
    else:
        typer.echo("\n".join(plan.text() for plan in plans))
    needed, free = sum(plan.needed_bytes for plan in plans), min(plan.free_bytes for plan in plans)
    if needed > free and all(plan.fits for plan in plans) and not json:
        typer.echo(f"together they need {room(needed)}, {room(free)} are free: TOO LITTLE")
    return 0 if needed <= free else 1
