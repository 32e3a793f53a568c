"""``medimeta demo``: the whole path, from originals to an AUROC table."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from medimeta._interrupts import held_back
from medimeta._optional import TRAINING, ask_for
from medimeta.cli.console import build_progress
from medimeta.cli.grid import run_grid

TRAINED = ("bus", "pbc")
IMAGES_PER_CLASS = 40
IMAGES_OF_ALL = 10
BATCH_SIZE = 16  # small data: more steps an epoch than the protocol's 64 would give


def command(
    source: Annotated[
        Path | None, typer.Option(help="Real originals to use instead of synthetic ones.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for originals, datasets and results.")] = Path("demo"),
    max_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each small baseline.")] = 8,
    backbone: Annotated[str, typer.Option(help="timm's name of the backbone, trained from scratch.")] = "resnet18",
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Seed of images and training.")] = 0,
    everything: Annotated[
        bool, typer.Option("--all", help="Build, verify and load all datasets and tasks instead; nothing is trained.")
    ] = False,
) -> int:
    """Go the whole way once: originals, build, verify, train a small baseline, table."""
    ask_for("PIL", *TRAINING)
    from medimeta.benchmark.grid import Grid
    from medimeta.benchmark.plan import plan_grid
    from medimeta.benchmark.run import Running
    from medimeta.building.engine import build
    from medimeta.store.verify import verify
    from medimeta.synthetic.originals import available, write_originals

    originals, root, runs = out / "originals", out / "data", out / "runs"
    names = list(available()) if everything or source is not None else list(TRAINED)
    if source is None:
        typer.echo(f"1. Synthetic originals ({', '.join(names)}), with the names, layout and quirks of the real ones")
        images = IMAGES_OF_ALL if everything else IMAGES_PER_CLASS
        for path in write_originals(names, originals, images_per_class=images, seed=seed):
            typer.echo(f"   {path} ({_megabytes(path):.1f} MB)")
    else:
        originals = source
        names = _found_in(source, names)
        typer.echo(f"1. Real originals of {', '.join(names)} below {source}")
    typer.echo("2. Build: straight from the archives, verified, then renamed into place")
    with held_back(), build_progress() as progress:
        reports = build(names, originals, root, workers=workers, allow_partial=True, overwrite=True, progress=progress)
    for report in reports:
        typer.echo("   " + report.text().splitlines()[0])
        if source is not None and report.departures:
            typer.echo(f"   a part of the original, which the demo allows: {report.departures[0]}")
    typer.echo("3. Verify: every file against the manifest")
    for name in names:
        checked = verify(name, root, deep=True)
        checked.raise_for_problems()
        typer.echo("   " + checked.text().splitlines()[0])
    if everything:
        return _load_all(names, root)
    typer.echo(f"4. Train {backbone} from scratch for {max_epochs} epochs on each primary task, and test it")
    grid = Grid(
        datasets=tuple(names),
        backbones=(backbone,),
        seeds=(seed,),
        weights=("none",),
        training={"max_epochs": max_epochs, "batch_size": BATCH_SIZE},
    )
    code = run_grid(plan_grid(grid, root), runs, Running(), json=False)
    if source is None:
        typer.echo("These images are synthetic: the figures show that the path works, and say nothing about patients.")
    typer.echo(f"Datasets lie in {root}. {_next(names[0])}")
    return code


def _next(dataset: str) -> str:
    """Say what a newcomer may do next."""
    script = Path(sys.argv[0])
    if shutil.which("medimeta"):
        here = "medimeta"
    elif script.suffix == ".py":  # python -m medimeta
        here = f"{sys.executable} -m medimeta"
    else:
        here = str(script)  # in a virtual environment that is not active
    return f"Next: {here} show {dataset}; {here} build {dataset} --source DOWNLOADS"


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def _load_all(names: list[str], root: Path) -> int:
    """Load every split of every task once, and say how many there are."""
    from medimeta.catalogue.catalogue import default_catalogue
    from medimeta.catalogue.schema import SPLITS
    from medimeta.loading.arrays import load_arrays

    typer.echo("4. Load: every split of every task")
    tasks = [task for name in names for task in default_catalogue().dataset(name).tasks]
    for task in tasks:
        sizes = [len(load_arrays(task.id, root=root, split=split).labels) for split in SPLITS]
        typer.echo(f"   {task.id}: {task.target.word}, " + ", ".join(map("{} {}".format, sizes, SPLITS)))
    typer.echo(f"{len(names)} datasets and {len(tasks)} tasks built, verified and loaded: {root}")
    typer.echo(_next(names[0]))
    return 0


def _found_in(source: Path, names: list[str]) -> list[str]:
    """Return the datasets whose originals are below `source`; where there is none, say what was looked for."""
    from medimeta.catalogue.catalogue import default_catalogue
    from medimeta.errors import SourceNotFoundError
    from medimeta.recipes.recipe import recipe_of
    from medimeta.sources.find import find_original

    found, missing = [], []
    for name in names:
        try:
            find_original(source, recipe_of(default_catalogue().dataset(name)).original, [name], allow_partial=True)
            found.append(name)
        except SourceNotFoundError as error:
            missing.append(str(error))
    if not found:
        raise SourceNotFoundError("\n".join(dict.fromkeys(missing)))
    return found
