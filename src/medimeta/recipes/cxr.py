"""ChestX-ray14: ``CXR8.zip``.

``CXR8/images/images_001.tar.gz`` ... ``images_012.tar.gz`` hold ``images/XXXXXXXX_YYY.png`` (1024x1024; most are grey,
519 RGBA), beside ``Data_Entry_2017_v2020.csv`` (``Data_Entry_2017.csv`` in older copies), ``BBox_List_2017.csv``,
``train_val_list.txt`` and ``test_list.txt``. People also keep the twelve tarballs loose, or the images unpacked.

The head of the table has commas in brackets, ``OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]``, so that it
reads as four columns, which is what the rows have (seen); so does ``Bbox [x,y,w,h]`` in the head of the boxes, whose
lines go on with empty columns there (seen). The boxes call Infiltration ``Infiltrate`` (seen); that is kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence

from medimeta.errors import SourceError, SourceNotFoundError, TableError
from medimeta.recipes.pixels import pad, render_image, thumbnail
from medimeta.recipes.recipe import Label, Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.refusal import told_together
from medimeta.recipes.splits import split_train
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.tables import Row, plain_name, read_csv
from medimeta.sources.tarballs import stream_tarball, tarball_names, tarballs

TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
BOXES = "BBox_List_2017.csv"
LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}
COLUMNS = (
    "image_index",
    "finding_labels",
    "follow_up",
    "patient_id",
    "patient_age",
    "patient_gender",
    "view_position",
    "original_width",
    "original_height",
    "pixel_spacing_x",
    "pixel_spacing_y",
)
RENAMED = {
    "follow-up_#": "follow_up",
    "originalimage[width": "original_width",
    "height]": "original_height",
    "originalimagepixelspacing[x": "pixel_spacing_x",
    "y]": "pixel_spacing_y",
}
BOX_COLUMNS = ("image_index", "finding_label", "x", "y", "w", "h")
BOX_RENAMED = {"bbox_[x": "x", "h]": "h"}
NO_FINDING = "No Finding"

_Boxes = list[tuple[str, dict[str, str | float]]]
"""The boxes of an image, each with its place in the table."""


class Cxr(Recipe):
    """Grey, thumbnail; order by the rows of the table; the source's test list, the rest 85/15 by patient.

    All real images are square; another is padded with black to a square, so that nothing of it is lost.
    """

    name = "cxr"
    original = Original("ChestX-ray14", (Part(("CXR8.zip",), frozenset(LISTS.values())),))

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the images that the table names, each with its boxes.

        What is no file of its own is presumed to be in the tarballs, if there are any. Only for a partial build, which
        must know before it starts, are they read: they hold 42 GB.
        """
        members = source.by_tail(1)
        listing = Listing({"cxr": []})
        split_of: dict[str, str] = {}
        with told_together() as step:
            for split in LISTS:
                with step():
                    _read_list(source, members, split, split_of, listing.unusable)
            with step():
                boxes = _read_boxes(source, members, options, listing.unusable)
            with step():
                table = _member(source, members, *TABLES)
                rows = read_csv(source, table, COLUMNS, key=("image_index",), rename=_column, unusable=listing.unusable)
        files = _png_files(members)
        packed = _names_in_tarballs(source) if options.allow_partial else {}
        presumed = not options.allow_partial and bool(tarballs(source))
        labels: dict[tuple[str, str], dict[str, Label]] = {}
        named: set[str] = set()
        for row in rows:
            name = _file_name(row["image_index"])
            key = name.casefold()
            named.add(key)
            there = key in files or key in packed or presumed
            if not there:
                listing.missing.append(f"{row.place}: {name} is missing")
            if key not in split_of:
                nowhere = f"is neither in {' nor in '.join(LISTS.values())}"
                listing.unusable.append(TableError(f"{row.place}: {name} {nowhere}"))
            elif not row["patient_id"]:
                listing.unusable.append(TableError(f"{row.place}: names no patient, by whom images are split"))
            elif there:
                said = (row["finding_labels"], row["patient_gender"])
                if said not in labels:  # few are different: samples share them
                    labels[said] = _labels(*said)
                listing.samples["cxr"].append(
                    Sample(
                        member=files.get(key, key),
                        original_filepath=f"images/{name}",
                        labels=labels[said],
                        original_split=split_of[key],
                        group=row["patient_id"],
                        annotations=_annotations(row, boxes.get(key, [])),
                        streamed=key not in files,
                    )
                )
        rowless = [(key, source.where(members[LISTS[split]])) for key, split in split_of.items() if key not in named]
        rowless += [(key, place) for key, found in boxes.items() if key not in named for place, _ in found]
        listing.missing += [f"{place}: {key} has no row in {table}" for key, place in rowless]
        for key in sorted((files.keys() | packed.keys()) - named):
            place = source.where(files[key]) if key in files else packed[key]
            listing.unnamed.append(f"{place}: has no row in {table}")
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Keep the test list of the source, and split the rest by patient."""
        return split_train(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image."""
        return render_image(source, sample.member, options, "L", square=pad, scale=thumbnail)

    def stream(self, source: Archive) -> Iterator[tuple[str, bytes]]:
        """Yield the images in the tarballs that are not there as files of their own as well."""
        files = _png_files(source.by_tail(1))
        with told_together() as step:
            for member in tarballs(source):
                with step():
                    for name, data in stream_tarball(source, member):
                        key = _file_name(name).casefold()
                        if _is_png(key) and key not in files:
                            yield key, data


