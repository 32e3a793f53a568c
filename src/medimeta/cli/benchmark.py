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
    from medimeta.benchmark.grid import BUILT, Grid
    from medimeta.benchmark.plan import plan_grid
    from medimeta.benchmark.run import Running
    from medimeta.store.layout import default_root

    running = Running(devices=options.device_count(devices))
    named = options.words(datasets), options.words(tasks)
    grid = Grid(
        datasets=tuple(named[0] if any(named) else [BUILT]),
        tasks=tuple(named[1]),
        backbones=tuple(options.words(backbone, ["resnet18"])),
        seeds=tuple(options.numbers(seeds, [0])),
        weights=(options.origin(weights, pretrained=pretrained),),
        training=options.training(max_epochs, batch_size),
    )
    plan = plan_grid(grid, default_root(root))
    plan.raise_for_missing()
    return run_grid(plan.cells, out, running, json=json)
