"""``medimeta stats``: mean and deviation of the pixels, and how often each label comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from medimeta.cli import options
from medimeta.cli.console import console, print_json

if TYPE_CHECKING:
    from medimeta.catalogue.schema import TaskCard
    from medimeta.loading.statistics import StoredPart


def command(
    name: Annotated[str, typer.Argument(metavar="ID", help="A dataset, or a task as 'dataset/task'.")],
    root: options.Root = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            help="Splits to count; only train by default. Repeat it or separate by commas. "
            "Normalise with statistics of train alone: those of val or test leak them into training.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Count a dataset: mean and standard deviation of every channel, exactly, and the samples of every label."""
    from medimeta.loading.statistics import StoredPart, channel_statistics
    from medimeta.store.reader import resolve_task

    stored, task = resolve_task(name, root)
    splits = options.words(split, ["train"])
    part = StoredPart(stored, stored.split(*splits))
    found = {
        "dataset": stored.info.id,
        "splits": splits,
        **channel_statistics(part)._asdict(),
        "tasks": {
            card.name: {"target": card.target.value, "classes": _counts(card, part)}
            for card in ([task] if task else stored.info.tasks)
        },
    }
    if json:
        print_json(found)
    else:
        _print(found)


def _counts(card: TaskCard, part: StoredPart) -> dict[str, dict[str, int]]:
    from medimeta.store.table import positives

    counts = positives(card, part.stored.labels(card)[part.indices]).tolist()
    return {
        label: {"positive": count, "negative": len(part.indices) - count}
        for label, count in zip(card.classes, counts, strict=True)
    }


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from medimeta.catalogue.schema import TaskTarget

    screen = console()
    facts = (
        f", {', '.join(found['splits'])}: {found['images']:,} images, "
        f"{'grey' if len(found['mean']) == 1 else 'colour'}, {found['pixels']:,} pixels a channel"
    )
    screen.print(Text.assemble((found["dataset"], "bold"), facts))
    table = Table()
    table.add_column("of values in 0..1")
    for channel in ("grey",) if len(found["mean"]) == 1 else ("red", "green", "blue"):
        table.add_column(channel, justify="right")
    for row in ("mean", "std"):
        table.add_row(row, *(f"{value:.6f}" for value in found[row]))
    screen.print(table)
    for name, task in found["tasks"].items():
        table = Table(title=f"{name}: {TaskTarget(task['target']).word}", title_justify="left")
        for column, justify in (("label", "left"), ("images", "right"), ("share", "right")):
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        for label, count in task["classes"].items():
            share = count["positive"] / found["images"]
            table.add_row(label, f"{count['positive']:,}", f"{100 * share:.1f} %")
        screen.print(table)
