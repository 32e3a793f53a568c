"""Synthetic ``NCT-CRC-HE-100K.zip`` and ``CRC-VAL-HE-7K.zip``.

Signal: each kind of tissue has its own colour, and stripes of its own direction and width.
Quirks: TIFF files of 224x224 pixels with tags that cannot be read: one that lies behind the end of the file and one of
a type that does not exist; the same folders in both archives; what a Mac and a PC leave behind.
"""

from __future__ import annotations

import colorsys
import string
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medimeta.synthetic.drawing import Rng, encode, generator, write_zip

CODES = ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")
SIDE = 224
ASCII, UNKNOWN_TYPE = 2, 99


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write both archives, the second of a quarter of the images, and return their paths."""
    counts = {"CRC-VAL-HE-7K": max(1, images_per_class // 4)}
    counts["NCT-CRC-HE-100K"] = images_per_class - counts["CRC-VAL-HE-7K"]
    return tuple(write_zip(folder / f"{name}.zip", _members(name, counts[name], seed)) for name in sorted(counts))


def _members(archive: str, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    yield f"__MACOSX/{archive}/ADI/._ADI-AAAA.tif", b"\x00\x05\x16\x07"
    for place, code in enumerate(CODES):
        yield f"{archive}/{code}/Thumbs.db", b"\xd0\xcf\x11\xe0"
        for number in range(count):
            rng = generator(seed, "crc", archive, code, number)
            letters = "".join(rng.choice(list(string.ascii_uppercase), 8))
            yield f"{archive}/{code}/{code}-{letters}.tif", with_odd_tags(encode(_image(place, rng), "TIFF"))


def _image(place: int, rng: Rng) -> Image.Image:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle = np.pi * place / len(CODES) + rng.normal(0, 0.05)
    across = rows * np.cos(angle) + columns * np.sin(angle)
    stripes = np.sin(across / (4 + 2 * (place % 4)) + rng.uniform(0, 6))[..., None]
    colour = 255 * np.array(colorsys.hsv_to_rgb(place / len(CODES), 0.5, 0.8))
    grain = rng.normal(0, 6, (SIDE // 2, SIDE // 2)).repeat(2, axis=0).repeat(2, axis=1)[..., None]
    return Image.fromarray(np.clip(colour + 30 * stripes + grain, 0, 255).astype(np.uint8))


def with_odd_tags(data: bytes) -> bytes:
    """Give a TIFF file two tags that cannot be read: its directory moves to the end and becomes longer."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = data[start + 2 : start + 2 + 12 * count]
    odd = struct.pack("<HHII", 65000, ASCII, 500, len(data) + 10_000)
    odd += struct.pack("<HHII", 65001, UNKNOWN_TYPE, 1, 0)
    directory = struct.pack("<H", count + 2) + entries + odd + struct.pack("<I", 0)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory
