"""``medimeta pretrain``: a backbone from several tasks, from many datasets, or from all that a target allows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medimeta.cli import options
from medimeta.cli.boundary import DONE
from medimeta.cli.console import print_json

if TYPE_CHECKING:
    from medimeta.learning.pretraining.config import PretrainConfig
    from medimeta.learning.pretraining.result import Pretrained
    from medimeta.learning.pretraining.sources import Sources
    from medimeta.learning.train import EpochDone

SHOWN = 10  # tasks on the screen


def _option(help_: str, **more: Any) -> Any:
    """Return an option of a setting: where it is not given, that of the file or of the protocol holds."""
    return typer.Option(help=help_, show_default=False, **more)


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK|DATASET]...",
            help="'dataset/task', or a dataset for all its tasks. With --target, what to choose from.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        _option("Task that it is for: what shares its domain or its subjects is left out. Without names, all others."),
    ] = None,
    root: options.Root = None,
    out: options.Out = Path("pretrained"),
    config: Annotated[Path | None, _option("YAML file of settings; flags come before it.")] = None,
    method: Annotated[
        Literal["multi-task", "maml"] | None, _option("A head for each task (default), or meta-training.")
    ] = None,
    backbone: Annotated[str | None, _option("timm's name of the backbone; resnet18 without.")] = None,
    pretrained: options.Pretrained = True,
    weights: options.Weights = None,
    learning_rate: Annotated[float | None, _option("Of Adam; of MAML's outer loop. 0.001 without.")] = None,
    max_epochs: Annotated[int | None, _option("Upper bound of epochs; early stopping usually ends before.")] = None,
    patience: Annotated[int | None, _option("Epochs without a better validation AUROC; 10 without.")] = None,
    batch_size: Annotated[int | None, _option("Multi-task: images a step; 64 without.")] = None,
    sampling: Annotated[
        Literal["size", "uniform"] | None, _option("Multi-task: how the task of a batch is drawn; size without.")
    ] = None,
    steps_per_epoch: Annotated[
        int | None, _option("Multi-task, many tasks: batches an epoch, drawn for ever. Without, every image once.")
    ] = None,
    task_weight: Annotated[
        list[str] | None, _option("Multi-task: what the loss of a task counts, as 'dataset/task=2'; repeat it.")
    ] = None,
    order: Annotated[int | None, _option("MAML: 1 or 2, whether inner gradients are differentiated; 1 without.")] = None,
    shots: Annotated[str | None, _option("MAML: images a class to learn from: a number, or bounds; 1-10 without.")] = None,
    queries: Annotated[int | None, _option("MAML: images a class to be tested on; 10 without.")] = None,
    episodes: Annotated[int | None, _option("MAML: episodes of each task; 1000 without.")] = None,
    episodes_per_epoch: Annotated[
        int | None, _option("MAML: episodes of each task between validations; 100 without.")
    ] = None,
    validation_episodes: Annotated[
        int | None, _option("MAML: episodes of each task in a validation; 10 without.")
    ] = None,
    meta_batch_size: Annotated[int | None, _option("MAML: episodes a step of the outer loop; 4 without.")] = None,
    inner_steps: Annotated[int | None, _option("MAML: steps on a support set; 4 without.")] = None,
    inner_learning_rate: Annotated[float | None, _option("MAML: rate of these steps; 0.1 without.")] = None,
    batch_norm: Annotated[
        Literal["batch", "running"] | None, _option("MAML: statistics of batch normalisation; batch without.")
    ] = None,
    normalize: Annotated[str | None, _option("Statistics that images are normalised with; imagenet without.")] = None,
    precision: Annotated[str | None, _option("bf16-mixed or 32-true; the fastest that is safe here without.")] = None,
    seed: Annotated[int | None, _option("Seed of all that is random; 0 without.")] = None,
    devices: options.Devices = "auto",
    json: options.Json = False,
) -> int:
    """Pre-train a backbone on many tasks, and write weights that every other verb takes as --weights."""
    if not names and target is None:
        raise typer.BadParameter("name tasks or datasets, or what it is for with --target", param_hint="TASK|DATASET")
    given = {
        "method": method,
        "backbone": backbone,
        "learning_rate": learning_rate,
        "max_epochs": max_epochs,
        "patience": patience,
        "batch_size": batch_size,
        "sampling": sampling,
        "steps_per_epoch": steps_per_epoch,
        "task_weights": _task_weights(task_weight),
        "order": order,
        "shots": None if shots is None else bounds(shots, "--shots"),
        "queries": queries,
        "episodes": episodes,
        "episodes_per_epoch": episodes_per_epoch,
        "validation_episodes": validation_episodes,
        "meta_batch_size": meta_batch_size,
        "inner_steps": inner_steps,
        "inner_learning_rate": inner_learning_rate,
        "batch_norm": batch_norm,
        "normalize": normalize,
        "precision": precision,
        "seed": seed,
    }
    settings = _settings({name: value for name, value in given.items() if value is not None}, config)
    return _run(
        options.words(names), target, root, out, settings, weights, pretrained, options.device_count(devices), json
    )


def bounds(text: str, option: str) -> int | tuple[int, int]:
    """Read a number, or two bounds such as 1-10.

    Raises
    ------
    typer.BadParameter
        It is neither.
    """
    match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text.strip(), re.ASCII)
    if match is None:
        raise typer.BadParameter(f"expected a number, or bounds such as 1-10; got {text!r}", param_hint=option)
    low, high = match.groups()
    return int(low) if high is None else (int(low), int(high))