def _member(source: Archive, members: Mapping[str, str], *names: str) -> str:
    """Return the member that is a table, under the first of its names that is there."""
    for name in names:
        if name.casefold() in members:
            return members[name.casefold()]
    raise SourceNotFoundError(
        f"{source.where('')}: has no {' or '.join(names)}. Fetch it from where the images come from, and put it there."
    )


def _column(name: str) -> str:
    plain = plain_name(name)
    return RENAMED.get(plain, plain)


def _box_column(name: str) -> str:
    plain = plain_name(name)
    return BOX_RENAMED.get(plain, plain)


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2].strip()


def _is_png(name: str) -> bool:
    return name.casefold().endswith(".png") and not name.startswith(".")


def _png_files(members: Mapping[str, str]) -> dict[str, str]:
    return {name: member for name, member in members.items() if _is_png(name)}


def _names_in_tarballs(source: Archive) -> dict[str, str]:
    """Read all tarballs; return the names of the images in them, case folded, each with its place."""
    names: dict[str, str] = {}
    with told_together() as step:
        for member in tarballs(source):
            with step():
                names |= {
                    _file_name(name).casefold(): f"{source.where(member)}: {name}"
                    for name in tarball_names(source, member)
                    if _is_png(_file_name(name))
                }
    return names


def _read_list(
    source: Archive, members: Mapping[str, str], split: str, split_of: dict[str, str], unusable: list[SourceError]
) -> None:
    """Add the source's split of every image on one of its lists, by the image's name, case folded."""
    member = _member(source, members, LISTS[split])
    lines = source.read(member).decode("utf-8-sig", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        key = _file_name(line).casefold()
        if key in split_of:
            other = LISTS[split_of[key]]
            unusable.append(TableError(f"{source.where(member)}, line {number}: {key} is already in {other}"))
        elif key:
            split_of[key] = split


def _read_boxes(
    source: Archive, members: Mapping[str, str], options: Options, unusable: list[SourceError]
) -> dict[str, _Boxes]:
    """Return the boxes of every image that has any, by its name, case folded."""
    if BOXES.casefold() not in members and options.allow_partial:
        return {}
    boxes: dict[str, _Boxes] = {}
    table = read_csv(source, _member(source, members, BOXES), BOX_COLUMNS, rename=_box_column, unusable=unusable)
    for row in table:
        box: dict[str, str | float] = {"finding": row["finding_label"]}
        for side in BOX_COLUMNS[2:]:
            box[side] = pixels = _number(row[side])
            if not math.isfinite(pixels):
                expected = f"{side} of the box is {row[side]!r}, expected a number of pixels"
                unusable.append(TableError(f"{row.place}: {expected}"))
        boxes.setdefault(_file_name(row["image_index"]).casefold(), []).append((row.place, box))
    return boxes


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _labels(findings: str, sex: str) -> dict[str, Label]:
    names = () if findings == NO_FINDING else (name.strip() for name in findings.split("|"))
    return {"disease labels": frozenset(names), "patient sex": sex}


def _annotations(row: Row, boxes: _Boxes) -> dict[str, str]:
    cells = {column: row[column] for column in COLUMNS}
    cells["bounding_boxes"] = json.dumps([box for _, box in boxes]) if boxes else ""
    return cells


RECIPE = Cxr()
