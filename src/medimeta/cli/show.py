"""``medimeta show``: one dataset or task, whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from medimeta.cli import options
from medimeta.cli.console import console, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from medimeta.catalogue.catalogue import Catalogue
    from medimeta.catalogue.schema import DatasetCard, TaskCard


def command(
    name: Annotated[str, typer.Argument(metavar="ID", help="A dataset, or a task as 'dataset/task'.")],
    root: options.Root = None,
    json: options.Json = False,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print what to cite, as BibTeX.")] = False,
) -> None:
    """Show a dataset or a task: what it is, its terms, its overlaps, the errata of its release, whom to cite."""
    from medimeta.catalogue.bibtex import bibtex as citations
    from medimeta.catalogue.catalogue import default_catalogue
    from medimeta.catalogue.views import dataset_details
    from medimeta.store.lookup import dataset, task

    if json and bibtex:
        raise typer.BadParameter("--json and --bibtex are two forms of output: pass one of them")
    catalogue = default_catalogue()
    shown = task(name, root) if "/" in name else None
    card = dataset(shown.dataset if shown else name, root)
    if bibtex:
        typer.echo(citations(card))
    elif json:
        print_json(shown.model_dump(mode="json") if shown else dataset_details(card, catalogue))
    elif shown:
        console().print(_labels(shown))
    else:
        _print_card(card, catalogue)


def _print_card(card: DatasetCard, catalogue: Catalogue) -> None:
    from rich.table import Table
    from rich.text import Text

    screen = console()
    screen.print(Text.assemble((card.id, "bold"), f"  {card.name}"), soft_wrap=True)
    screen.print(card.summary)
    facts = _facts()
    samples = card.samples
    facts.add_row("domain", card.domain)
    facts.add_row(
        "images",
        f"{samples.total:,} ({samples.train:,} train, {samples.val:,} val, {samples.test:,} test), "
        f"{'grey' if card.channels == 1 else 'colour'}",
    )
    facts.add_row("released licence", card.released_licence)
    for source in card.sources:
        note = f" ({source.licence_note})" if source.licence_note else ""
        facts.add_row("source", f"{source.title}\n{source.url}\n{source.licence}{note}")
    facts.add_row(
        "commercial use",
        "allowed" if catalogue.commercial(card) else "not allowed (the strictest licence decides)",
    )
    facts.add_row("same domain", ", ".join(card.domain_overlaps) or "none")
    facts.add_row("same subjects", ", ".join(card.subject_overlaps) or "none declared")
    facts.add_row("buildable", "yes" if card.recipe else "not yet in this version")
    screen.print(facts)
    for note in card.notes:
        screen.print(f"- {note}")
    if card.errata:
        _print_errata(card, screen)
    table = Table(title="Tasks", title_justify="left")
    for column in ("task", "kind", "labels"):
        table.add_column(column)
    for task in card.tasks:
        table.add_row(task.name + (" (primary)" if task.primary else ""), task.target.word, _short(task))
    screen.print(table)


def _facts() -> Table:
    """Return a grid of names and facts; a URL that is too long is broken, not cut off."""
    from rich.table import Table

    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    return facts


def _print_errata(card: DatasetCard, screen: Console) -> None:
    from rich.text import Text

    screen.print("\nErrata of release 1.0", style="italic")
    for erratum in card.errata:
        screen.print(Text.assemble((erratum.id, "bold"), f": affects {erratum.affects}"))
        facts = _facts()
        facts.add_row("  release", erratum.release)
        facts.add_row("  here", erratum.here)
        facts.add_row("  repeatable", "yes, by build --release-errata" if erratum.repeatable else "no")
        screen.print(facts)
    screen.print()


def _short(task: TaskCard, most: int = 8) -> str:
    names = "; ".join(task.classes[:most])
    return names if len(task.classes) <= most else f"{names}; ... ({len(task.classes)} labels)"


def _labels(task: TaskCard) -> Table:
    from rich.table import Table

    primary = ", primary task" if task.primary else ""
    table = Table(title=f"{task.id}: {task.target.word}{primary}", title_justify="left")
    table.add_column("stored", justify="right")
    table.add_column("label")
    for key, label in task.labels.items():
        table.add_row(str(key), label)
    return table
