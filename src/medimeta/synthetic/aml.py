"""A synthetic ``AML-Cytomorphology_LMU.zip``.

Signal: each type of cell has its own colour of cytoplasm, size of cell, and number of lobes of the nucleus.
Quirks: RGBA; one image of the real 400x400 pixels and one below 224, the others smaller than the real ones to save
room; a label file without head, with ``nan`` for what nobody read again, and with later readings that differ from the
first, a code that is no class among them; a folder around all of it; what a Mac and a PC leave behind.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medimeta.synthetic.drawing import disc, encode, generator, write_zip

CODES = ("BAS", "EBO", "EOS", "KSC", "LYA", "LYT", "MMZ", "MOB", "MON", "MYB", "MYO", "NGB", "NGS", "PMB", "PMO")
SIDES = {1: 400, 2: 200}  # of the first two images of the first class; all others have SIDE
SIDE = 232
UNCLEAR = "UNC"  # what a later reader says of a cell that cannot be told (seen)
NUCLEUS = np.array([90.0, 40.0, 130.0])
BACKGROUND = np.array([240.0, 225.0, 205.0])


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write the archive and return its path."""
    return (write_zip(folder / "AML-Cytomorphology_LMU.zip", _members(images_per_class, seed)),)


def _members(images_per_class: int, seed: int) -> Iterator[tuple[str, bytes]]:
    top = "AML-Cytomorphology_LMU"
    lines = []
    yield f"__MACOSX/{top}/._annotations.dat", b"\x00\x05\x16\x07"
    yield f"{top}/AML-Cytomorphology/Thumbs.db", b"\xd0\xcf\x11\xe0"
    for place, code in enumerate(CODES):
        for number in range(1, images_per_class + 1):
            path = f"{code}/{code}_{number:04d}.tiff"
            lines.append(f"{path} {code} {_later_readings(place, number)}\n")
            yield f"{top}/AML-Cytomorphology/{path}", encode(_image(place, number, seed), "TIFF")
    yield f"{top}/annotations.dat", "".join(lines).encode()


def _later_readings(place: int, number: int) -> str:
    code, other = CODES[place], CODES[(place + 1) % len(CODES)]
    return {1: f"{code} {code}", 3: f"{other} {UNCLEAR}"}.get(number, "nan nan")


def _image(place: int, number: int, seed: int) -> Image.Image:
    """Draw at half the size, which is four times as fast, and enlarge."""
    rng = generator(seed, "aml", CODES[place], number)
    side = SIDES.get(number, SIDE) if place == 0 else SIDE
    half = side // 2
    size = half * (0.2 + 0.05 * (place % 5)) * rng.uniform(0.95, 1.05)
    colour = 255 * np.array(colorsys.hsv_to_rgb(place / len(CODES), 0.55, 0.9))
    centre = (half / 2 + rng.normal(0, 3), half / 2 + rng.normal(0, 3))
    cell = disc(half, half, centre, (size, size))[..., None]
    picture = BACKGROUND * (1 - cell) + colour * cell
    turn = rng.uniform(0, 2 * np.pi)
    lobes = place % 3 + 1
    for lobe in range(lobes):
        angle = turn + 2 * np.pi * lobe / lobes
        away = 0.5 * size if lobes > 1 else 0.0
        part = 0.6 * size / lobes**0.5
        middle = (centre[0] + away * np.cos(angle), centre[1] + away * np.sin(angle))
        nucleus = disc(half, half, middle, (part, part))[..., None]
        picture = picture * (1 - nucleus) + NUCLEUS * nucleus
    picture += rng.normal(0, 6, (half, half, 1))
    drawn = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    return drawn.resize((side, side), Image.Resampling.NEAREST).convert("RGBA")
