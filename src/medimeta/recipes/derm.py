"""Dermatoscopy: the ISIC 2018 challenge, task 3 (HAM10000).

``ISIC2018_Task3_{Training,Validation,Test}_Input.zip`` hold ``<archive name>/ISIC_XXXXXXX.jpg`` (mostly 600x450),
``..._GroundTruth.zip`` a table of seven columns, one for each diagnosis, in which a single cell of a row is 1.0 and all
others are 0.0. ``ISIC2018_Task3_Training_LesionGroupings.csv`` comes by itself: it says which training images show the
same lesion.
"""

from __future__ import annotations

from collections.abc import Sequence

from medimeta.errors import SourceError, SourceNotFoundError, TableError, problems_error
from medimeta.recipes.pixels import crop, render_image, thumbnail
from medimeta.recipes.recipe import Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.refusal import told_together
from medimeta.recipes.splits import split_as_given
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.images import is_image, without_suffix
from medimeta.sources.tables import Row, plain_name, read_csv

TASK = "disease category"
DIAGNOSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")  # in the order of the card's labels
DOWNLOADS = {
    "train": "ISIC2018_Task3_Training",
    "val": "ISIC2018_Task3_Validation",
    "test": "ISIC2018_Task3_Test",
}
LESIONS = "ISIC2018_Task3_Training_LesionGroupings"


def _table_part(name: str, archives: tuple[str, ...] = ()) -> Part:
    """Return the part that is a table of this name, whether loose, in a folder or in an archive."""
    return Part(archives, frozenset({f"{name}.csv".casefold()}), mount=name)


class Derm(Recipe):
    """Crop, thumbnail; order by the rows of the training, validation and test tables; the source's split."""

    name = "derm"
    original = Original(
        "the ISIC 2018 challenge, task 3",
        (
            *(
                Part((f"{name}_Input.zip",), folder=f"{name}_Input", mount=f"{name}_Input")
                for name in DOWNLOADS.values()
            ),
            *(_table_part(f"{name}_GroundTruth", (f"{name}_GroundTruth.zip",)) for name in DOWNLOADS.values()),
            _table_part(LESIONS),
        ),
    )

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the images that the tables name, with the lesion of those that the groupings name."""
        listing = Listing({"derm": []})
        with told_together() as step:
            with step():
                columns, lesions = _lesions(source, listing.unusable)
            with step():
                tables = _tables(source, options, listing.unusable)
        for split, table in tables.items():
            folder = f"{DOWNLOADS[split]}_Input"
            images = _images(source, folder)
            for row in table:
                stem = without_suffix(row["image"])
                member = images.pop(stem.casefold(), None)
                diagnosis = _diagnosis(row)
                if diagnosis is None:
                    cells = ", ".join(row[column] for column in DIAGNOSES)
                    expected = f"expected 1 in one of {', '.join(DIAGNOSES)} and else 0, got {cells}"
                    listing.unusable.append(TableError(f"{row.place}: {expected}"))
                if member is None:
                    listing.missing.append(f"{row.place}: {stem}.jpg is missing")
                elif diagnosis is not None:
                    listing.samples["derm"].append(
                        Sample(
                            member=member,
                            original_filepath=f"{folder}/{stem}.jpg",
                            labels={TASK: diagnosis},
                            original_split=split,
                            annotations=lesions.get(stem.casefold(), dict.fromkeys(columns, "")),
                        )
                    )
            listing.unnamed += [f"{source.where(member)}: is not named in any table" for member in images.values()]
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Keep the split of the challenge."""
        return split_as_given(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image."""
        return render_image(source, sample.member, options, "RGB", square=crop, scale=thumbnail)


def _tables(source: Archive, options: Options, unusable: list[SourceError]) -> dict[str, Sequence[Row]]:
    """Read the label table of every split; a build from a part of the original may lack some, but not all."""
    members = source.by_tail(1)
    names = {split: f"{download}_GroundTruth.csv" for split, download in DOWNLOADS.items()}
    absent = [name for name in names.values() if name.casefold() not in members]
    if absent and not (options.allow_partial and len(absent) < len(names)):
        raise problems_error(SourceNotFoundError, f"{source.where('')}: label tables of derm are missing:", absent)
    tables: dict[str, Sequence[Row]] = dict.fromkeys(names, ())
    columns = ("image", *DIAGNOSES)
    with told_together() as step:
        for split, name in names.items():
            if name not in absent:
                with step():
                    table = read_csv(source, members[name.casefold()], columns, key=("image",), unusable=unusable)
                    tables[split] = table.rows
    return tables


def _images(source: Archive, folder: str) -> dict[str, str]:
    """Return the images below a folder by their names without extension, case folded."""
    tails = source.within(f"{folder}/").by_tail(1)
    return {without_suffix(tail): f"{folder}/{member}" for tail, member in tails.items() if is_image(tail)}


def _diagnosis(row: Row) -> int | None:
    """Return the place of the only 1 among the diagnoses; None where that is not what the row says."""
    try:
        values = [float(row[column]) for column in DIAGNOSES]
    except ValueError:
        return None
    return values.index(1) if sorted(values) == [0] * (len(values) - 1) + [1] else None


def _lesions(source: Archive, unusable: list[SourceError]) -> tuple[tuple[str, ...], dict[str, dict[str, str]]]:
    """Return the columns that the groupings add, and their cells by the image's name, case folded."""
    member = source.by_tail(1).get(f"{LESIONS}.csv".casefold())
    if member is None:
        return ("lesion_id",), {}
    table = read_csv(source, member, ("image", "lesion_id"), key=("image",), rename=plain_name, unusable=unusable)
    columns = tuple(column for column in table.columns if column not in ("", "image"))
    return columns, {
        without_suffix(row["image"]).casefold(): {column: row[column] for column in columns} for row in table
    }


RECIPE = Derm()
