"""``medimeta list``: the datasets, filtered."""

from __future__ import annotations

from typing import Annotated

import typer

from medimeta.cli import options
from medimeta.cli.console import console, print_json


def command(
    domain: Annotated[str | None, typer.Option(help="Only this imaging domain.")] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Only datasets with a task of this kind: multi-class, binary, multi-label, ordinal."),
    ] = None,
    commercial: Annotated[
        bool | None,
        typer.Option(
            "--commercial/--non-commercial",
            help="Only what all licences together allow commercially, or not.",
        ),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Only datasets that this licence binds, such as CC-BY-4.0.")
    ] = None,
    min_samples: Annotated[int | None, typer.Option(min=0, help="At least so many images.")] = None,
    max_samples: Annotated[int | None, typer.Option(min=0, help="At most so many images.")] = None,
    overlaps: Annotated[str | None, typer.Option(help="Only datasets that overlap with this one.")] = None,
    json: options.Json = False,
) -> None:
    """List the datasets."""
    from medimeta.catalogue.catalogue import default_catalogue
    from medimeta.catalogue.views import dataset_summary

    catalogue = default_catalogue()
    cards = catalogue.datasets(
        domain,
        target,
        commercial,
        licence=licence,
        min_samples=min_samples,
        max_samples=max_samples,
        overlaps=overlaps,
    )
    if json:
        print_json(
            {
                "domains": sorted({card.domain for card in cards}),
                "datasets": [dataset_summary(card, catalogue) for card in cards],
                "tasks": [task.id for card in cards for task in card.tasks],
            }
        )
        return
    from rich.table import Table

    tasks = sum(len(card.tasks) for card in cards)
    domains = len({card.domain for card in cards})
    table = Table(title=f"{len(cards)} datasets, {tasks} tasks, {domains} domains", title_justify="left")
    for column, justify in (
        ("id", "left"),
        ("name", "left"),
        ("domain", "left"),
        ("images", "right"),
        ("tasks", "right"),
    ):
        table.add_column(column, justify=justify, no_wrap=column == "id")  # type: ignore[arg-type]
    table.add_column("commercial use")
    for card in cards:
        use = "yes" if catalogue.commercial(card) else "no"
        table.add_row(card.id, card.name, card.domain, f"{card.samples.total:,}", str(len(card.tasks)), use)
    console().print(table)
