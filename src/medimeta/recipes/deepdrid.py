"""DeepDRiD: ``DeepDRiD-master.zip``, of which dr_regular and dr_uwf are made.

``regular_fundus_images`` and ``ultra-widefield_images``, each with a folder for training, validation and evaluation; in
each of these ``Images/<patient>/<image id>.jpg`` and label tables.

- Training and validation have CSV tables with CRLF lines, several in a folder, each with some of the columns; the grade
  is ``patient_DR_Level`` or, ultra-widefield, ``DR_level`` (seen). ``image_path`` is written with backslashes, below a
  folder that is not on the disk (seen): its last two parts tell the image, as patient and image id do.
- The evaluation has spreadsheets without paths and patients: the grades (``DR_Levels``, ``UWF_DR_Levels``) and, in
  another one, the scores of quality. A CSV beside them is an empty form for participants, no label table (seen).
- A few files lack the patient's number that their names should begin with.
- Grade 5 stands for ungradable: four rows of the ultra-widefield training table (seen).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medimeta.errors import SourceError, SourceNotFoundError, TableError
from medimeta.recipes.pixels import crop, render_image, thumbnail
from medimeta.recipes.recipe import Label, Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.splits import split_as_given
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.images import is_image, without_suffix
from medimeta.sources.tables import Row, Table, plain_name, read_csv, read_xlsx

GRADES = ("patient_dr_level", "dr_level", "dr_levels", "uwf_dr_levels")
UNGRADABLE = "5"


@dataclass(frozen=True)
class Collection:
    """One of the two collections of images.

    Attributes
    ----------
    dataset : str
        Id of the dataset that is made of it.
    folder : str
        Its folder.
    splits : mapping of str to str
        Split to the folder in it.
    scores : mapping of str to str
        Column to the task, for the tasks besides the grade.
    """

    dataset: str
    folder: str
    splits: Mapping[str, str]
    scores: Mapping[str, str] = field(default_factory=dict)

    def part(self) -> Part:
        """Return how to recognise the collection; each is looked for by itself, as few people need both."""
        children = frozenset(name.casefold() for name in self.splits.values())
        return Part(("DeepDRiD-master.zip",), children, self.folder, mount=self.folder, feeds=(self.dataset,))


COLLECTIONS = (
    Collection(
        "dr_regular",
        "regular_fundus_images",
        {
            "train": "regular-fundus-training",
            "val": "regular-fundus-validation",
            "test": "Online-Challenge1&2-Evaluation",
        },
        {
            "overall_quality": "Overall quality",
            "artifact": "Artifact",
            "clarity": "Clarity",
            "field_definition": "Field definition",
        },
    ),
    Collection(
        "dr_uwf",
        "ultra-widefield_images",
        {
            "train": "ultra-widefield-training",
            "val": "ultra-widefield-validation",
            "test": "Online-Challenge3-Evaluation",
        },
    ),
)


class Deepdrid(Recipe):
    """Crop, thumbnail; order by split, patient number, image id as a string; splits of the source."""

    name = "deepdrid"
    original = Original("DeepDRiD", tuple(collection.part() for collection in COLLECTIONS))

    def listing(self, source: Archive, options: Options) -> Listing:
        """Join the tables of every folder, and match their rows with its images."""
        listing = Listing({})
        for collection in COLLECTIONS:
            on_disk = {name.casefold(): name for name in source.folders(collection.folder)}
            for split, name in collection.splits.items() if on_disk else ():
                listing.samples.setdefault(collection.dataset, [])
                if name.casefold() in on_disk:
                    folder = _Folder(source, collection, split, f"{collection.folder}/{on_disk[name.casefold()]}/")
                    try:
                        folder.list_into(listing, options)
                    except SourceError as error:
                        listing.unusable.append(error)
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Keep the splits of the source."""
        return split_as_given(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image."""
        return render_image(source, sample.member, options, "RGB", square=crop, scale=thumbnail)


class _Folder:
    """The folder of one split: its tables and images."""

    def __init__(self, source: Archive, collection: Collection, split: str, prefix: str) -> None:
        self.source = source
        self.collection = collection
        self.split = split
        self.members = [member for member in source.members if member.startswith(prefix)]
        self.where = source.where(prefix.rstrip("/"))

    def list_into(self, listing: Listing, options: Options) -> None:
        """Add what the folder holds to a listing, and what is wrong with its tables."""
        images = {_key(*member.split("/")[-2:]): member for member in self.members if is_image(member)}
        tables = self._tables(listing.unusable)
        columns = {column for table in tables for column in table.columns}
        grade = next((column for column in GRADES if column in columns), " or ".join(GRADES))
        tasks = {grade: "DR level", **self.collection.scores}
        named: set[str] = set()
        if absent := [column for column in tasks if column not in columns]:
            if not options.allow_partial:
                listing.unusable.append(self._no_tables(tables, absent))
                return
            tables = []
        # The table with the grades first, so that problems are told with places in it.
        first = sorted(tables, key=lambda table: grade not in table.columns)
        for row in _sorted(_joined(first, listing.unusable)):
            member = _image_of(images, row)
            named.add(member or "")
            if row.get(grade) == UNGRADABLE:
                dropped = listing.dropped.setdefault(self.collection.dataset, [])
                dropped.append(f"{row.place}: {row['image_id']} has grade {UNGRADABLE}, which stands for ungradable")
                continue
            if empty := [column for column in tasks if not row.get(column)]:
                listing.unusable.append(TableError(f"{row.place}: has no {', '.join(empty)}"))
            if member is None:
                listing.missing.append(f"{row.place}: image {row['image_id']} is missing")
            elif not empty:
                listing.samples[self.collection.dataset].append(self._sample(row, member, tasks))
        unnamed = [member for member in self.members if is_image(member) and member not in named]
        listing.unnamed += [f"{self.source.where(member)}: is in no table" for member in unnamed]

    def _tables(self, unusable: list[SourceError]) -> list[Table]:
        read, suffix = (read_xlsx, ".xlsx") if self.split == "test" else (read_csv, ".csv")
        found = [member for member in self.members if member.casefold().endswith(suffix)]
        # "~$..." is what an open spreadsheet program leaves behind.
        names = [member for member in found if not member.rpartition("/")[2].startswith((".", "~$"))]
        tables = [read(self.source, member, (), rename=plain_name, unusable=unusable) for member in names]
        return [table for table in tables if "image_id" in table.columns]

    def _no_tables(self, tables: Sequence[Table], absent: Sequence[str]) -> SourceError:
        kind = "spreadsheets (.xlsx)" if self.split == "test" else "tables (.csv)"
        message = f"{self.where}: expected {kind} with image_id and {', '.join(absent)}"
        if not tables:
            return SourceNotFoundError(f"{message}; found none. Fetch the archive again.")
        return TableError(f"{message}; found {', '.join(table.where for table in tables)} without.")

    def _sample(self, row: Row, member: str, tasks: Mapping[str, str]) -> Sample:
        folder, name = self.collection.splits[self.split], member.rpartition("/")[2]
        return Sample(
            member=member,
            original_filepath=f"{self.collection.folder}/{folder}/Images/{row['patient_id']}/{name}",
            labels={task: _score(row[column]) for column, task in tasks.items()},
            original_split=self.split,
            annotations={
                column: cell for column, cell in row.cells.items() if column not in tasks and column != "image_path"
            },
        )


def _joined(tables: Sequence[Table], unusable: list[SourceError]) -> list[Row]:
    """Join tables by image; what does not fit is added to what cannot be used."""
    joined: dict[tuple[str, str], Row] = {}
    for table in tables:
        seen: dict[tuple[str, str], str] = {}
        for row in table:
            image_id = row["image_id"]
            patient = row.get("patient_id") or image_id.partition("_")[0]
            key = (patient, image_id.removeprefix(f"{patient}_"))
            if not patient.isdecimal() or not key[1]:
                expected = f"image_id {image_id!r} names no image of a patient; expected one like 1_l1"
                unusable.append(TableError(f"{row.place}: {expected}"))
            elif key in seen:
                unusable.append(TableError(f"{row.place}: image {image_id} is named already in {seen[key]}"))
            else:
                seen[key] = row.place
                known = joined.setdefault(key, Row(row.place, {"patient_id": patient}))
                unusable += map(TableError, _add_cells(known, row))
    return list(joined.values())


def _add_cells(known: Row, row: Row) -> list[str]:
    """Add a row of another table; return the cells that contradict those that are known, paths aside."""
    before = dict(known.cells)
    known.cells.update((column, cell) for column, cell in row.cells.items() if column and not before.get(column))
    return [
        f"{row.place}: {column} is {cell}, but {before[column]} in {known.place}"
        for column, cell in row.cells.items()
        if cell and before.get(column, cell) not in ("", cell) and column not in ("image_id", "image_path")
    ]


def _sorted(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (int(row["patient_id"]), row["image_id"]))


def _image_of(images: Mapping[tuple[str, str], str], row: Row) -> str | None:
    """Find the image of a row in the patient's folder, whether or not its name begins with the patient's number."""
    patient = row["patient_id"]
    short = row["image_id"].removeprefix(f"{patient}_")
    path = ["", *row.get("image_path").replace("\\", "/").split("/")]
    keys = (_key(patient, f"{patient}_{short}"), _key(patient, short), _key(*path[-2:]))
    return next((images[key] for key in keys if key in images), None)


def _key(patient: str, name: str) -> tuple[str, str]:
    return patient.casefold(), without_suffix(name).casefold()


def _score(cell: str) -> Label:
    return int(cell) if cell.isdecimal() else cell


RECIPE = Deepdrid()
