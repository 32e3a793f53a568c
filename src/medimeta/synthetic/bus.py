"""A synthetic ``Dataset_BUSI.zip``.

Signal: normal shows tissue alone; benign a smooth dark ellipse; malignant a jagged, darker one with a shadow below.
Quirks: sizes differ, some below 224; RGB that shows grey; masks in three modes; one image with two masks; blanks and
brackets in names, whose string order is not that of their numbers; what a Mac and a PC leave behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medimeta.synthetic.drawing import disc, encode, generator, write_zip

CLASSES = ("benign", "malignant", "normal")
SIZES = ((562, 471), (480, 400), (300, 330), (180, 200))
MASK_MODES = ("1", "RGB", "RGBA")


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write the archive and return its path."""
    return (write_zip(folder / "Dataset_BUSI.zip", _members(images_per_class, seed)),)


def _members(images_per_class: int, seed: int) -> Iterator[tuple[str, bytes]]:
    top = "Dataset_BUSI_with_GT"
    yield "__MACOSX/Dataset_BUSI_with_GT/benign/._benign (1).png", b"\x00\x05\x16\x07"
    for category in CLASSES:
        yield f"{top}/{category}/Thumbs.db", b"\xd0\xcf\x11\xe0"
        for number in range(1, images_per_class + 1):
            image, masks = _image(category, number, seed)
            stem = f"{top}/{category}/{category} ({number})"
            yield f"{stem}.png", encode(image, "PNG")
            for place, mask in enumerate(masks):
                yield f"{stem}_mask{f'_{place}' if place else ''}.png", encode(mask, "PNG")


def _image(category: str, number: int, seed: int) -> tuple[Image.Image, list[Image.Image]]:
    rng = generator(seed, "bus", category, number)
    width, height = SIZES[number % len(SIZES)]
    layers = 110 + 40 * np.sin(np.linspace(0, 9, height))[:, None]
    tissue = layers * rng.gamma(6, 1 / 6, (height, width))  # speckle
    lesions = []
    if category != "normal":
        for _ in range(2 if category == "benign" and number == 2 else 1):
            centre = (width * rng.uniform(0.35, 0.65), height * rng.uniform(0.35, 0.6))
            radii = (width * rng.uniform(0.12, 0.2), height * rng.uniform(0.1, 0.16))
            lesion = disc(width, height, centre, radii, wobble=0.0 if category == "benign" else 0.25)
            tissue = tissue * (1 - (0.6 if category == "benign" else 0.9) * lesion)
            if category == "malignant":
                shadow = np.abs(np.arange(width) - centre[0]) < radii[0]
                tissue[int(centre[1]) :, shadow] *= 0.45
            lesions.append(lesion)
    grey = Image.fromarray(np.clip(tissue, 0, 255).astype(np.uint8))
    masks = [Image.fromarray(((lesion > 0.5) * 255).astype(np.uint8)) for lesion in lesions]
    mode = MASK_MODES[number % len(MASK_MODES)]
    return grey.convert("RGB"), [mask.convert(mode) for mask in masks or [Image.new("L", grey.size)]]
