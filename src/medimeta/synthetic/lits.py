"""Synthetic LiTS volumes with organ boxes: the archives of both downloads.

Signal: each organ is an ellipsoid of its own brightness; every second one has a bright core.
Quirks: voxels that are no cubes; a volume without voxel sizes (all are 1); ``test-volume-59.nii`` with its second and
third axis swapped; a volume of big-endian voxels, one with an intercept, one of floats; a volume without a heart; an
organ at the border; CRLF lines; what a Mac leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta._optional import require
from medimeta.synthetic.drawing import generator, write_zip

ORGANS = (  # in the order of the real box files
    "liver",
    "kidney-r",
    "kidney-l",
    "femur-r",
    "femur-l",
    "bladder",
    "heart",
    "lung-r",
    "lung-l",
    "spleen",
    "pancreas",
)
SHAPE = (48, 44, 40)
CELLS = (3, 2, 2)  # organs along x, y and z
VOXEL_SIZES = ((0.8, 0.7, 1.0), (0.7, 0.7, 1.25), (0.9, 0.8, 0.7))
UNKNOWN_SIZES = (1.0, 1.0, 1.0)
BATCH_1 = 28  # volumes in it
WITHOUT_SIZES, SWAPPED, WITHOUT_HEART = 130, 59, 1
BIG_ENDIAN, WITH_INTERCEPT, FLOATS = 1, 28, 29

_Voxels = npt.NDArray[Any]
_Member = tuple[str, bytes]


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write the archives, and return their paths: that of the folder in which the two zips of boxes are."""
    training = [*map(_training_number, range(images_per_class)), WITHOUT_SIZES]
    tests = [SWAPPED, *range(max(2, images_per_class // 3))]
    boxes = folder / "annotations for lits"
    boxes.mkdir(exist_ok=True)
    write_zip(boxes / "annotations_of_training_set.zip", _box_files("", training, seed))
    write_zip(boxes / "annotations_of_testing_set.zip", _box_files("test-", tests, seed))
    batches = [number for number in training if number < BATCH_1], [n for n in training if n >= BATCH_1]
    return (
        *(
            write_zip(
                folder / f"Training_Batch{batch}.zip", _training_members(f"Training Batch {batch}", numbers, seed)
            )
            for batch, numbers in enumerate(batches, 1)
        ),
        write_zip(folder / "LITS-Challenge-Test-Data.zip", _test_members("LITS-Challenge-Test-Data", tests, seed)),
        boxes,
    )


def _training_number(place: int) -> int:
    """Return the number of a training volume: one of each batch in turn, while the first batch lasts."""
    if place < 2 * BATCH_1:
        return place // 2 + BATCH_1 * (place % 2)
    return place + (place >= WITHOUT_SIZES)


def _training_members(top: str, numbers: list[int], seed: int) -> Iterator[_Member]:
    yield f"__MACOSX/{top}/._volume-{numbers[0]}.nii", b"\x00\x05\x16\x07"
    for number in sorted(numbers, key=str):
        sizes = UNKNOWN_SIZES if number == WITHOUT_SIZES else VOXEL_SIZES[number % len(VOXEL_SIZES)]
        voxels, segmentation = _draw("", number, seed)
        if number == BIG_ENDIAN:
            yield f"{top}/volume-{number}.nii", _nifti(voxels.astype(">i2"), sizes)
        elif number == WITH_INTERCEPT:
            yield f"{top}/volume-{number}.nii", _nifti((voxels + 1024).astype("<u2"), sizes, intercept=-1024)
        elif number == FLOATS:
            yield f"{top}/volume-{number}.nii", _nifti(voxels.astype("<f4"), sizes)
        else:
            yield f"{top}/volume-{number}.nii", _nifti(voxels.astype("<i2"), sizes)
        yield f"{top}/segmentation-{number}.nii", _nifti(segmentation, sizes)


def _test_members(top: str, numbers: list[int], seed: int) -> Iterator[_Member]:
    for number in sorted(numbers, key=str):
        x, y, z = VOXEL_SIZES[number % len(VOXEL_SIZES)]
        voxels = _draw("test-", number, seed)[0].astype("<i2")
        if number == SWAPPED:
            yield f"{top}/test-volume-{number}.nii", _nifti(voxels.transpose(0, 2, 1), (x, z, y))
        else:
            yield f"{top}/test-volume-{number}.nii", _nifti(voxels, (x, y, z))


def _box_files(kind: str, numbers: list[int], seed: int) -> Iterator[_Member]:
    for number in numbers:
        lines = []
        for place, organ in _organs(kind, number):
            centre, radii = _ellipsoid(kind, number, place, seed)
            ends = [(round(c - r), round(c + r)) for c, r in zip(centre, radii, strict=True)]
            lines.append(" ".join([organ, str(place + 1), *(f"{low} {high}" for low, high in ends)]))
        yield f"{kind}segmentation-{number}.txt", "".join(f"{line}\r\n" for line in lines).encode()


def _organs(kind: str, number: int) -> list[tuple[int, str]]:
    lacks_heart = not kind and number == WITHOUT_HEART
    return [(place, organ) for place, organ in enumerate(ORGANS) if not (organ == "heart" and lacks_heart)]


def _ellipsoid(kind: str, number: int, place: int, seed: int) -> tuple[list[float], list[float]]:
    """Return centre and radii of an organ, which fit into a cell of its own."""
    rng = generator(seed, "lits", kind, number, place)
    cell = np.unravel_index(place, CELLS)
    sides = [extent / cells for extent, cells in zip(SHAPE, CELLS, strict=True)]
    radii = [side * rng.uniform(0.32, 0.4) for side in sides]
    # The cells at 0 are filled from the border on, so that squared cuts leave the volume.
    return [side * index + radius for side, index, radius in zip(sides, cell, radii, strict=True)], radii


def _draw(kind: str, number: int, seed: int) -> tuple[_Voxels, _Voxels]:
    """Return a volume in Hounsfield units, and the segmentation of liver and tumour."""
    rng = generator(seed, "lits", kind, number)
    voxels = rng.normal(-300, 10, SHAPE)
    segmentation = np.zeros(SHAPE, np.uint8)
    grid = np.ogrid[tuple(slice(extent) for extent in SHAPE)]
    for place, organ in _organs(kind, number):
        centre, radii = _ellipsoid(kind, number, place, seed)
        away = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radii, strict=True))
        voxels[away <= 1] += 180 + 33 * place
        if place % 2:
            voxels[away <= 0.2] += 200
        if organ == "liver":
            segmentation[away <= 1] = 1
            segmentation[away <= 0.15] = 2
    return np.rint(voxels), segmentation


def _nifti(voxels: _Voxels, sizes: tuple[float, float, float], intercept: float = 0.0) -> bytes:
    header = require("nibabel").Nifti1Header(endianness=">" if voxels.dtype.byteorder == ">" else "<")
    header.set_data_shape(voxels.shape)
    header.set_data_dtype(voxels.dtype)
    header.set_zooms(sizes)
    header["vox_offset"] = 352
    header["scl_slope"], header["scl_inter"] = 1, intercept
    return bytes(header.binaryblock) + bytes(4) + voxels.tobytes(order="F")
