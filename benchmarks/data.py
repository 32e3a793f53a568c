"""The data that both sides read: blood cells of 224x224x3, built by this package from synthetic originals."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import medimeta as mm
from benchmarks.environment import REPOSITORY
from medimeta.synthetic.originals import write_original

CACHE = REPOSITORY / ".bench-cache"
BUILT = "built-"  # how folders of measured builds begin


@dataclass(frozen=True)
class Extent:
    """How much data: so many images drawn for each of the eight classes, each of them stored so many times.

    Drawing an image takes longer than anything else here, and its content does not matter to who reads it.
    """

    drawn: int
    copies: int


FULL = Extent(drawn=80, copies=4)  # 2,560 images, 385 MB; 1,792 of them, 28 whole batches, are for training
SMALL = Extent(drawn=16, copies=2)


def prepare(extent: Extent) -> Path:
    """Return the root with the dataset, which is built where it is missing, and in the page cache in any case."""
    root = CACHE / f"pbc-{extent.drawn}x{extent.copies}"
    images = root / "pbc" / "images.hdf5"
    if not images.is_file():  # a build publishes a whole dataset or none
        _build(extent, root)
    with images.open("rb") as file:
        while file.read(1 << 24):
            pass
    return root


def _build(extent: Extent, root: Path) -> None:
    started = time.perf_counter()
    print(f"Building {8 * extent.drawn * extent.copies:,} images into {CACHE.name} ...", file=sys.stderr)
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    originals = CACHE / f"originals-{root.name}"
    [original] = write_original("pbc", originals, images_per_class=extent.drawn)
    shutil.unpack_archive(original, originals)
    # The file names that a build looks for start with letters; hidden ones are quirks of the original.
    for path in sorted(originals.rglob("[A-Z]*.jpg")):
        for copy in range(1, extent.copies):
            shutil.copyfile(path, path.with_stem(f"{path.stem}_{copy}"))
    [report] = mm.build("pbc", source=originals / "PBC_dataset_normal_DIB", root=root, allow_partial=True)
    shutil.rmtree(originals)
    seconds = time.perf_counter() - started
    print(f"  {report.text().splitlines()[0]} (with drawing: {seconds:.0f} s)", file=sys.stderr)


def describe(root: Path) -> str:
    """Return what is read, in words."""
    images = mm.load_arrays("pbc", root=root).images
    train = len(mm.load("pbc/cell class", root=root, split="train"))
    shape = "x".join(map(str, images.shape[1:]))
    return f"{train:,} training images of {len(images):,}, {shape}, {images.nbytes / 1e6:,.0f} MB in all, synthetic"


def remove_built() -> None:
    """Remove what measured builds have left."""
    for left in CACHE.glob(f"{BUILT}*"):
        shutil.rmtree(left)
