"""The originals that builds are measured on: synthetic ones, each image stored many times, made once."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.data import CACHE
from medimeta.synthetic.originals import write_original

JPEG = ("pbc", 60, 36)  # 8 classes: 17,280 JPEG of 360x363, as many as the real download has
PNG = ("bus", 20, 39)  # 3 classes: 2,340 PNG with masks, three times as many as the real download has
VOLUMES, VOLUME_SHAPE = 6, (512, 512, 400)  # 210 MB each, a usual size


def repeated(dataset: str, drawn: int, copies: int) -> Path:
    """Return the zip of an original whose images are stored so many times each; drawing takes longest by far."""
    path = CACHE / f"{dataset}-{drawn}x{copies}.zip"
    if not path.is_file():
        folder = CACHE / f"drawn-{dataset}-{drawn}"
        [original] = write_original(dataset, folder, images_per_class=drawn)
        with zipfile.ZipFile(original) as source:
            _write(path, _copies(source, copies))
    return path


def tiny(count: int) -> Path:
    """Return a zip of so many tiny OCT images, where what is done once an image weighs more than decoding it."""
    path = CACHE / f"oct-tiny-{count}.zip"
    if not path.is_file():
        noise = np.random.default_rng(0).integers(0, 255, (4, 64, 64), dtype=np.uint8)
        images = []
        for pixels in noise:
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG")
            images.append(file.getvalue())
        classes = ("CNV", "DME", "DRUSEN", "NORMAL")
        names = (
            f"CellData/OCT/{'test' if number % 10 == 0 else 'train'}/{classes[number % 4]}/"
            f"{classes[number % 4]}-{1000 + number // 5}-{number}.jpeg"
            for number in range(count)
        )
        _write(path, ((name, images[number % 4]) for number, name in enumerate(names)))
    return path


def volumes() -> Path:
    """Return a folder with CT volumes of a usual size, in zips, and their organ boxes."""
    import nibabel

    folder = CACHE / f"lits-{VOLUMES}x{VOLUME_SHAPE[2]}"
    finished = folder / ".finished"
    if not finished.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        slices = np.random.default_rng(0).integers(-200, 300, (*VOLUME_SHAPE[:2], 1), dtype=np.int16)
        noise = np.repeat(slices, VOLUME_SHAPE[2], axis=2)  # one slice again and again packs small
        image = nibabel.Nifti1Image(noise, np.diag([0.7, 0.7, 2.0, 1.0])).to_bytes()
        mask = nibabel.Nifti1Image((noise > 250).astype(np.uint8), np.diag([0.7, 0.7, 2.0, 1.0])).to_bytes()
        boxes = b"liver 1 100 300 120 310 40 120\r\nspleen 10 320 450 220 350 60 130\r\n"
        for batch, numbers in (("1", range(VOLUMES // 2)), ("2", range(28, 28 + VOLUMES // 2))):
            members = {f"volume-{number}.nii": image for number in numbers}
            members |= {f"segmentation-{number}.nii": mask for number in numbers}
            _write(
                folder / f"Training_Batch{batch}.zip", ((f"Training Batch {batch}/{n}", d) for n, d in members.items())
            )
        _write(folder / "LITS-Challenge-Test-Data.zip", [("LITS-Challenge-Test-Data/test-volume-0.nii", image)])
        names = [f"segmentation-{n}.txt" for n in (*range(VOLUMES // 2), *range(28, 28 + VOLUMES // 2))]
        _write(folder / "annotations_of_training_set.zip", [(name, boxes) for name in names])
        _write(folder / "annotations_of_testing_set.zip", [("test-segmentation-0.txt", boxes)])
        finished.touch()
    return folder


def _copies(source: zipfile.ZipFile, copies: int) -> Iterator[tuple[str, bytes]]:
    for name in source.namelist():
        stem, dot, suffix = name.rpartition(".")
        if suffix not in ("jpg", "png") or "/." in name or "/._" in name:
            continue
        data = source.read(name)
        yield name, data
        number, tail = (stem, "") if "_mask" not in stem else (stem[: stem.index("_mask")], stem[stem.index("_mask") :])
        for copy in range(1, copies):
            yield f"{number}-{copy}{tail}{dot}{suffix}", data


def _write(path: Path, members: Iterator[tuple[str, bytes]] | list[tuple[str, bytes]]) -> None:
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members:
            archive.writestr(name, data)
    partial.rename(path)
