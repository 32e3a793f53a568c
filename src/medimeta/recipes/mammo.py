"""Mammography: CBIS-DDSM of the TCIA, of which mammo_calc and mammo_mass are made.

Four tables, ``{mass,calc}_case_description_{train,test}_set.csv``, and a tree of DICOM files,
``CBIS-DDSM/<case>/<study uid>/<series uid>/*.dcm``. A row names the mammogram, in the case folder of the view, and the
crop and the mask of one lesion, both in the case folder of the view with ``_<abnormality id>`` after it.

- Files are ``000000.dcm`` and ``000001.dcm`` in the tables, ``1-1.dcm`` and ``1-2.dcm`` on disk. Crop and mask lie in
  one series, or (mass: 103 rows, calc: 1, all seen) in a series each.
- The columns for crop and mask are swapped in some rows: what is the mask is told by the pixels.
- Cells of one of the two columns end in a newline; ``breast_density`` of the mass tables is ``breast density`` in the
  calc tables (both seen).
- The usual downloader calls series folders ``<number>-<description>-<last five digits of the uid>``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from medimeta.errors import DamagedSourceError, TableError, problems_error
from medimeta.recipes.boxes import Box, area, cut, ratio_box
from medimeta.recipes.mammo_tables import ANNOTATIONS, KINDS, PATHS, SPLITS, Kind, read_tables, table_name
from medimeta.recipes.pixels import resize
from medimeta.recipes.recipe import Label, Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.splits import split_train
from medimeta.sources.archive import Archive
from medimeta.sources.dicom import decode_dicom
from medimeta.sources.find import Original, Part
from medimeta.sources.images import MAX_PIXELS
from medimeta.sources.tables import Row

IMAGES = "CBIS-DDSM"
WIDENED_TO = 224  # pixels of the mammogram: the size of release 1.0, whatever size is built
NOT_GIVEN = "N/A"
PATHOLOGIES = {"MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign"}
# Two folders of the first training case, by which the tree is known where its own folder has another name.
FIRST_CASES = {"calc": "calc-training_p_00005_right_cc", "mass": "mass-training_p_00001_left_cc"}


def _parts() -> tuple[Part, ...]:
    """Return a part for each table, and the images: below a folder of their name, or wherever a known case lies."""
    tables = [
        Part((), frozenset({f"{name}.csv"}), mount=name, feeds=(kind.dataset,))
        for key, kind in KINDS.items()
        for name in (table_name(key, split) for split in SPLITS)
    ]
    renamed = [
        Part((), frozenset({case, f"{case}_1"}), mount=IMAGES, feeds=(KINDS[key].dataset,))
        for key, case in FIRST_CASES.items()
    ]
    return (*tables, *renamed, Part((f"{IMAGES}.zip",), folder=IMAGES, mount=IMAGES, required=True))


class Mammo(Recipe):
    """Square around the lesion, 16 to 8 bits, resize; order by training rows, then test rows; 85/15 by patient."""

    name = "mammo"
    original = Original("CBIS-DDSM", _parts())

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the lesions of the tables that are there; DICOM files are looked at by their names alone."""
        listing = Listing({})
        cases = _cases(source)
        named: set[str] = set()
        tables = read_tables(source, allow_partial=options.allow_partial, unusable=listing.unusable)
        for (key, split), table in tables.items():
            samples = listing.samples.setdefault(KINDS[key].dataset, [])
            for row in table:
                image, crop, mask = (_path(row[column]) for column in PATHS)
                if not image or not crop or not mask or not row["patient_id"]:
                    expected = "expected a patient and three paths of CASE/STUDY/SERIES/FILE.dcm"
                    listing.unusable.append(TableError(f"{row.place}: {expected}"))
                    named.update(member for path in (image, crop, mask) if path for member in _files(cases, path))
                    continue
                mammograms, crops = _files(cases, image), _files(cases, crop)
                lesion = tuple(dict.fromkeys((*crops, *_files(cases, mask))))
                named.update(mammograms[:1], lesion)
                if not mammograms:
                    listing.missing.append(f"{row.place}: {'/'.join(image)} is missing")
                if len(lesion) < 2:
                    one_of = "one of " if lesion else ""
                    listing.missing.append(f"{row.place}: {one_of}{'/'.join(crop)} and its mask is missing")
                if mammograms and len(lesion) >= 2:
                    samples.append(
                        Sample(
                            member=mammograms[0],
                            original_filepath="/".join(crop),
                            labels=_labels(row, KINDS[key], options),
                            original_split=split,
                            group=row["patient_id"],
                            masks=lesion,  # crop and mask, which cannot be told apart without reading them
                            annotations={
                                **{column: row[column] for column in ANNOTATIONS},
                                "original_pathology": row["pathology"],
                            },
                            details=_nth(crops, crop),
                        )
                    )
        listing.unnamed = [
            f"{source.where(member)}: is not named in any table"
            for case, members in cases.items()
            if case.startswith(tuple(f"{key}-{split}" for key, split in tables))
            for member in members
            if member not in named
        ]
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Keep the source's test rows, and split the others by patient."""
        return split_train(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Cut the lesion out of the mammogram."""
        where = source.where(sample.member)
        mammogram = decode_dicom(source.read(sample.member), where)
        member, mask = _mask(source, sample, mammogram)
        box = ratio_box(_widened(_lesion_box(mask, mammogram.shape)), 1)
        if area(box) > MAX_PIXELS:
            raise DamagedSourceError(f"{source.where(member)}: marks a lesion of {area(box):,} pixels.")
        scaled = resize(Image.fromarray(_eight_bit(cut(mammogram, box))), options.size)
        rows, columns = mammogram.shape
        other_size = mask.shape != mammogram.shape
        return Rendered(
            np.asarray(scaled.image),
            (columns, rows),
            enlarged=scaled.enlarged,
            annotations={
                "cut_box": json.dumps(box),
                "crop_and_mask_swapped": "true" if member == sample.details else "false",
            },
            warnings=(
                (f"{source.where(member)}: is {_size(mask)} pixels, its mammogram {columns}x{rows}; it was scaled",)
                if other_size
                else ()
            ),
        )


def _labels(row: Row, kind: Kind, options: Options) -> dict[str, Label]:
    labels: dict[str, Label] = {"pathology": PATHOLOGIES.get(row["pathology"], row["pathology"])}
    for column, task in kind.tasks.items():
        names = {name for name in row[column].split("-") if name and name != NOT_GIVEN}
        # Release 1.0 looked for names as substrings; only this one is a part of another.
        if options.release_errata and "LUCENT_CENTERED" in names:
            names.add("LUCENT_CENTER")
        labels[task] = frozenset(names)
    return labels


def _path(cell: str) -> tuple[str, ...]:
    """Return case, study, series and file of a path; nothing where the cell is no such path."""
    parts = tuple(cell.replace("\\", "/").split("/")[-4:])
    return parts if len(parts) == 4 and all(parts) else ()


def _cases(source: Archive) -> dict[str, tuple[str, ...]]:
    """Return the DICOM files below every folder, by its name in lower case."""
    cases: dict[str, list[str]] = {}
    for member in source.members:
        mount, *folders, name = member.casefold().split("/")
        if mount == IMAGES.casefold() and name.endswith(".dcm"):
            for folder in dict.fromkeys(folders):
                cases.setdefault(folder, []).append(member)
    return {folder: tuple(members) for folder, members in cases.items()}


def _files(cases: Mapping[str, tuple[str, ...]], path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files of a path's series, whatever they are called; of its case where no folder is the series."""
    case, _, series, _ = path
    members = cases.get(case.casefold(), ())
    short = f"-{series[-5:]}"
    in_series = (
        member for member in members if any(part == series or part.endswith(short) for part in member.split("/")[:-1])
    )
    return tuple(in_series) or members


def _nth(files: Sequence[str], path: tuple[str, ...]) -> str | None:
    """Return the file that a path means: ``000001.dcm`` is the second of its series, if there are two."""
    number = path[-1].partition(".")[0]
    place = int(number) if number.isdecimal() else 0
    return files[min(place, len(files) - 1)] if files else None


def _mask(source: Archive, sample: Sample, mammogram: npt.NDArray[Any]) -> tuple[str, npt.NDArray[Any]]:
    """Tell mask from crop: it has two values, and the mammogram's shape if any of them has."""
    decoded = {member: decode_dicom(source.read(member), source.where(member)) for member in sample.masks}
    masks = {member: pixels for member, pixels in decoded.items() if _has_two_values(pixels)}
    fitting = {member: pixels for member, pixels in masks.items() if pixels.shape == mammogram.shape} or masks
    if len(fitting) != 1:
        seen = [
            f"{source.where(member)}: {_size(pixels)} pixels, {'two values' if member in masks else 'not two values'}"
            for member, pixels in decoded.items()
        ]
        raise problems_error(
            DamagedSourceError,
            f"{source.where(sample.member)}: expected one mask with two values and {_size(mammogram)} pixels among:",
            seen,
            "Fetch these series again.",
        )
    return next(iter(fitting.items()))


def _has_two_values(pixels: npt.NDArray[Any]) -> bool:
    low, high = pixels.min(), pixels.max()
    return bool(low < high) and bool(np.all((pixels == low) | (pixels == high)))


def _size(pixels: npt.NDArray[Any]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _lesion_box(mask: npt.NDArray[Any], shape: tuple[int, ...]) -> Box:
    """Return first and last row and column of a mask, in pixels of an image of this shape."""
    inside = mask != mask.min()
    (top, bottom), (left, right) = (np.flatnonzero(inside.any(axis))[[0, -1]].tolist() for axis in (1, 0))
    rows, columns = mask.shape
    return (
        (top * shape[0] // rows, bottom * shape[0] // rows),
        (left * shape[1] // columns, right * shape[1] // columns),
    )


def _widened(box: Box) -> Box:
    rows, columns = ((first, last, max((WIDENED_TO - (last - first)) // 2, 0)) for first, last in box)
    return (rows[0] - rows[2], rows[1] + rows[2]), (columns[0] - columns[2], columns[1] + columns[2])


def _eight_bit(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scale the whole range of the type to 8 bits, cutting fractions off: no adjustment of brightness."""
    scaled = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max * 255
    return np.clip(scaled, 0, 255).astype(np.uint8)


RECIPE = Mammo()
