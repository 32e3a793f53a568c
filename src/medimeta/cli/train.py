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
    from medimeta.benchmark.run import plan_cells
    from medimeta.store.layout import default_root

    cells = plan_cells(
        [task],
        options.words(backbone, ["resnet18"]),
        options.numbers(seeds, [0]),
        root=default_root(root),
        weights=weights,
        pretrained=pretrained,
        max_epochs=max_epochs,
        batch_size=batch_size,
    )
    return run_grid(cells, out, devices=options.device_count(devices), json=json)
