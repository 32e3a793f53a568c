"""derm7pt: ``release_v0.zip``, of which skinl_photo and skinl_derm are made.

``release_v0/meta/meta.csv`` has a row for each case: diagnosis, the seven criteria, and the paths of a clinical
photograph and of a dermoscopy below ``release_v0/images``, with ``.jpg`` and ``.JPG`` mixed (seen). ``case_num`` counts
from 1, but ``meta/{train,valid,test}_indexes.csv`` count from 0: index ``i`` is case ``i + 1``.

The diagnosis tells kinds of melanoma apart, by thickness and spread, that are one label here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

from medimeta.errors import SourceError, SourceNotFoundError, TableError
from medimeta.recipes.pixels import pad, render_image, thumbnail
from medimeta.recipes.recipe import Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.refusal import told_together
from medimeta.recipes.splits import split_as_given
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.images import is_image, without_suffix
from medimeta.sources.tables import Row, Table, plain_name, read_csv

PATHS = {"skinl_photo": "clinic", "skinl_derm": "derm"}
INDEXES = {"train_indexes.csv": "train", "valid_indexes.csv": "val", "test_indexes.csv": "test"}
TASKS = {
    "diagnosis": "Diagnosis",
    "pigment_network": "Pigment Network",
    "blue_whitish_veil": "Blue Whitish Veil",
    "vascular_structures": "Vascular Structures",
    "pigmentation": "Pigmentation",
    "streaks": "Streaks",
    "dots_and_globules": "Dots and Globules",
    "regression_structures": "Regression Structures",
}
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "Diagnosis": {
        "nevus": (
            "blue nevus",
            "clark nevus",
            "combined nevus",
            "congenital nevus",
            "dermal nevus",
            "recurrent nevus",
            "reed or spitz nevus",
        ),
        "miscellaneous": ("dermatofibroma", "lentigo", "melanosis", "miscellaneous", "vascular lesion"),
    },
    "Vascular Structures": {
        "regular": ("arborizing", "comma", "hairpin", "within regression", "wreath"),
        "irregular": ("dotted", "linear irregular"),
    },
    "Pigmentation": {
        "regular": ("diffuse regular", "localized regular"),
        "irregular": ("diffuse irregular", "localized irregular"),
    },
    "Regression Structures": {"present": ("blue areas", "white areas", "combinations")},
}
"""Task to its groups of labels; a label that is in none is a group of its own."""

_MELANOMA = re.compile(r"melanoma\b")
_IMAGES = re.compile("images/", re.IGNORECASE)


class Derm7pt(Recipe):
    """Pad, thumbnail; order by the rows of ``meta.csv``; splits of the source."""

    name = "derm7pt"
    original = Original("the derm7pt dataset", (Part(("release_v0.zip",), frozenset({"images", "meta"})),))

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the two images of every case."""
        listing = Listing({dataset: [] for dataset in PATHS})
        with told_together() as step:
            with step():
                splits = _splits(source, options, listing.unusable)
            with step():
                cases, whole = _cases(source, listing.unusable)
        if not options.allow_partial:
            listing.unusable += [
                TableError(f"{row.place}: case {case} is in none of {', '.join(INDEXES)}")
                for case, row in cases.items()
                if case not in splits
            ]
        names = [name for name in source.members if is_image(name) and _IMAGES.match(name)]
        # By folder and name, for copies with a level more or less; the whole path goes first.
        images = {_key(_tail(name)): name for name in names} | {_key(name.partition("/")[2]): name for name in names}
        listing.missing = [
            f"{place}: case {case} is not in meta.csv" for case, (_, place) in splits.items() if case not in cases
        ]
        named: set[str] = set()
        for (case, row), (dataset, column) in product(cases.items(), PATHS.items()):
            path = row[column].replace("\\", "/").rpartition("images/")[2].lstrip("./")
            member = images.get(_key(path))
            named.add(member or "")
            if case not in whole:
                continue
            if case not in splits:
                listing.dropped.setdefault(dataset, []).append(f"{row.place}: case {case} is in no index file")
            elif member is None:
                listing.missing.append(f"{row.place}: {path} is missing")
            else:
                listing.samples[dataset].append(_sample(member, path, row, splits[case][0]))
        listing.unnamed = [f"{source.where(name)}: is not in meta.csv" for name in names if name not in named]
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Keep the splits of the source."""
        return split_as_given(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image."""
        return render_image(source, sample.member, options, "RGB", square=pad, scale=thumbnail)


