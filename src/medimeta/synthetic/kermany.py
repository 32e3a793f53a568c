"""A synthetic ``ZhangLabData.zip``.

Signal, oct: layers of the retina, with a bright lump below them (CNV), dark holes in them (DME), a wavy lowest layer
(DRUSEN), or nothing (NORMAL). Signal, pneumonia: two dark lungs, with one dense patch (BACTERIA), with a haze of spots
in both (VIRUS), or clear (NORMAL).
Quirks: patients with several images, some of them in two classes; patient numbers whose order as strings is not that as
integers; wide images; images that are RGB; a chest X-ray below 224 pixels; what a Mac and a PC leave behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medimeta.synthetic.drawing import Floats, Rng, disc, encode, generator, write_zip

OCT = ("CNV", "DME", "DRUSEN", "NORMAL")
CHEST = {"BACTERIA": "PNEUMONIA", "NORMAL": "NORMAL", "VIRUS": "PNEUMONIA"}
OCT_SIZES = ((256, 248), (300, 196), (248, 248))
CHEST_SIZES = ((300, 240), (260, 260), (240, 300))
SMALL = (210, 160)


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write the archive and return its path."""
    return (write_zip(folder / "ZhangLabData.zip", _members(images_per_class, seed)),)


def _members(images_per_class: int, seed: int) -> Iterator[tuple[str, bytes]]:
    yield "__MACOSX/CellData/._OCT", b"\x00\x05\x16\x07"
    yield "CellData/OCT/.DS_Store", b"\x00\x00\x00\x01Bud1"
    for number in range(images_per_class):
        for place, name in enumerate(OCT):
            # Neighbours in the list of classes share patients, as DME and DRUSEN do in the original.
            split, patient = _split_and_patient(number, 7 * (place // 2), images_per_class)
            image = _oct(name, generator(seed, "oct", name, number), OCT_SIZES[number % len(OCT_SIZES)])
            yield f"CellData/OCT/{split}/{name}/{name}-{patient}-{number + 1}.jpeg", _encoded(image, number)
    for split in ("test", "train"):
        yield f"CellData/chest_xray/{split}/NORMAL/Thumbs.db", b"\xd0\xcf\x11\xe0"
    for number in range(images_per_class):
        for place, (name, folder) in enumerate(CHEST.items()):
            split, patient = _split_and_patient(number, 50 + 7 * place, images_per_class)
            size = SMALL if number == 1 else CHEST_SIZES[number % len(CHEST_SIZES)]
            image = _chest(name, generator(seed, "chest", name, number), size)
            path = f"CellData/chest_xray/{split}/{folder}/{name}-{patient}-{number + 1:04}.jpeg"
            yield path, _encoded(image, number)


def _split_and_patient(number: int, start: int, images_per_class: int) -> tuple[str, int]:
    """Give every fifth image to test; of the rest, let pairs share a patient where there are many."""
    if number % 5 == 4:
        return "test", 900_000 + start + number
    together = 2 if images_per_class >= 10 else 1
    return "train", (start + number // together + 1) * 97


def _encoded(image: Floats, number: int) -> bytes:
    grey = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    return encode(grey.convert("RGB") if number % 5 == 3 else grey, "JPEG")


def _oct(name: str, rng: Rng, size: tuple[int, int]) -> Floats:
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    top = height * (0.4 + rng.normal(0, 0.03)) + height * 0.08 * ((columns / width - 0.5) * 2) ** 2
    thickness = height * 0.2
    floor = top + thickness
    if name == "DRUSEN":
        floor = floor - height * 0.05 * np.maximum(0, np.sin(columns / width * 40 + rng.uniform(0, 6)))
    image = 25 + 90 * ((rows > top) & (rows < floor)) + 110 * (np.abs(rows - floor) < height * 0.02)
    picture: Floats = image.astype(np.float64)
    centre = (width * rng.uniform(0.35, 0.65), float(top[0, 0] + thickness))
    if name == "CNV":
        lump = disc(width, height, centre, (width * 0.16, height * 0.12), wobble=0.1)
        picture = picture * (1 - lump) + 200 * lump
    if name == "DME":
        for shift in (-0.14, 0.0, 0.14):
            place = (centre[0] + shift * width, centre[1] - thickness * 0.55)
            picture *= 1 - 0.9 * disc(width, height, place, (width * 0.06, height * 0.07))
    speckled: Floats = picture * rng.gamma(8, 1 / 8, picture.shape)
    return speckled


def _chest(name: str, rng: Rng, size: tuple[int, int]) -> Floats:
    width, height = size
    lungs = np.zeros((height, width))
    for side in (0.3, 0.7):
        lungs += disc(width, height, (width * side, height * 0.5), (width * 0.17, height * 0.36))
    dense = np.zeros((height, width))
    if name == "BACTERIA":
        place = (width * rng.choice((0.3, 0.7)), height * rng.uniform(0.45, 0.65))
        dense = disc(width, height, place, (width * 0.14, height * 0.14), wobble=0.1)
    if name == "VIRUS":
        for _ in range(16):
            place = (width * (rng.choice((0.3, 0.7)) + rng.uniform(-0.1, 0.1)), height * rng.uniform(0.25, 0.75))
            dense = np.maximum(dense, 0.7 * disc(width, height, place, (width * 0.035, height * 0.035)))
    picture: Floats = 185 - 125 * lungs * (1 - dense) + rng.normal(0, 7, (height, width))
    return picture
