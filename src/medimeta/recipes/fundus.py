"""Retinal diseases: ``A. RFMiD_All_Classes_Dataset.zip``.

``A. RFMiD_All_Classes_Dataset/1. Original Images/{a. Training Set, b. Validation Set, c. Testing Set}/<ID>.png`` and,
under ``2. Groundtruths``, a table for each: ``ID``, ``Disease_Risk``, then 45 columns of diseases (seen), with a
byte-order mark in one copy (seen). IDs count from 1 in each of the three (seen).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.errors import SourceError, SourceNotFoundError, TableError, problems_error
from medimeta.recipes.pixels import crop, render_image, thumbnail
from medimeta.recipes.recipe import Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.refusal import told_together
from medimeta.recipes.splits import split_as_given
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.images import is_image, without_suffix
from medimeta.sources.tables import Table, read_csv

TOP = "A. RFMiD_All_Classes_Dataset"
IMAGES = "1. Original Images"
TABLES = "2. Groundtruths"


class _Set(NamedTuple):
    folder: str
    table: str


SETS = {
    "train": _Set("a. Training Set", "a. RFMiD_Training_Labels.csv"),
    "val": _Set("b. Validation Set", "b. RFMiD_Validation_Labels.csv"),
    "test": _Set("c. Testing Set", "c. RFMiD_Testing_Labels.csv"),
}


class Fundus(Recipe):
    """Crop, thumbnail; order by the rows of the training, validation and testing tables; the source's split."""

    name = "fundus"
    original = Original(
        "the RFMiD dataset", (Part((f"{TOP}.zip",), frozenset({IMAGES.casefold(), TABLES.casefold()})),)
    )

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the images that the tables name."""
        listing = Listing({"fundus": []})
        images = {without_suffix(tail): member for tail, member in source.by_tail(2).items() if is_image(tail)}
        for split, table in _tables(source, options, listing.unusable).items():
            folder = SETS[split].folder
            for row in table:
                name = f"{folder}/{row['ID']}.png"
                member = images.pop(without_suffix(name).casefold(), None)
                values = {column: value for column, value in row.cells.items() if column != "ID"}
                odd = [f"{column} {value!r}" for column, value in values.items() if value not in ("0", "1")]
                if odd:
                    listing.unusable.append(TableError(f"{row.place}: expected 0 or 1, got {', '.join(odd)}"))
                if member is None:
                    listing.missing.append(f"{row.place}: {name} is missing")
                elif not odd:
                    risk = int(values.pop("Disease_Risk"))
                    listing.samples["fundus"].append(
                        Sample(
                            member=member,
                            original_filepath=f"{TOP}/{IMAGES}/{name}",
                            labels={
                                "disease presence": risk,
                                "disease labels": frozenset(
                                    disease for disease, value in values.items() if value == "1"
                                ),
                            },
                            original_split=split,
                        )
                    )
        ours = tuple(f"{folder}/".casefold() for folder, _ in SETS.values())
        listing.unnamed = [
            f"{source.where(member)}: is not named in any table"
            for tail, member in images.items()
            if tail.startswith(ours)
        ]
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Keep the split of the source."""
        return split_as_given(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image."""
        return render_image(source, sample.member, options, "RGB", square=crop, scale=thumbnail)


def _tables(source: Archive, options: Options, unusable: list[SourceError]) -> dict[str, Table]:
    """Read the label table of every split; a build from a part of the original may lack some, but not all."""
    members = source.by_tail(1)
    absent = [table for _, table in SETS.values() if table.casefold() not in members]
    if absent and not (options.allow_partial and len(absent) < len(SETS)):
        headline = f"{source.where('')}: label tables of fundus are missing:"
        raise problems_error(SourceNotFoundError, headline, absent)
    columns = ("ID", "Disease_Risk", *default_catalogue().task("fundus/disease labels").classes)
    tables: dict[str, Table] = {}
    with told_together() as step:
        for split, (_, name) in SETS.items():
            if name not in absent:
                with step():
                    tables[split] = read_csv(source, members[name.casefold()], columns, key=("ID",), unusable=unusable)
    return tables


RECIPE = Fundus()
