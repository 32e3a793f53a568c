"""``medimeta demo``: the whole path, from originals to an AUROC table."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from medimeta.cli.console import build_progress
from medimeta.cli.grid import run_grid

IMAGES_PER_CLASS = 40
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
) -> int:
    """Go the whole way once: originals, build, verify, train a small baseline, table."""
    from medimeta.benchmark.run import plan_cells
    from medimeta.building.engine import build
    from medimeta.store.verify import verify
    from medimeta.synthetic.originals import available, write_original

    originals, root, runs = out / "originals", out / "data", out / "runs"
    names = list(available())
    if source is None:
        typer.echo(f"1. Synthetic originals ({', '.join(names)}), with the names, layout and quirks of the real ones")
        for name in names:
            for path in write_original(name, originals, images_per_class=IMAGES_PER_CLASS, seed=seed):
                typer.echo(f"   {path} ({path.stat().st_size / 1e6:.1f} MB)")
    else:
        originals = source
        names = _found_in(source, names)
        typer.echo(f"1. Real originals of {', '.join(names)} below {source}")
    typer.echo("2. Build: straight from the archives, verified, then renamed into place")
    with build_progress() as progress:
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
    typer.echo(f"4. Train {backbone} from scratch for {max_epochs} epochs on each primary task, and test it")
    cells = plan_cells(
        names, [backbone], [seed], root=root, pretrained=False, max_epochs=max_epochs, batch_size=BATCH_SIZE
    )
    code = run_grid(cells, runs, devices="auto", json=False)
    if source is None:
        typer.echo("These images are synthetic: the figures show that the path works, and say nothing about patients.")
    here = "medimeta" if shutil.which("medimeta") else sys.argv[0]  # in a virtual environment that is not active
    typer.echo(f"Datasets lie in {root}. Next: {here} show {names[0]}; {here} build {names[0]} --source DOWNLOADS")
    return code


def _found_in(source: Path, names: list[str]) -> list[str]:
    """Return the datasets whose originals are below `source`; where there is none, say what was looked for."""
    from medimeta.catalogue.catalogue import default_catalogue
    from medimeta.errors import SourceNotFoundError
    from medimeta.recipes.recipe import recipe_of
    from medimeta.sources.find import find_original

    found, missing = [], []
    for name in names:
        try:
            find_original(source, recipe_of(default_catalogue().dataset(name)).original)
            found.append(name)
        except SourceNotFoundError as error:
            missing.append(str(error))
    if not found:
        raise SourceNotFoundError("\n".join(dict.fromkeys(missing)))
    return found
