"""``medimeta train``: one task, by the paper's protocol, or by settings of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from medimeta._optional import TRAINING, ask_for
from medimeta.cli import options
from medimeta.cli.grid import run_grid
from medimeta.cli.training_options import training_flags


@training_flags
def command(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="'dataset/task'; a dataset alone means its primary task.")
    ],
    root: options.Root = None,
    out: options.Out = Path("runs"),
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; flags come before it.", show_default=False)
    ] = None,
    backbone: options.Backbones = None,
    seeds: options.Seeds = None,
    pretrained: Annotated[
        bool | None,
        typer.Option("--pretrained/--no-pretrained", help="Start from ImageNet weights; so it does without."),
    ] = None,
    weights: options.Weights = None,
    training: Mapping[str, Any] = {},
    devices: options.Devices = "auto",
    nodes: options.Nodes = 1,
    accelerator: options.Accelerator = "auto",
    log: options.Log = "none",
    json: options.Json = False,
) -> int:
    """Train on one task, test it, and write record, predictions, model and table. Started again, it goes on."""
    ask_for(*TRAINING)
    from medimeta.benchmark.grid import Grid
    from medimeta.benchmark.plan import plan_grid
    from medimeta.benchmark.run import Running
    from medimeta.learning.config import settings_from
    from medimeta.learning.settings import merged
    from medimeta.store.layout import default_root

    running = Running(options.device_count(devices), nodes=nodes, accelerator=accelerator, log=log)
    settings = {} if config is None else settings_from(config)
    start = str(settings.pop("weights", "imagenet"))
    if config is not None and start not in ("imagenet", "none"):
        start = str(config.parent / Path(start).expanduser())
    if weights is not None or pretrained is not None:
        start = options.origin(weights, pretrained=pretrained is not False)
    grid = Grid(
        tasks=(task,),
        backbones=tuple(options.words(backbone, [settings.pop("backbone", "resnet18")])),
        seeds=tuple(options.numbers(seeds, [settings.pop("seed", 0)], "--seeds")),
        weights=(start,),
        training=merged(settings, settings_from(training, "the flags")),
    )
    plan = plan_grid(grid, default_root(root))
    plan.raise_for_missing()
    return run_grid(plan, out, running, json=json)
