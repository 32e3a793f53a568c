"""``medimeta new``: a first card for a folder of one's own images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medimeta.cli import options
from medimeta.cli.boundary import DONE, PROBLEMS
from medimeta.cli.console import print_json


def command(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the images, or a zip of it.")],
    out: Annotated[
        Path | None, typer.Option(help="The card to write; else <id>.yaml in this folder.", show_default=False)
    ] = None,
    json: options.Json = False,
) -> int:
    """Write a card for a folder of your own images, by what is found in it; read it before you build."""
    import shlex

    from medimeta._optional import require
    from medimeta.errors import CardError, SourceError
    from medimeta.recipes.guess import guess_card
    from medimeta.recipes.own import left_out, open_own, open_tree

    require("PIL")
    tree = open_tree(source)
    guess = guess_card(tree, source.resolve().stem if source.is_file() else source.resolve().name)
    card = out or Path(f"{guess.id}.yaml")
    _write_new(card, guess.text)
    problem, notes = "", list[str]()
    try:
        full, recipe, archive = open_own(card, source)
        notes = [*full.notes, *left_out(recipe, archive)]
    except (SourceError, CardError) as error:
        problem = str(error)
    following = shlex.join(["medimeta", "build", str(card), "--source", str(source)])
    if json:
        report = {"id": guess.id, "card": str(card), "found": list(guess.remarks), "notes": notes}
        print_json({**report, "problem": problem or None, "next": following})
        return PROBLEMS if problem else DONE
    typer.echo(f"{card}:")
    typer.echo("".join(f"  {line}\n" for line in guess.text.splitlines()))
    typer.echo("Guessed from what is there; change what is wrong:")
    for remark in guess.remarks:
        typer.echo(f"- {remark}")
    for note in notes:
        typer.echo(f"- {note}")
    if problem:
        typer.echo(f"It does not build yet: {problem}")
    typer.echo(f"Next: {following}")
    return PROBLEMS if problem else DONE


def _write_new(path: Path, text: str) -> None:
    from medimeta.errors import RootNotWritableError, UsageError

    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path}: is already there. Remove it, or pass another --out.") from None
    except OSError as error:
        raise RootNotWritableError(f"{path}: cannot be written ({error.strerror}). Pass another --out.") from error
