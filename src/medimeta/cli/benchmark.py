"""``medimeta benchmark``: the paper's table, or a grid of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medimeta.cli import options
from medimeta.cli.grid import run_grid


def command(
    datasets: Annotated[
        list[str] | None,
        typer.Option(
            help="Datasets, by their primary task; repeat it or separate by commas. All that are built without."
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option(help="Tasks as 'dataset/task'; repeat it or separate by commas.")
    ] = None,
    root: options.Root = None,
    out: options.Out = Path("runs"),
    backbone: options.Backbones = None,
    seeds: options.Seeds = None,
    max_epochs: options.MaxEpochs = 100,
    batch_size: options.BatchSize = None,
    pretrained: options.Pretrained = True,
    weights: options.Weights = None,
    devices: options.Devices = "auto",
    json: options.Json = False,
) -> int:
    """Train and test every cell of a grid, and tabulate AUROC beside the paper's. Finished cells are kept."""
    from medimeta.benchmark.run import plan_cells
    from medimeta.errors import DatasetNotFoundError
    from medimeta.store.layout import default_root
    from medimeta.store.reader import stored_datasets

    place = default_root(root)
    named = options.words(datasets) + options.words(tasks)
    wanted = named or [folder.name for folder in stored_datasets(place)]
    if not wanted:
        raise DatasetNotFoundError(f"{place}: there is no dataset here. Pass --root, or build one first.")
    cells = plan_cells(
        wanted,
        options.words(backbone, ["resnet18"]),
        options.numbers(seeds, [0]),
        root=place,
        weights=weights,
        pretrained=pretrained,
        max_epochs=max_epochs,
        batch_size=batch_size,
    )
    return run_grid(cells, out, devices=options.device_count(devices), json=json)
