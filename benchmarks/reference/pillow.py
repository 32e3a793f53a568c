"""Images a second that Pillow alone renders in two processes: decode, square, scale, no more. Arguments: SOURCE bus|pbc

The same files with the same operations as the recipe's: no build that uses Pillow on two cores can be faster.
"""

from __future__ import annotations

import io
import multiprocessing
import sys
import time
import zipfile
from functools import lru_cache

import numpy as np
from PIL import Image, ImageOps

from benchmarks.pace import tell

PROCESSES = 2
SIZE = (224, 224)
BICUBIC, NEAREST = Image.Resampling.BICUBIC, Image.Resampling.NEAREST


def main(source: str, kind: str) -> None:
    """Measure and tell."""
    with zipfile.ZipFile(source) as archive:
        names = [name for name in archive.namelist() if name.endswith((".jpg", ".png"))]
    started = time.perf_counter()
    # Taken in small turns, as the work of a build is, so that both processes end together.
    parts = [(source, kind, names[start : start + 32]) for start in range(0, len(names), 32)]
    with multiprocessing.get_context("forkserver").Pool(PROCESSES) as pool:
        pool.map(render, parts, chunksize=1)
    seconds = time.perf_counter() - started
    images = sum("_mask" not in name for name in names)
    tell(images / seconds, images=images, seconds=seconds)


@lru_cache(maxsize=1)
def opened(source: str) -> zipfile.ZipFile:
    """Open the zip once a process: reading its directory for every part would slow this side down."""
    return zipfile.ZipFile(source)


def render(part: tuple[str, str, list[str]]) -> None:
    """Render some images and drop them."""
    source, kind, names = part
    archive = opened(source)
    for name in names:
        image = Image.open(io.BytesIO(archive.read(name)))
        image.load()
        side = max(image.size)
        if "_mask" in name:
            image = ImageOps.pad(image.convert("L"), (side, side), NEAREST, color=0).resize(SIZE, NEAREST)
        elif kind == "bus":
            image = ImageOps.pad(image.convert("L"), (side, side), BICUBIC, color=0).resize(SIZE, BICUBIC)
        else:
            width, height = image.size
            side = min(width, height)
            left, top = (width - side) // 2, (height - side) // 2
            image = image.crop((left, top, left + side, top + side))
            image.thumbnail(SIZE, BICUBIC)
        np.asarray(image)


if __name__ == "__main__":
    main(*sys.argv[1:])
