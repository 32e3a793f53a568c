"""``medimeta benchmark``: the paper's tables, or a grid of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from medimeta._optional import TRAINING, ask_for
from medimeta.cli import options
from medimeta.cli.grid import list_cells, run_grid
from medimeta.cli.training_options import training_flags


@training_flags
def command(
    grid: Annotated[
        Path | None, typer.Argument(metavar="[GRID.yaml]", help="A grid in a file.", show_default=False)
    ] = None,
    grid_file: Annotated[
        Path | None, typer.Option("--grid", metavar="FILE", help="The same.", show_default=False)
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="A grid that comes along: paper (its Table 1) or paper-fewshot.", show_default=False),
    ] = None,
    datasets: Annotated[
        list[str] | None,
        typer.Option(
            help="Datasets, by their primary task; repeat it or separate by commas. 'all' is the catalogue, 'built' "
            "what lies under the root, which it is without."
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option(help="Tasks as 'dataset/task'; repeat it or separate by commas.")
    ] = None,
    root: options.Root = None,
    out: options.Out = Path("runs"),
    backbone: options.Backbones = None,
    seeds: options.Seeds = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(help="supervised, or few-shot methods; repeat it or separate by commas."),
    ] = None,
    shots: Annotated[
        list[str] | None, typer.Option(help="Images a class to learn from, of few-shot methods; 5 without.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="What to start from: imagenet, none, multi-domain or maml (pre-trained first), or a file. Repeat it "
            "or separate by commas."
        ),
    ] = None,
    pretrained: Annotated[
        bool | None, typer.Option("--pretrained/--no-pretrained", help="--weights imagenet, or --weights none.")
    ] = None,
    training: Mapping[str, Any] = {},
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.FIELD=VALUE",
            help="Another setting, as training.patience=3 or few_shot.episodes=20; repeat it.",
        ),
    ] = None,
    devices: options.Devices = "auto",
    nodes: options.Nodes = 1,
    accelerator: options.Accelerator = "auto",
    log: options.Log = "none",
    jobs: Annotated[int, typer.Option(min=1, help="Cells at a time, each in a process of its own.")] = 1,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run cells on the Dask cluster of this scheduler.", show_default=False),
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="How often a cell that crashed is tried again at once.")] = 0,
    models: Annotated[bool, typer.Option("--models/--no-models", help="Keep each trained model with its card.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the cells, and run nothing.")] = False,
    json: options.Json = False,
) -> int:
    """Run every cell of a grid, and tabulate AUROC beside the paper's. Finished cells are kept."""
    ask_for(*TRAINING)
    from medimeta.benchmark.grid import changed, grid_from
    from medimeta.benchmark.plan import plan_grid
    from medimeta.benchmark.run import Running
    from medimeta.store.layout import default_root

    running = Running(
        options.device_count(devices), jobs, dask, retries, models, nodes=nodes, accelerator=accelerator, log=log
    )
    place, given = _given([path for path in (grid, grid_file) if path is not None], preset)
    flags: dict[str, Any] = {
        "datasets": options.words(datasets),
        "tasks": options.words(tasks),
        "backbones": options.words(backbone),
        "seeds": options.numbers(seeds, [], "--seeds"),
        "methods": options.words(methods),
        "shots": options.numbers(shots, [], "--shots"),
        "weights": options.words(weights) or _origin(pretrained),
        **_settings(set_ or [], training),
    }
    fields = changed(given, {name: value for name, value in flags.items() if value})
    if not fields.keys() & {"datasets", "tasks"}:
        fields["datasets"] = "built"
    plan = plan_grid(grid_from(fields, place), default_root(root))
    if dry_run:
        return list_cells(plan, out, json=json, models=models)
    plan.raise_for_missing()
    return run_grid(plan, out, running, json=json)


def _given(files: Sequence[Path], preset: str | None) -> tuple[str, dict[str, Any]]:
    """Return the fields of the grid that is named, and what messages call it."""
    from medimeta.benchmark.grid import preset as read_preset
    from medimeta.benchmark.grid import read_fields

    if len(files) + (preset is not None) > 1:
        raise typer.BadParameter("name one grid: as the argument, by --grid, or by --preset", param_hint="GRID.yaml")
    if files:
        return str(files[0]), read_fields(files[0])
    return ("the grid", {}) if preset is None else (f"preset {preset}", read_preset(preset))


def _origin(pretrained: bool | None) -> list[str]:
    return [] if pretrained is None else ["imagenet" if pretrained else "none"]


def _settings(pairs: Sequence[str], training: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return settings by section: of ``SECTION.FIELD=VALUE``, and those of training that have flags of their own."""
    import yaml

    from medimeta.benchmark.grid import SECTIONS

    found: dict[str, dict[str, Any]] = {"training": dict(training)}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        section, dot, field = name.strip().partition(".")
        if not (equals and dot and field) or section not in SECTIONS:
            raise typer.BadParameter(
                f"expected SECTION.FIELD=VALUE with a section of {', '.join(SECTIONS)}, got {pair!r}",
                param_hint="--set",
            )
        try:
            found.setdefault(section, {})[field] = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise typer.BadParameter(f"{pair!r} has no value that reads: {error}", param_hint="--set") from None
    return found
