"""A synthetic ``A. RFMiD_All_Classes_Dataset.zip``.

Signal: every disease has a spot at its own place on the retina, in its own colour; a normal retina has none.
Quirks: three sets whose images have the same names; a byte-order mark in one table and CRLF lines in another; more
abnormal images than normal ones; wide images that lose their sides, one below 224; what a Mac and a PC leave behind.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medimeta.synthetic.drawing import disc, encode, generator, write_zip

# In the order of the columns.
DISEASES = (
    *("DR", "ARMD", "MH", "DN", "MYA", "BRVO", "TSLN", "ERM", "LS", "MS", "CSR", "ODC", "CRVO", "TV", "AH", "ODP"),
    *("ODE", "ST", "AION", "PT", "RT", "RS", "CRS", "EDN", "RPEC", "MHL", "RP", "CWS", "CB", "ODPM", "PRH", "MNF"),
    *("HR", "CRAO", "TD", "CME", "PTCR", "CF", "VH", "MCA", "VS", "BRAO", "PLQ", "HPED", "CL"),
)
SIZES = ((300, 240), (301, 226), (280, 230))
ABNORMAL = 2  # abnormal images for each normal one
RETINA = np.array([150.0, 70.0, 40.0])


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write the archive and return its path."""
    return (write_zip(folder / "A. RFMiD_All_Classes_Dataset.zip", _members(images_per_class, seed)),)


def _members(images_per_class: int, seed: int) -> Iterator[tuple[str, bytes]]:
    top = "A. RFMiD_All_Classes_Dataset"
    few = max(1, images_per_class // 5)
    yield f"__MACOSX/{top}/._2. Groundtruths", b"\x00\x05\x16\x07"
    for letter, word, normal in (
        ("a", "Training", images_per_class - 2 * few),
        ("b", "Validation", few),
        ("c", "Testing", few),
    ):
        yield f"{top}/1. Original Images/{letter}. {word} Set/Thumbs.db", b"\xd0\xcf\x11\xe0"
        found = _diseases(word, normal, seed)
        for number, diseases in enumerate(found, 1):
            image = _image(word, number, diseases, seed)
            yield f"{top}/1. Original Images/{letter}. {word} Set/{number}.png", encode(image, "PNG")
        yield f"{top}/2. Groundtruths/{letter}. RFMiD_{word}_Labels.csv", _table(word, found)


def _diseases(word: str, normal: int, seed: int) -> list[frozenset[int]]:
    """Return the diseases of every image of a set: each disease has an image, and a few images more."""
    rng = generator(seed, "fundus", word)
    abnormal = ABNORMAL * normal
    more = rng.random((abnormal, len(DISEASES))) < 0.03
    sick = [
        frozenset(d for d in range(len(DISEASES)) if d % abnormal == index or more[index, d])
        for index in range(abnormal)
    ]
    mixed = [*sick, *[frozenset[int]()] * normal]
    return [mixed[index] for index in rng.permutation(len(mixed))]


def _table(word: str, found: list[frozenset[int]]) -> bytes:
    rows: list[tuple[object, ...]] = [("ID", "Disease_Risk", *DISEASES)]
    for number, diseases in enumerate(found, 1):
        rows.append((number, int(bool(diseases)), *(int(d in diseases) for d in range(len(DISEASES)))))
    text = "".join(",".join(map(str, row)) + ("\r\n" if word == "Validation" else "\n") for row in rows)
    return text.encode("utf-8-sig" if word == "Training" else "utf-8")


def _image(word: str, number: int, diseases: frozenset[int], seed: int) -> Image.Image:
    rng = generator(seed, "fundus", word, number)
    width, height = (200, 150) if (word, number) == ("Training", 1) else SIZES[number % len(SIZES)]
    radius = 0.47 * height
    retina = disc(width, height, (width / 2, height / 2), (radius, radius))[..., None]
    picture = (RETINA + rng.normal(0, 4, (height // 2 + 1, width // 2 + 1, 1)).repeat(2, 0).repeat(2, 1))[
        :height, :width
    ]
    picture = picture * retina
    for disease in sorted(diseases):
        angle = 2 * np.pi * disease / len(DISEASES) + rng.normal(0, 0.02)
        away = radius * (0.3, 0.55, 0.8)[disease % 3]
        place = (width / 2 + away * np.cos(angle), height / 2 + away * np.sin(angle))
        colour = 255 * np.array(colorsys.hsv_to_rgb(disease / len(DISEASES), 0.4, 1.0))
        spot = disc(width, height, place, (0.09 * radius, 0.09 * radius))[..., None]
        picture = picture * (1 - spot) + colour * spot
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
