"""``medimeta pretrain``: a backbone from several tasks, from many datasets, or from all that a target allows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medimeta._optional import TRAINING, ask_for
from medimeta.cli import options
from medimeta.cli.boundary import DONE
from medimeta.cli.console import print_json
from medimeta.cli.training_options import setting_flags
from medimeta.learning.pretraining.config import PretrainConfig
from medimeta.learning.settings import merged, read_settings

if TYPE_CHECKING:
    from medimeta.catalogue.schema import TaskCard
    from medimeta.learning.pretraining.result import Pretrained
    from medimeta.learning.train import EpochDone

SHOWN = 10  # tasks on the screen


def _option(help_: str, **more: Any) -> Any:
    """Return an option of a setting: where it is not given, that of the file or of the protocol holds."""
    return typer.Option(help=help_, show_default=False, **more)


@setting_flags(PretrainConfig, "settings", apart=("weights", "shots", "task_weights"))
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
    pretrained: options.Pretrained = True,
    weights: options.Weights = None,
    task_weight: Annotated[
        list[str] | None, _option("Multi-task: what the loss of a task counts, as 'dataset/task=2'; repeat it.")
    ] = None,
    shots: Annotated[
        str | None, _option("MAML: images a class to learn from: a number, or bounds. The protocol has 1-10.")
    ] = None,
    settings: Mapping[str, Any] = {},
    devices: options.Devices = "auto",
    nodes: options.Nodes = 1,
    json: options.Json = False,
) -> int:
    """Pre-train a backbone on many tasks, and write weights that every other verb takes as --weights."""
    if not names and target is None:
        raise typer.BadParameter("name tasks or datasets, or what it is for with --target", param_hint="TASK|DATASET")
    flags = dict(settings)
    if task_weight:
        flags["task_weights"] = _task_weights(task_weight)
    if shots is not None:
        flags["shots"] = options.bounds(shots, "--shots")
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
    ask_for(*TRAINING)
    from medimeta.learning.device import best_precision

    settings = {} if file is None else read_settings(PretrainConfig, file)
    if weights is not None:
        flags["weights"] = _digest(weights)
    elif not pretrained:
        flags["weights"] = "none"
    flags = read_settings(PretrainConfig, flags, "the flags")
    return PretrainConfig(precision=best_precision()).changed(**merged(settings, flags))


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


def _task_weights(values: list[str]) -> dict[str, float]:
    """Read 'dataset/task=2', each."""
    found: dict[str, float] = {}
    for value in values:
        name, _, number = value.rpartition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise typer.BadParameter(f"expected 'dataset/task=2', got {value!r}", param_hint="--task-weight")
    return found
