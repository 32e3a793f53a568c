"""A first card for a folder of images: which recipe fits, and which columns of a table are labels.

It is a guess, to be read by a person before anything is built; everything that was decided is said.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.own import FolderCard, clean
from medimeta.catalogue.schema import SPLITS, normalised
from medimeta.errors import SourceError, SourceNotFoundError
from medimeta.recipes.folder import FolderRecipe
from medimeta.recipes.guess_columns import negative_first, some, table_fields
from medimeta.recipes.image_names import ImageNames
from medimeta.recipes.own_recipe import natural
from medimeta.recipes.recipe import Options
from medimeta.recipes.table import TABLES, read_table
from medimeta.sources.archive import Archive
from medimeta.sources.images import decode
from medimeta.sources.tables import Table

MAX_TABLE_BYTES = 100_000_000
MOST_LINES = 10
LOOKED_AT = 30  # images that are opened, to see whether they are grey
GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "F"})


@dataclass(frozen=True)
class Guess:
    """A card, and what was decided on the way.

    Attributes
    ----------
    id : str
        Name of the dataset.
    text : str
        The card, as YAML of at most ten lines.
    remarks : tuple of str
        What was found and decided, for people.
    """

    id: str
    text: str
    remarks: tuple[str, ...]


def guess_card(source: Archive, name: str) -> Guess:
    """Guess a card from what lies in a folder.

    Parameters
    ----------
    source : Archive
        The folder, or a zip.
    name : str
        What the folder is called; the id is made of it.

    Raises
    ------
    SourceNotFoundError
        There are no images, or neither a table that names them nor class folders.
    """
    recipe = FolderRecipe(FolderCard(id=_id(name), recipe="folder"))
    images = recipe.images(source)
    if not images:
        others = recipe.unreadable(source)
        found = f"; {len(others)} of other formats, such as {others[0]}, would have to be converted" if others else ""
        raise SourceNotFoundError(f"{source.where('')}: has no PNG, JPEG or TIFF image{found}.")
    fields, remarks = _fields(source, recipe, images)
    colour, said = _channels(source, images)
    text = _yaml({"id": recipe.card.id, "name": clean(name), **fields, **colour})
    return Guess(recipe.card.id, text, (f"{len(images):,} images, {said}", *remarks))


def _fields(source: Archive, recipe: FolderRecipe, images: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    best = _best_table(source, images)
    if best is None:
        return _folder_fields(source, recipe)
    member, table, column, named = best
    remarks = [f"table {member}: column {column!r} names an image in {named:,} of {len(table):,} rows"]
    fields, more = table_fields(table, column)
    if not fields["tasks"]:
        remarks.append("no column looks like a label")
        try:
            folder_fields, said = _folder_fields(source, recipe)
        except SourceError:
            fields["tasks"] = {"label": "NAME THE COLUMN OF THE LABEL HERE"}
        else:
            return folder_fields, [*remarks, *said]
    return {"recipe": "table", "table": member, "image": column, **fields}, [*remarks, *more]


def _channels(source: Archive, images: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Look at some images, evenly over all, and say whether they are grey."""
    seen = images[:: -(-len(images) // LOOKED_AT)]
    modes = Counter(decode(source.read(member), source.where(member)).mode for member in seen)
    said = f"of {len(seen)} looked at: " + ", ".join(f"{count} {mode}" for mode, count in sorted(modes.items()))
    return ({"channels": 1} if set(modes) <= GREY else {}), said


def _best_table(source: Archive, images: Sequence[str]) -> tuple[str, Table, str, int] | None:
    """Return the table and column that name most images, with their number; at least half of the rows must."""
    names = ImageNames(images)
    best = None
    for member in source.members:
        if not member.casefold().endswith(TABLES) or source.size(member) > MAX_TABLE_BYTES:
            continue
        try:
            table = read_table(source, member, ())
        except SourceError:  # no table at all, such as a readme
            continue
        for column in table.columns:
            named = sum(bool(row[column]) and bool(names.find(row[column])) for row in table)
            if named * 2 >= len(table) > 0 and (best is None or named > best[3]):
                best = member, table, column, named
    return best


def _folder_fields(source: Archive, recipe: FolderRecipe) -> tuple[dict[str, Any], list[str]]:
    try:
        listing = recipe.listing(source, Options())
        samples = listing.samples[recipe.card.id]
    except SourceNotFoundError:
        samples = []
    found = sorted({str(sample.labels[recipe.card.task]) for sample in samples}, key=natural)
    classes = [name for name in found if normalised(name) not in ("mask", "masks")]
    if len(classes) < 2:
        inside = f"only the folder {classes[0]}" if classes else "no folder"
        way_out = " If the classes lie below it, name that folder instead." if classes else ""
        raise SourceNotFoundError(
            f"{source.where('')}: holds {inside} with images, and no table that names them. Expected a folder for each "
            f"class, or a CSV, TSV or XLSX file with a column of image names.{way_out}"
        )
    fields: dict[str, Any] = {"recipe": "folder", "task": recipe.card.task}
    remarks = [f"folders: {len(classes)} classes: {some(classes)}"]
    if len(classes) == 2:
        fields["labels"] = negative_first(classes)
        remarks.append(f"binary: {fields['labels'][1]!r} is the positive label")
    parts = [split for split in SPLITS if any(sample.original_split == split for sample in samples)]
    remarks.append(
        f"split: folders of {', '.join(parts)}" if len(parts) > 1 else "split: none found; 70/10/20 at random"
    )
    skip = [f"*{name}/*" for name in found if name not in classes]
    if any("_mask" in sample.member.rpartition("/")[2].casefold() for sample in samples):
        skip.append("*_mask*")
    if skip:
        fields["skip"] = skip
        remarks.append(f"skipped, as masks are no images to learn from: {', '.join(skip)}")
    return fields, remarks


def _id(name: str) -> str:
    """Make an id of a name that no dataset of the catalogue has.

    Examples
    --------
    >>> _id("My Cells (2024)"), _id("bus"), _id("2 Zählungen")
    ('my_cells_2024', 'my_bus', 'my_2_zahlungen')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
    made = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:60]
    taken = {normalised(card.id) for card in default_catalogue().datasets()}
    return made if made[:1].isalpha() and normalised(made) not in taken else f"my_{made or 'data'}"


def _yaml(fields: dict[str, Any]) -> str:
    """Write a card, a field a line; tasks get lines of their own where ten lines are enough."""
    lines: list[str] = []
    tasks = fields.get("tasks", {})
    roomy = len(fields) + len(tasks) <= MOST_LINES
    for field, value in fields.items():
        if field == "tasks" and roomy:
            lines += ["tasks:", *(f"  {_flow(task)}: {_flow(rule)}" for task, rule in value.items())]
        else:
            lines.append(f"{field}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """Return a value on one line of YAML."""
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1_000_000)
    return text.removesuffix("\n").removesuffix("...").strip()
