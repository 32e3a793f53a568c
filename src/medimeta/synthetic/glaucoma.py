"""Synthetic ``Train.zip`` and ``Test.zip`` of Chákṣu.

Signal: in eyes suspected of glaucoma the cup, a bright spot, fills most of the disc; in normal ones less than half.
Quirks: each device has its own file names, extensions and tint; tables, maps and files differ in extension, case and
in what follows a ``-``; a misspelt verdict and a misspelt folder; two names for the column of the verdict; an image
without a map, a map of another size than its image; experts' outlines and other fused maps beside those of STAPLE;
images in ``RGBA``; sizes that differ, some below 224.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from medimeta.synthetic.drawing import disc, encode, generator, write_zip

README = "Readme_Chaksu IMAGE Database.pdf"
DEVICES = ("Bosch", "Forus", "Remidio")
TINTS = {"Bosch": (200, 110, 50), "Forus": (170, 80, 60), "Remidio": (210, 130, 90)}
VERDICTS = ("NORMAL", "GLAUCOMA SUSPECT")
SIZES = ((300, 240), (240, 280), (200, 160))
EXPERTS = 5


class _Eye(NamedTuple):
    """One image, and what it is called on the disk, in tables and as a map."""

    number: int
    suspect: bool
    device: str
    file: str
    row: str
    map: str

    @property
    def key(self) -> int:
        """Return a number that is the eye's own."""
        return 2 * self.number + self.suspect


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write both archives and the readme, and return their paths."""
    eyes = [_eye(number, suspect) for number in range(images_per_class) for suspect in (False, True)]
    archives = [
        write_zip(folder / f"{part}.zip", _members(part, [eye for eye in eyes if _part(eye) == part], seed))
        for part in ("Train", "Test")
    ]
    readme = folder / README
    readme.write_bytes(b"%PDF-1.4\n%%EOF\n")
    return (*archives, readme)


def _part(eye: _Eye) -> str:
    return "Test" if eye.number % 5 == 4 else "Train"


def _eye(number: int, suspect: bool) -> _Eye:
    device = DEVICES[(number + 1) % len(DEVICES)]
    name = 101 + 2 * number + suspect
    if device == "Bosch":
        return _Eye(
            number, suspect, device, f"Image{name}.JPG", f"Image{name}.jpg-Image{name}-1.jpg", f"Image{name}-1.png"
        )
    if device == "Forus":
        return _Eye(number, suspect, device, f"P{name}_Image_1.png", f"p{name}_image_1.PNG", f"P{name}_image_1.tif")
    return _Eye(number, suspect, device, f"IMG_{name}-2.jpg", f"IMG_{name}.JPG", f"IMG_{name}.png")


def _members(part: str, eyes: Sequence[_Eye], seed: int) -> Iterator[tuple[str, bytes]]:
    yield f"__MACOSX/{part}/._Bosch", b"\x00\x05\x16\x07"
    for device in DEVICES:
        own = [eye for eye in eyes if eye.device == device]
        spelt = "Remedio" if (part, device) == ("Test", "Remidio") else device
        yield f"{part}/1.0_Original_Fundus_Images/{device}/Thumbs.db", b"\xd0\xcf\x11\xe0"
        for eye in own:
            image, levels = _draw(eye, seed)
            folder = f"{part}/1.0_Original_Fundus_Images/{device}"
            yield f"{folder}/{eye.file}", encode(image, "PNG" if eye.file.endswith("png") else "JPEG")
            fused = f"{part}/4.0_OD_CO_Fusion_Images/{spelt}"
            kind = "TIFF" if eye.map.endswith("tif") else "PNG"
            blank = encode(Image.new("L", levels.size), kind)
            for other in ("Expert 1", "Majority", "Mean", "Median"):
                yield f"{fused}/{other}/{eye.map}", blank
            if eye.key != 3:  # nobody outlined it
                yield f"{fused}/STAPLE/{eye.map}", encode(levels, kind)
        decisions = f"{part}/6.0_Glaucoma_Decision"
        column = "Majority Decision" if device == "Bosch" else "Glaucoma Decision"
        yield f"{decisions}/Glaucoma_Decision_Comparison_{device}_majority.csv", _comparison(own, column)
        for method in ("Majority", "Mean", "Median"):
            yield f"{decisions}/{method}/{device}.csv", _csv(("Images", "Glaucoma Decision"), own)


def _comparison(eyes: Sequence[_Eye], column: str) -> bytes:
    return _csv(("Images", *(f"Expert.{number}" for number in range(1, EXPERTS + 1)), column), eyes)


def _csv(columns: Sequence[str], eyes: Sequence[_Eye]) -> bytes:
    lines = [columns, *([eye.row, *_opinions(eye, len(columns) - 2), _verdict(eye)] for eye in reversed(eyes))]
    return "".join(f"{','.join(line)}\r\n" for line in lines).encode()


def _opinions(eye: _Eye, count: int) -> list[str]:
    """Return the experts' opinions; at times two of five do not agree with the others."""
    return [VERDICTS[eye.suspect ^ (eye.number % 2 == 1 and expert in (1, 3))] for expert in range(count)]


def _verdict(eye: _Eye) -> str:
    return "GLAUCOMA  SUSUPECT" if eye.suspect and eye.number % 2 else VERDICTS[eye.suspect]


def _draw(eye: _Eye, seed: int) -> tuple[Image.Image, Image.Image]:
    """Return the photograph, and the fused map of disc and cup."""
    rng = generator(seed, "glaucoma", eye.key)
    width, height = SIZES[eye.number % len(SIZES)]
    side = min(width, height)
    centre = (width * rng.uniform(0.45, 0.55), height * rng.uniform(0.45, 0.55))
    radius = side * rng.uniform(0.2, 0.24)
    ratio = rng.uniform(0.7, 0.8) if eye.suspect else rng.uniform(0.3, 0.4)
    retina = disc(width, height, (width / 2, height / 2), (side / 2, side / 2))
    outline = disc(width, height, centre, (radius, radius))
    cup = disc(width, height, centre, (radius * ratio, radius * ratio))
    picture = retina[..., None] * np.array(TINTS[eye.device], dtype=float)
    for region, colour in ((outline, (235, 180, 110)), (cup, (255, 245, 225))):
        picture = picture * (1 - region[..., None]) + region[..., None] * np.array(colour, dtype=float)
    photograph = Image.fromarray(np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8))
    levels = np.where(cup > 0.5, 255, np.where(outline > 0.5, 127, 0)).astype(np.uint8)
    fused = Image.fromarray(levels)
    if eye.key == 5:
        fused = fused.resize((width // 2, height // 2), Image.Resampling.NEAREST)
    return photograph.convert("RGBA") if eye.device == "Forus" else photograph, fused
