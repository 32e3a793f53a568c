"""A synthetic ``CXR8.zip``.

Signal: every finding is a spot at its own place in the lungs, every second one a ring; the sex shows as two bright
patches at the bottom. Every finding is alone in half of its images and beside the next one in the others.
Quirks: tarballs in the zip, whose order is not that of the table; patients with several images; No Finding; images that
are RGBA, one below 224 pixels; commas in brackets and empty columns in the heads of tables; ``Infiltrate`` in the
boxes; no newline at the end of the lists; a Mac's litter within the tarballs.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from medimeta.synthetic.drawing import disc, encode, generator, write_zip

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
BOXED = ("Atelectasis", "Infiltration", "Mass")
HEAD = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
SIDE = 232
DRAWN = SIDE // 2  # fast, and as good: pixels are doubled
TARBALLS = 12
TOGETHER = 3  # images of a patient


@dataclass(frozen=True)
class _Image:
    patient: int
    follow_up: int
    findings: tuple[str, ...]
    number: int

    @property
    def name(self) -> str:
        return f"{self.patient:08}_{self.follow_up:03}.png"

    @property
    def sex(self) -> str:
        return "MF"[self.patient // 3 % 2]

    @property
    def listed(self) -> str:
        """Every fifth round of images is the test list: it shows every finding, and splits no patient."""
        return "test" if self.number % 5 == 4 else "train_val"


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write the archive and return its path."""
    return (write_zip(folder / "CXR8.zip", _members(images_per_class, seed)),)


def _members(images_per_class: int, seed: int) -> Iterator[tuple[str, bytes]]:
    images = list(_images(images_per_class))
    for name in ("FAQ_CHESTXRAY.pdf", "LOG_CHESTXRAY.pdf", "README_CHESTXRAY.pdf"):
        yield f"CXR8/{name}", b"%PDF-1.4\n%%EOF\n"
    yield "CXR8/Data_Entry_2017_v2020.csv", _table(images)
    yield "CXR8/BBox_List_2017.csv", _boxes(images)
    for listed in ("train_val", "test"):
        names = [image.name for image in images if image.listed == listed]
        yield f"CXR8/{listed}_list.txt", "\n".join(names).encode()
    for place in range(TARBALLS):
        # Backwards, and dealt out by turns: nothing in a tarball has the order of the table.
        yield f"CXR8/images/images_{place + 1:03}.tar.gz", _tarball(images[place::TARBALLS][::-1], seed)


def _images(images_per_class: int) -> Iterator[_Image]:
    patient = 0
    for number in range(images_per_class):
        for place in range(len(FINDINGS) + 1):
            patient += place % TOGETHER == 0
            findings = FINDINGS[place : place + 1 + number % 2]
            yield _Image(patient, place % TOGETHER, findings, number)


def _table(images: list[_Image]) -> bytes:
    rows = (
        f"{image.name},{'|'.join(image.findings) or 'No Finding'},{image.follow_up},{image.patient},"
        f"{30 + image.patient % 60},{image.sex},{('PA', 'AP')[image.number % 2]},2500,2048,0.168,0.168"
        for image in images
    )
    return "".join(f"{row}\n" for row in (HEAD, *rows)).encode()


def _boxes(images: list[_Image]) -> bytes:
    rows = ["Image Index,Finding Label,Bbox [x,y,w,h],,,"]
    for image in images:
        for finding in image.findings:
            if finding in BOXED:
                column, row = _place(finding)
                said = "Infiltrate" if finding == "Infiltration" else finding
                rows.append(f"{image.name},{said},{column * SIDE - 10},{row * SIDE - 10},20.5,20.25")
    return "".join(f"{row}\n" for row in rows).encode()


def _tarball(images: list[_Image], seed: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        folder = tarfile.TarInfo("images")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for image in images:
            for name, data in ((f"._{image.name}", b"\x00\x05\x16\x07"), (image.name, _png(image, seed))):
                info = tarfile.TarInfo(f"images/{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return gzip.compress(file.getvalue(), compresslevel=1, mtime=0)


def _place(finding: str) -> tuple[float, float]:
    """Return where a finding shows, as shares of width and height: in seven rows of two lungs."""
    place = FINDINGS.index(finding)
    return (0.3, 0.7)[place % 2], 0.14 + 0.1 * (place // 2)


def _png(image: _Image, seed: int) -> bytes:
    rng = generator(seed, "cxr", image.name)
    side = DRAWN
    picture = np.full((side, side), 170.0)
    for column in (0.3, 0.7):
        picture -= 110 * disc(side, side, (side * column, side * 0.45), (side * 0.17, side * 0.42))
    for finding in image.findings:
        column, row = (side * share + rng.normal(0, 0.75) for share in _place(finding))
        picture += 90 * disc(side, side, (column, row), (side * 0.06, side * 0.05))
        if FINDINGS.index(finding) % 2:
            picture -= 90 * disc(side, side, (column, row), (side * 0.03, side * 0.025))
    if image.sex == "F":
        for column in (0.25, 0.75):
            picture += 60 * disc(side, side, (side * column, side * 0.92), (side * 0.16, side * 0.07))
    picture += rng.normal(0, 5, (side, side))
    small = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    finished = 200 if (image.number, image.findings) == (1, FINDINGS[:2]) else SIDE
    grey = small.resize((finished, finished), Image.Resampling.NEAREST)
    return encode(grey.convert("RGBA") if (image.patient, image.follow_up) in ((2, 1), (5, 0)) else grey, "PNG")
