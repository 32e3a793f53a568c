"""The synthetic downloads of the ISIC 2018 challenge, task 3: six archives and a table.

Signal: each diagnosis has its own colour and size of lesion, and every other one a ragged edge.
Quirks: wide images that lose their sides, of odd sizes, one below 224; texts among the images; one-hot tables of
floats; lesions with several images, known for the training images alone.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from medimeta.synthetic.drawing import disc, encode, generator, write_zip

DIAGNOSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
FIRST_NUMBERS = {"Training": 24306, "Validation": 34321, "Test": 34524}
SIZES = ((300, 240), (301, 226), (280, 230))
SKIN = np.array([225.0, 180.0, 160.0])


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write all seven files, a fifth of the images in validation and in test, and return their paths."""
    few = max(1, images_per_class // 5)
    paths = []
    for word, count in {"Training": images_per_class - 2 * few, "Validation": few, "Test": few}.items():
        name = f"ISIC2018_Task3_{word}"
        # Diagnoses in turn, so that images of one do not lie side by side.
        rows = [
            (f"ISIC_{FIRST_NUMBERS[word] + index:07d}", index % len(DIAGNOSES))
            for index in range(count * len(DIAGNOSES))
        ]
        paths.append(write_zip(folder / f"{name}_Input.zip", _images(f"{name}_Input", rows, seed)))
        table = _table(("image", *DIAGNOSES), [(image, *_one_hot(place)) for image, place in rows])
        paths.append(
            write_zip(folder / f"{name}_GroundTruth.zip", [(f"{name}_GroundTruth/{name}_GroundTruth.csv", table)])
        )
        if word == "Training":
            groupings = [(image, _lesion(index), "histopathology") for index, (image, _) in enumerate(rows)]
            paths.append(folder / f"{name}_LesionGroupings.csv")
            paths[-1].write_bytes(_table(("image", "lesion_id", "diagnosis_confirm_type"), groupings[::-1]))
    return tuple(paths)


def _lesion(index: int) -> str:
    """Return the lesion of a training image: two images of one diagnosis show the same."""
    round_, place = divmod(index, len(DIAGNOSES))
    return f"HAM_{round_ // 2 * len(DIAGNOSES) + place:07d}"


def _one_hot(place: int) -> tuple[str, ...]:
    return tuple("1.0" if other == place else "0.0" for other in range(len(DIAGNOSES)))


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in (columns, *rows)).encode()


def _images(top: str, rows: list[tuple[str, int]], seed: int) -> Iterator[tuple[str, bytes]]:
    yield f"__MACOSX/{top}/._ATTRIBUTION.txt", b"\x00\x05\x16\x07"
    yield f"{top}/ATTRIBUTION.txt", b"Synthetic images.\n"
    yield f"{top}/LICENSE.txt", b"Synthetic images.\n"
    for image, place in rows:
        yield f"{top}/{image}.jpg", encode(_image(image, place, seed), "JPEG")


def _image(image: str, place: int, seed: int) -> Image.Image:
    rng = generator(seed, "derm", image)
    width, height = (200, 150) if image.endswith("24306") else SIZES[rng.integers(len(SIZES))]
    centre = (width / 2 + rng.normal(0, 8), height / 2 + rng.normal(0, 8))
    size = height * (0.2 + 0.06 * (place % 4)) * rng.uniform(0.95, 1.05)
    colour = 255 * np.array(colorsys.hsv_to_rgb(place / len(DIAGNOSES), 0.7, 0.5))
    lesion = disc(width, height, centre, (size, 0.8 * size), wobble=0.2 * (place % 2))[..., None]
    picture = (SKIN + rng.normal(0, 5, (height, width, 1))) * (1 - lesion) + colour * lesion
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
