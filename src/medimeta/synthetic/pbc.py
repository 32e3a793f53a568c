"""A synthetic ``PBC_dataset_normal_DIB.zip``.

Signal: each class has its own colour of cytoplasm, size of cell, and number of lobes of the nucleus.
Quirks: ``ig`` for immature granulocyte, so that folders sort differently once renamed; 360x363 pixels, one image
larger and one below 224; a hidden file that is no image; what a Mac leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medimeta.synthetic.drawing import disc, encode, generator, write_zip

# Folder: code of its file names, colour of the cytoplasm, radius in pixels, lobes of the nucleus.
CELLS: dict[str, tuple[str, tuple[int, int, int], int, int]] = {
    "basophil": ("BA", (120, 80, 170), 80, 2),
    "eosinophil": ("EO", (230, 120, 90), 85, 2),
    "erythroblast": ("ERB", (170, 150, 200), 60, 1),
    "ig": ("IG", (190, 160, 220), 110, 1),
    "lymphocyte": ("LY", (150, 190, 240), 65, 1),
    "monocyte": ("MO", (170, 180, 190), 120, 1),
    "neutrophil": ("NEUTROPHIL", (240, 200, 210), 90, 4),
    "platelet": ("PLATELET", (200, 140, 200), 25, 0),
}
NUCLEUS = np.array([80.0, 40.0, 120.0])
BACKGROUND = np.array([235.0, 215.0, 195.0])


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write the archive and return its path."""
    return (write_zip(folder / "PBC_dataset_normal_DIB.zip", _members(images_per_class, seed)),)


def _members(images_per_class: int, seed: int) -> Iterator[tuple[str, bytes]]:
    top = "PBC_dataset_normal_DIB"
    yield f"__MACOSX/{top}/._neutrophil", b"\x00\x05\x16\x07"
    for folder, (code, *_) in CELLS.items():
        if folder == "neutrophil":
            yield f"{top}/neutrophil/.DS_169665.jpg", b"\x00\x00\x00\x01Bud1"
        for number in range(images_per_class):
            yield (
                f"{top}/{folder}/{code}_{100_000 + 977 * number}.jpg",
                encode(_image(folder, number, seed), "JPEG"),
            )


def _image(folder: str, number: int, seed: int) -> Image.Image:
    rng = generator(seed, "pbc", folder, number)
    _, colour, radius, lobes = CELLS[folder]
    width, height = {1: (366, 369), 2: (200, 201)}.get(number, (360, 363))
    scale = width / 360
    centre = (width / 2 + rng.normal(0, 8), height / 2 + rng.normal(0, 8))
    size = radius * scale * rng.uniform(0.9, 1.1)
    picture = np.broadcast_to(BACKGROUND, (height, width, 3)) + rng.normal(0, 6, (height, width, 1))
    cell = disc(width, height, centre, (size, size))[..., None]
    picture = picture * (1 - cell) + np.array(colour) * cell
    turn = rng.uniform(0, 2 * np.pi)
    for lobe in range(lobes):
        angle = turn + 2 * np.pi * lobe / max(lobes, 1)
        away = 0.0 if lobes == 1 else 0.45 * size
        place = (centre[0] + away * np.cos(angle), centre[1] + away * np.sin(angle))
        part = size * (0.6 if lobes == 1 else 0.9 / lobes**0.5 * 0.6)
        nucleus = disc(width, height, place, (part, part))[..., None]
        picture = picture * (1 - nucleus) + NUCLEUS * nucleus
    return Image.fromarray(np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8))
