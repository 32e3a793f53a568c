"""The organ boxes of LiTS: their files, and the slice of a volume that each stands for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from medimeta.errors import SourceError, SourceNotFoundError, TableError
from medimeta.recipes.boxes import Box, area, ratio_box
from medimeta.sources.archive import Archive
from medimeta.sources.images import MAX_PIXELS
from medimeta.sources.nifti import VolumeHeader
from medimeta.sources.tables import Row, make_table

ORGANS = {
    "lung-l": "left lung",
    "lung-r": "right lung",
    "kidney-l": "left kidney",
    "kidney-r": "right kidney",
    "femur-l": "left femoral head",
    "femur-r": "right femoral head",
}
BOUNDS = ("x_min", "x_max", "y_min", "y_max", "z_min", "z_max")
_COLUMNS = ["organ", "organ_index", *BOUNDS]
_FILE = re.compile(r"(?P<test>test-)?segmentation-(?P<number>\d+)\.txt")
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,9}")

Extent = tuple[int, int]
"""First and last voxel along an axis."""


class OrganBox(NamedTuple):
    """A line of a box file.

    Attributes
    ----------
    row : Row
        The line as it stands.
    bounds : (Extent, Extent, Extent)
        First and last voxel along x, y and z, both inside.
    """

    row: Row
    bounds: tuple[Extent, Extent, Extent]

    @property
    def organ(self) -> str:
        """The organ, as the datasets call it; as the file does, where they do not know it."""
        return ORGANS.get(self.row["organ"], self.row["organ"])


@dataclass(frozen=True)
class Slice:
    """Where in a volume a sample lies.

    Attributes
    ----------
    axis, index : int
        The axis that the plane is across, and its place along it.
    box : ((int, int), (int, int))
        First and last voxel of the organ along the other two axes.
    ratio : float
        Size of a voxel along the first of them over that along the second.
    """

    axis: int
    index: int
    box: Box
    ratio: float


def slice_of(box: OrganBox, header: VolumeHeader, axis: int) -> Slice:
    """Return the slice through the middle of a box, across an axis."""
    first, second = (other for other in range(3) if other != axis)
    ratio = header.voxel_sizes[first] / header.voxel_sizes[second]
    return Slice(axis, sum(box.bounds[axis]) // 2, (box.bounds[first], box.bounds[second]), ratio)


def misfits(boxes: tuple[OrganBox, ...], header: VolumeHeader, where: str) -> list[str]:
    """Say which boxes cannot be cut out of a volume, and why."""
    sizes = "x".join(f"{size:g}" for size in header.voxel_sizes)
    if not all(math.isfinite(size) and size > 0 for size in header.voxel_sizes):
        return [f"{where}: has voxels of {sizes} mm; expected sizes above 0"]
    shape = "x".join(map(str, header.shape))
    problems = []
    for box in boxes:
        lies = ", ".join(f"{name} {low} to {high}" for name, (low, high) in zip("xyz", box.bounds, strict=True))
        named = f"{box.row.place}: the box of {box.row['organ']} ({lies})"
        if any(not 0 <= low <= high < extent for (low, high), extent in zip(box.bounds, header.shape, strict=True)):
            problems.append(f"{named} does not fit {where}, which has {shape} voxels")
        elif any(
            area(ratio_box(place.box, place.ratio)) > MAX_PIXELS
            for place in (slice_of(box, header, axis) for axis in range(3))
        ):
            problems.append(f"{named} cannot be squared with the voxels of {where}, of {sizes} mm")
    return problems


def read_boxes(source: Archive, unusable: list[SourceError]) -> dict[tuple[str, int], tuple[OrganBox, ...]]:
    """Read all box files, by split of the source (``train``, ``test``) and number of the volume.

    A file with lines that cannot be used has no boxes, and what is wrong with it is added to `unusable`.

    Raises
    ------
    SourceNotFoundError
        There are none.
    """
    boxes: dict[tuple[str, int], tuple[OrganBox, ...]] = {}
    for tail, member in source.by_tail(1).items():
        match = _FILE.fullmatch(tail)
        if match is not None:
            rows, wrong = _read(source, member)
            unusable += map(TableError, wrong)
            if rows or wrong:
                boxes["test" if match["test"] else "train", int(match["number"])] = () if wrong else rows
    if not boxes:
        raise SourceNotFoundError(
            f"{source.where('')}: has no organ boxes (segmentation-N.txt). They are no part of LiTS: fetch "
            f"annotations_of_training_set.zip and annotations_of_testing_set.zip too."
        )
    return boxes


def _read(source: Archive, member: str) -> tuple[tuple[OrganBox, ...], list[str]]:
    """Read a box file, which has no head; return its boxes, and what is wrong with it."""
    text = source.read(member).decode("utf-8-sig", errors="replace")
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
    try:
        table = make_table(source.where(member), [(0, _COLUMNS), *lines], _COLUMNS, key=("organ",))
    except TableError as error:
        return (), list(error.problems)
    boxes: list[OrganBox] = []
    problems: list[str] = []
    for row in table:
        if all(_WHOLE_NUMBER.fullmatch(row[bound]) for bound in BOUNDS):
            x_min, x_max, y_min, y_max, z_min, z_max = (int(row[bound]) for bound in BOUNDS)
            boxes.append(OrganBox(row, ((x_min, x_max), (y_min, y_max), (z_min, z_max))))
        else:
            problems.append(f"{row.place}: expected six whole numbers, got {' '.join(row[bound] for bound in BOUNDS)}")
    return tuple(boxes), problems
