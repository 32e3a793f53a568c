"""``medimeta train``: one task, by the paper's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medimeta.cli import options
from medimeta.cli.grid import run_grid


def command(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="'dataset/task'; a dataset alone means its primary task.")
    ],
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
    """Train on one task, test it, and write record, predictions and table."""
    from medimeta.benchmark.grid import Grid
    from medimeta.benchmark.plan import plan_grid
    from medimeta.benchmark.run import Running
    from medimeta.store.layout import default_root

    running = Running(devices=options.device_count(devices))
    grid = Grid(
        tasks=(task,),
        backbones=tuple(options.words(backbone, ["resnet18"])),
        seeds=tuple(options.numbers(seeds, [0])),
        weights=(options.origin(weights, pretrained=pretrained),),
        training=options.training(max_epochs, batch_size),
    )
    plan = plan_grid(grid, default_root(root))
    plan.raise_for_missing()
    return run_grid(plan, out, running, json=json)
