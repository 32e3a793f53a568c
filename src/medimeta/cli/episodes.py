"""``medimeta episodes``: few-shot episodes of a task, as indices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medimeta.cli import options
from medimeta.cli.console import print_json

if TYPE_CHECKING:
    from medimeta.loading.episodes import Episodes

SHOWN = 3  # episodes on the screen


def command(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task as 'dataset/task'.")],
    shots: Annotated[str, typer.Option(help="Images a class to learn from: a number, or bounds such as 1-10.")] = "5",
    queries: Annotated[int, typer.Option(min=1, help="Images a class to be tested on.")] = 10,
    ways: Annotated[
        str | None,
        typer.Option(help="Classes of an episode: a number, or bounds such as 2-5; else all.", show_default=False),
    ] = None,
    length: Annotated[int, typer.Option(min=1, help="How many episodes.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same episodes.")] = 0,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Splits to draw from, all without; repeat it or separate by commas.", show_default=False),
    ] = None,
    min_samples: Annotated[
        int | None, typer.Option(min=1, help="Leave out classes with fewer images.", show_default=False)
    ] = None,
    disjoint_subjects: Annotated[
        bool,
        typer.Option(
            "--disjoint-subjects/--shared-subjects",
            help="Whether both sets of an episode must be of different subjects, where these are known.",
        ),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(help="File to save them to: *.json, or *.parquet with pyarrow.", show_default=False),
    ] = None,
    root: options.Root = None,
    json: options.Json = False,
) -> None:
    """Draw few-shot episodes of a task, and save them as indices; with --json print them, or what was saved."""
    from medimeta._optional import require

    if "/" not in task:
        raise typer.BadParameter(f"expected a task as 'dataset/task', got {task!r}", param_hint="TASK")
    bounds = options.bounds(shots, "--shots"), options.bounds(ways, "--ways") if ways is not None else None
    require("torch")
    from medimeta.loading.dataset import load
    from medimeta.loading.episode_codecs import checked_path
    from medimeta.loading.episodes import Episodes

    if out is not None:
        checked_path(out)
    episodes = Episodes(
        load(task, root=root, split=options.words(split) or None),
        shots=bounds[0],
        queries=queries,
        ways=bounds[1],
        length=length,
        seed=seed,
        min_samples=min_samples,
        disjoint_subjects=disjoint_subjects,
    )
    if out is not None:
        episodes.save(out)
    if not json:
        _tell(episodes, out)
    elif out is None:
        print_json(episodes.document())
    else:
        print_json({**_report(episodes), "file": str(out)})


def _report(episodes: Episodes) -> dict[str, Any]:
    """Return what there is to know besides the episodes themselves."""
    return {
        "task": episodes.task.id,
        "samples": len(episodes.dataset),
        "episodes": len(episodes),
        "classes": list(episodes.classes),
        "left_out": list(episodes.left_out),
        "subjects_known": episodes.subjects_known,
        "settings": episodes.settings,
    }


def _tell(episodes: Episodes, out: Path | None) -> None:
    apart = "support and query set share no subject" if episodes.subjects_known else "subjects are not told apart"
    typer.echo(f"{episodes.task.id}: {len(episodes):,} episodes of {len(episodes.dataset):,} images; {apart}.")
    typer.echo(f"Classes: {', '.join(episodes.classes)}")
    if episodes.left_out:
        typer.echo(f"Left out, with too few images: {', '.join(episodes.left_out)}")
    for number, episode in enumerate(episodes[:SHOWN]):
        typer.echo(
            f"Episode {number}: {len(episode.classes)} classes, {len(episode.support)} images in the support set, "
            f"{len(episode.query)} in the query set"
        )
    if len(episodes) > SHOWN:
        typer.echo("...")
    typer.echo(f"Saved: {out}" if out is not None else "Pass --out FILE.json to save them, or --json to print them.")
