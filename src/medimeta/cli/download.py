"""``medimeta download``: datasets of the release, verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medimeta.cli import options
from medimeta.cli.boundary import DONE
from medimeta.cli.console import print_json

if TYPE_CHECKING:
    from medimeta.hub.download import Outcome


def command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="Datasets, or tasks as 'dataset/task'.")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="A task whose dataset is wanted, as 'bus/malignancy'; or as 'malignancy' beside one ID."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All 19 datasets.")] = False,
    root: options.Root = None,
    mirror: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Address or folder that has the archives. Else $MEDIMETA_MIRROR.", show_default=False
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=8, help="Datasets at a time.")] = 3,
    keep_archive: Annotated[
        bool, typer.Option("--keep-archive", help="Keep the archives, in the folder archives below the root.")
    ] = False,
    listing: Annotated[
        Path | None,
        typer.Option(help="A saved copy of the record's listing, instead of asking for it.", show_default=False),
    ] = None,
    from_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of archives that were fetched by hand; nothing is fetched.", show_default=False),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Fetch again what is there; it stays until the new one is verified.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse what departs from the catalogue, such as fewer samples.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0.01, max=3600, help="Seconds without a byte after which a connection is broken.")
    ] = 30.0,
    json: options.Json = False,
) -> int:
    """Download datasets of release 1.0 and verify them. Called again, a broken download goes on."""
    from medimeta.catalogue.lookup import datasets
    from medimeta.hub.display import DownloadDisplay
    from medimeta.hub.download import run_downloads

    wanted = [card.id for card in datasets()] if everything else options.words(names)
    with DownloadDisplay() as display:
        outcome = run_downloads(
            wanted,
            root,
            tasks=_tasks(task, wanted),
            mirror=mirror,
            listing=listing,
            from_dir=from_dir,
            jobs=jobs,
            keep_archive=keep_archive,
            overwrite=overwrite,
            strict=strict,
            timeout=timeout,
            progress=display,
        )
    if json:
        print_json(
            {
                "datasets": [report.as_dict() for report in outcome.done],
                "failed": {dataset: str(error) for dataset, error in outcome.failed},
                "remarks": list(outcome.remarks),
            }
        )
    else:
        _print(outcome, root)
    outcome.raise_for_failed()
    return DONE


def _tasks(tasks: list[str] | None, wanted: list[str]) -> list[str]:
    """Return tasks with their datasets; beside one dataset, its name need not be repeated."""
    found = [name.strip() for name in tasks or () if name.strip()]
    return [f"{wanted[0]}/{name}" if "/" not in name and len(wanted) == 1 else name for name in found]


def _print(outcome: Outcome, root: Path | None) -> None:
    if not outcome.done:
        return
    for report in outcome.done:
        typer.echo(report.text())
    for remark in outcome.remarks:
        typer.echo(f"({remark})")
    typer.echo("\nTerms")
    for report in outcome.done:
        typer.echo(report.attribution.text())
    first = outcome.done[0].dataset
    place = "" if root is None else f', root="{root}"'
    typer.echo(f'\nNext: medimeta.load("{first}"{place})')
