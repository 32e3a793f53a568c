"""A synthetic ``release_v0.zip`` of derm7pt.

Signal: the colour of the lesion tells its diagnosis; melanoma is jagged, all others are round. Criteria go through
their labels in turn. The dermoscopy of a case shows its lesion larger, in a dark round frame.
Quirks: ``.jpg`` and ``.JPG`` mixed; kinds of melanoma; cases count from 1 and indexes from 0; a path with a backslash,
one with a newline in it, some in another case than the file; a byte-order mark and CRLF lines; sizes below 224.
"""

from __future__ import annotations

import colorsys
import csv
import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from medimeta.synthetic.drawing import Floats, disc, encode, generator, write_zip

TOP = "release_v0"
DIAGNOSES = (
    "basal cell carcinoma",
    "blue nevus",
    "clark nevus",
    "combined nevus",
    "congenital nevus",
    "dermal nevus",
    "dermatofibroma",
    "lentigo",
    "melanoma",
    "melanosis",
    "miscellaneous",
    "recurrent nevus",
    "reed or spitz nevus",
    "seborrheic keratosis",
    "vascular lesion",
)
MELANOMAS = (
    "melanoma (in situ)",
    "melanoma (less than 0.76 mm)",
    "melanoma (0.76 to 1.5 mm)",
    "melanoma (more than 1.5 mm)",
    "melanoma metastasis",
    "melanoma",
)
CRITERIA = {
    "pigment_network": ("absent", "typical", "atypical"),
    "streaks": ("absent", "regular", "irregular"),
    "pigmentation": ("absent", "diffuse regular", "localized regular", "diffuse irregular", "localized irregular"),
    "regression_structures": ("absent", "blue areas", "white areas", "combinations"),
    "dots_and_globules": ("absent", "regular", "irregular"),
    "blue_whitish_veil": ("absent", "present"),
    "vascular_structures": (
        "absent",
        "arborizing",
        "comma",
        "hairpin",
        "within regression",
        "wreath",
        "dotted",
        "linear irregular",
    ),
}
SPLITS = ("train", "valid", "test", "train", "train")
SIZES = ((228, 152), (160, 226), (130, 110))


class _Case(NamedTuple):
    """One lesion: the `number`-th of its diagnosis, a place in `DIAGNOSES`."""

    number: int
    diagnosis: int

    @property
    def row(self) -> int:
        """Return the case's row in the table, from 0."""
        return self.number * len(DIAGNOSES) + self.diagnosis

    def path(self, letter: str) -> str:
        """Return the file of one of the two images, ``l`` for the photograph and ``m`` for the dermoscopy."""
        suffix = "JPG" if self.row % 3 else "jpg"
        return f"N{letter.upper()}L/N{letter}l{self.row + 1:03}.{suffix}"


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write the archive, with `images_per_class` cases of every diagnosis, and return its path."""
    return (write_zip(folder / f"{TOP}.zip", _members(images_per_class, seed)),)


def _members(images_per_class: int, seed: int) -> Iterator[tuple[str, bytes]]:
    cases = [_Case(number, place) for number in range(images_per_class) for place in range(len(DIAGNOSES))]
    yield f"__MACOSX/{TOP}/._meta", b"\x00\x05\x16\x07"
    yield f"{TOP}/images/Thumbs.db", b"\xd0\xcf\x11\xe0"
    for case in cases:
        for letter in "lm":
            yield f"{TOP}/images/{case.path(letter)}", encode(_image(case, letter, seed), "JPEG")
    yield f"{TOP}/meta/meta.csv", b"\xef\xbb\xbf" + _csv([_row(case) for case in cases])
    for split in dict.fromkeys(SPLITS):
        own = [case for case in cases if SPLITS[case.number % len(SPLITS)] == split]
        yield f"{TOP}/meta/{split}_indexes.csv", _csv([{"indexes": str(case.row)} for case in reversed(own)])


def _row(case: _Case) -> dict[str, str]:
    name = DIAGNOSES[case.diagnosis]
    clinic, derm = case.path("l"), case.path("m")
    if case.row == 1:
        clinic = clinic.replace("/", "\\")
    if case.row == 2:
        derm = f"{derm}\n"
    return {
        "case_num": str(case.row + 1),
        "diagnosis": MELANOMAS[case.number % len(MELANOMAS)] if name == "melanoma" else name,
        "seven_point_score": str(case.row % 8),
        **{
            criterion: values[(case.diagnosis + case.number * place) % len(values)]
            for place, (criterion, values) in enumerate(CRITERIA.items(), 1)
        },
        "level_of_diagnostic_difficulty": ("low", "medium", "high")[case.row % 3],
        "elevation": ("flat", "palpable", "nodular")[case.row % 3],
        "location": ("back", "lower limbs", "head neck", "acral")[case.row % 4],
        "sex": ("female", "male")[case.row % 2],
        "management": ("no further examination", "clinical follow up", "excision")[case.row % 3],
        "clinic": clinic,
        "derm": derm.upper() if case.row % 5 == 3 else derm,
        "case_id": "" if case.row % 4 else str(1000 + case.row),
        "notes": "two lesions, one shown" if case.row == 4 else "",
    }


def _csv(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _image(case: _Case, letter: str, seed: int) -> Image.Image:
    rng = generator(seed, "derm7pt", case.row, letter)
    width, height = SIZES[case.number % len(SIZES)]
    side = min(width, height)
    hue = case.diagnosis / len(DIAGNOSES)
    lesion = np.array(colorsys.hsv_to_rgb(hue, 0.8, 0.45 + 0.3 * (case.diagnosis % 2))) * 255
    reach = side * (0.34 if letter == "m" else 0.2)
    centre = (width * rng.uniform(0.45, 0.55), height * rng.uniform(0.45, 0.55))
    wobble = 0.25 if DIAGNOSES[case.diagnosis] == "melanoma" else 0.03
    spot = disc(width, height, centre, (reach, reach * rng.uniform(0.8, 1)), wobble)[..., None]
    picture = np.array((225.0, 175.0, 150.0)) * (1 - spot) + lesion * spot
    if letter == "m":
        picture = picture * _frame(width, height)
    noise = rng.normal(0, 5, (height, width, 1))
    return Image.fromarray(np.clip(picture + noise, 0, 255).astype(np.uint8))


@lru_cache
def _frame(width: int, height: int) -> Floats:
    """Return what a dermatoscope lets through, with an axis for colours."""
    radius = 0.55 * min(width, height)
    return disc(width, height, (width / 2, height / 2), (radius, radius))[..., None]
