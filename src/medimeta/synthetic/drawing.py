"""What synthetic originals are drawn and packed with."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator


def generator(seed: int, *parts: int | str) -> Rng:
    """Return a generator that depends on the seed and on what is drawn, not on what was drawn before."""
    words = [ord(letter) for part in parts for letter in f"{part}/"]
    return np.random.default_rng([seed, *words])


def disc(
    width: int, height: int, centre: tuple[float, float], radii: tuple[float, float], wobble: float = 0.0
) -> Floats:
    """Return a soft ellipse, 1 inside and 0 outside; `wobble` makes its edge irregular.

    Returns
    -------
    ndarray of float, shape (height, width)
    """
    rows, columns = np.mgrid[:height, :width]
    dx, dy = (columns - centre[0]) / radii[0], (rows - centre[1]) / radii[1]
    angle = np.arctan2(dy, dx)
    edge = 1 + wobble * (np.sin(5 * angle) + 0.6 * np.sin(9 * angle + 1))
    soft: Floats = np.clip((edge - np.hypot(dx, dy)) * min(radii) / 2, 0, 1)
    return soft


def encode(image: Image.Image, kind: str) -> bytes:
    """Return the image as a PNG or JPEG file."""
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 92} if kind == "JPEG" else {}))
    return file.getvalue()


def write_zip(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """Write a zip whose bytes depend on its members alone."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path
