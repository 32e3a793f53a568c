"""``medimeta pretrain``: a backbone from several tasks, from many datasets, or from all that a target allows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medimeta.cli import options
from medimeta.cli.boundary import DONE
from medimeta.cli.console import print_json

if TYPE_CHECKING:
    from medimeta.catalogue.schema import TaskCard
    from medimeta.learning.pretraining.config import PretrainConfig
    from medimeta.learning.pretraining.result import Pretrained
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
    order: Annotated[
        int | None, _option("MAML: 1 or 2, whether inner gradients are differentiated; 1 without.")
    ] = None,
    shots: Annotated[
        str | None, _option("MAML: images a class to learn from: a number, or bounds; 1-10 without.")
    ] = None,
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
    inner_batch_norm: Annotated[
        Literal["support", "batch", "running"] | None,
        _option("MAML: whose statistics batch normalisation uses; support without."),
    ] = None,
    normalize: Annotated[str | None, _option("Statistics that images are normalised with; imagenet without.")] = None,
    precision: Annotated[str | None, _option("bf16-mixed or 32-true; the fastest that is safe here without.")] = None,
    seed: Annotated[int | None, _option("Seed of all that is random; 0 without.")] = None,
    devices: options.Devices = "auto",
    nodes: options.Nodes = 1,
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
        "shots": None if shots is None else options.bounds(shots, "--shots"),
        "queries": queries,
        "episodes": episodes,
        "episodes_per_epoch": episodes_per_epoch,
        "validation_episodes": validation_episodes,
        "meta_batch_size": meta_batch_size,
        "inner_steps": inner_steps,
        "inner_learning_rate": inner_learning_rate,
        "inner_batch_norm": inner_batch_norm,
        "normalize": normalize,
        "precision": precision,
        "seed": seed,
    }
    flags = {name: value for name, value in given.items() if value is not None}
    job = Job(options.words(names), target, root, out, weights, options.device_count(devices), nodes)
    return _run(job, _config(flags, config, weights, pretrained=pretrained), json=json)


@dataclass(frozen=True)
class Job:
    """What is to be pre-trained, apart from how."""

    names: list[str]
    target: str | None
    root: Path | None
    out: Path
    weights: Path | None
    devices: int | Literal["auto"]
    nodes: int


def _config(flags: dict[str, Any], file: Path | None, weights: Path | None, *, pretrained: bool) -> PretrainConfig:
    """Return the settings: flags before the file, the file before the protocol."""
    from medimeta._optional import require

    require("torch")
    from medimeta.learning.device import best_precision
    from medimeta.learning.pretraining.config import PretrainConfig, read_settings

    settings = {} if file is None else read_settings(file)
    if weights is not None:
        flags["weights"] = _digest(weights)
    elif not pretrained:
        flags["weights"] = "none"
    return PretrainConfig.of({"precision": best_precision(), **settings, **flags})


def _run(job: Job, config: PretrainConfig, *, json: bool) -> int:
    from medimeta.learning.pretraining.run import folder_name, identity_of, run_pretraining
    from medimeta.learning.pretraining.sources import check_sources, find_sources
    from medimeta.learning.pretraining.target import plan_for, run_plan

    if job.target is not None:
        plan = plan_for(job.target, job.root, config, names=job.names or None)
        _tell_sources(plan.sources.tasks, job.out / plan.name)
        _tell("not built, and so not used", plan.missing)
        _tell("left out", plan.left_out)
        with _progress() as done:
            found = run_plan(
                plan, job.out, config, weights=job.weights, devices=job.devices, nodes=job.nodes, epoch_done=done
            )
    else:
        sources = find_sources(job.names, job.root, config)
        check_sources(sources, config)
        folder = job.out / folder_name(config, identity_of(sources, config))
        _tell_sources(sources.tasks, folder)
        with _progress() as done:
            found = run_pretraining(
                sources,
                config,
                weights=job.weights,
                devices=job.devices,
                nodes=job.nodes,
                folder=folder,
                epoch_done=done,
            )
    _report(found, json=json)
    return DONE


def _report(found: Pretrained, *, json: bool) -> None:
    record, training = found.record, found.record["training"]
    if json:
        print_json({**record, "file": str(found.weights), "kept": found.kept})
        return
    best = training["history"][training["best_epoch"] - 1]
    typer.echo("Kept from before." if found.kept else f"{record['seconds']:.0f} s on {record['device']}.")
    typer.echo(f"Epoch {training['best_epoch']} of {training['epochs']}, chosen by {training['chosen_by']}:")
    for name, value in best["val_auroc_by_task"].items():
        typer.echo(f"  {name}: validation AUROC {_percent(value)}")
    _tell("without validation AUROC", record["not_validated"])
    typer.echo(f"Weights: {found.weights}; pass them with --weights.")


@contextmanager
def _progress() -> Iterator[EpochDone]:
    """Show the last epoch: one line that changes, or, in a log, a line an epoch."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    screen = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        line = bar.add_task("first epoch", total=None)

        def epoch_done(epoch: int, figures: dict[str, float]) -> None:
            text = f"epoch {epoch}, loss {figures['train_loss']:.3f}, validation loss {figures['val_loss']:.3f}"
            text += f", mean validation AUROC {_percent(figures['val_auroc'])}"
            if screen.is_terminal:
                bar.update(line, description=text)
            else:
                typer.echo(text, err=True)

        yield epoch_done


def _tell_sources(tasks: Sequence[TaskCard], folder: Path) -> None:
    datasets = {task.dataset for task in tasks}
    typer.echo(
        f"Pre-training on tasks: {len(tasks)}, of datasets: {', '.join(sorted(datasets))}; in {folder}", err=True
    )


def _tell(what: str, names: Sequence[str]) -> None:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    if names:
        typer.echo(f"{what}: {', '.join(names[:SHOWN])}{more}", err=True)


def _percent(value: float | None) -> str:
    return "not defined" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def _digest(weights: Path) -> str:
    from medimeta.errors import WeightsError

    if not weights.is_file():
        raise WeightsError(f"{weights}: there is no such file. Check the path given as --weights.")
    with weights.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _task_weights(values: list[str] | None) -> dict[str, float] | None:
    """Read 'dataset/task=2', each."""
    found: dict[str, float] = {}
    for value in values or ():
        name, _, number = value.rpartition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise typer.BadParameter(f"expected 'dataset/task=2', got {value!r}", param_hint="--task-weight")
    return found or None