def _cases(source: Archive, unusable: list[SourceError]) -> tuple[dict[int, Row], set[int]]:
    """Return the rows of ``meta.csv`` by case number, and those of them that can be used."""
    member = source.by_tail(1).get("meta.csv")
    if member is None:
        raise SourceNotFoundError(f"{source.where('meta')}: has no meta.csv. Fetch the archive again.")
    columns = (*TASKS, *PATHS.values())
    cases: dict[int, Row] = {}
    whole: set[int] = set()
    named = ("case_num", *columns)
    for row in read_csv(source, member, named, key=("case_num",), rename=plain_name, unusable=unusable):
        empty = [column for column in columns if not row[column]]
        unusable += [TableError(f"{row.place}: has no {column}") for column in empty]
        if not row["case_num"].isdecimal():
            unusable.append(TableError(f"{row.place}: case_num is {row['case_num']!r}; expected a whole number"))
            continue
        case = int(row["case_num"])
        cases[case] = row
        if not empty:
            whole.add(case)
    return cases, whole


def _splits(source: Archive, options: Options, unusable: list[SourceError]) -> dict[int, tuple[str, str]]:
    """Return split and place in the index files by case number."""
    members = source.by_tail(1)
    absent = [name for name in INDEXES if name not in members]
    if absent and (len(absent) == len(INDEXES) or not options.allow_partial):
        raise SourceNotFoundError(f"{source.where('meta')}: has no {', '.join(absent)}. Fetch the archive again.")
    tables: dict[str, Table] = {}
    with told_together() as step:
        for name in INDEXES:
            if name not in absent:
                with step():
                    tables[name] = read_csv(source, members[name], ("indexes",), rename=plain_name, unusable=unusable)
    splits: dict[int, tuple[str, str]] = {}
    for name, table in tables.items():
        for row in table:
            index = row["indexes"]
            if not index.isdecimal():
                unusable.append(TableError(f"{row.place}: indexes is {index!r}; expected a whole number from 0"))
                continue
            case = int(index) + 1
            if case in splits:
                unusable.append(TableError(f"{row.place}: index {index} is already in {splits[case][1]}"))
            splits.setdefault(case, (INDEXES[name], row.place))
    return splits


def _sample(member: str, path: str, row: Row, split: str) -> Sample:
    words = {column: " ".join(row[column].casefold().split()) for column in TASKS}
    labels = {TASKS[column]: label for column, label in words.items()}
    if _MELANOMA.match(labels["Diagnosis"]):
        labels["Diagnosis"] = "melanoma"
    grouped = {
        f"{task} grouped": next((group for group, fine in groups.items() if labels[task] in fine), labels[task])
        for task, groups in GROUPS.items()
    }
    return Sample(
        member=member,
        original_filepath=f"release_v0/images/{path}",
        labels={**labels, **grouped},
        original_split=split,
        annotations={
            "original_diagnosis": row["diagnosis"],  # tells the kinds of melanoma apart
            **{column: cell for column, cell in row.cells.items() if column and column not in TASKS},
        },
    )


def _tail(path: str) -> str:
    return "/".join(path.split("/")[-2:])


def _key(path: str) -> str:
    """Return a path as it is compared, whatever its case and extension."""
    return without_suffix(path).casefold()


RECIPE = Derm7pt()
