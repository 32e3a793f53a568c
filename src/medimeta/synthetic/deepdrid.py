"""A synthetic ``DeepDRiD-master.zip``.

Signal: the higher the grade, the more red and yellow spots on the retina; grade 4 has a large bleeding besides. Scores
of quality show too: artefacts as a grey veil from the edge, clarity as blur, field definition as the disc's place.
Quirks: CRLF lines, one table with a byte-order mark; columns over several tables, rows in no order; paths with
backslashes below a folder that is not there; files without the patient's number, others with ``.JPG``; images that are
ungradable, in tables and spreadsheets; an empty form beside the spreadsheets; sizes that differ, some below 224.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from medimeta.synthetic.drawing import encode, generator, write_zip

TOP = "DeepDRiD-master"
GRADES = range(5)
ARTIFACTS, CLARITIES, FIELDS = (0, 1, 4, 6, 8, 10), (1, 4, 6, 8, 10), (1, 4, 6, 8, 10)
SPLITS = ("train", "val", "test", "train", "train")  # of the pairs of eyes of a grade, in turn
FOLDERS = {
    "regular": ("regular-fundus-training", "regular-fundus-validation", "Online-Challenge1&2-Evaluation"),
    "ultra": ("ultra-widefield-training", "ultra-widefield-validation", "Online-Challenge3-Evaluation"),
}
SIZES = ((300, 260), (280, 280), (190, 170))


class _Eye(NamedTuple):
    """One image: who, of which grade, and how well it was taken."""

    patient: int
    name: str
    grade: int
    quality: int
    artifact: int
    clarity: int
    field: int

    @property
    def image_id(self) -> str:
        return f"{self.patient}_{self.name}"


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write the archive, with `images_per_class` images of every grade in both collections, and return its path."""
    return (write_zip(folder / f"{TOP}.zip", _members(images_per_class, seed)),)


def _members(images_per_class: int, seed: int) -> Iterator[tuple[str, bytes]]:
    yield f"__MACOSX/{TOP}/._README.md", b"\x00\x05\x16\x07"
    yield f"{TOP}/README.md", b"# DeepDRiD\n"
    for kind, top in (("regular", "regular_fundus_images"), ("ultra", "ultra-widefield_images")):
        for split, name in zip(("train", "val", "test"), FOLDERS[kind], strict=True):
            eyes = _eyes(images_per_class, split)
            yield f"{TOP}/{top}/{name}/readme.txt", b"Images and labels.\r\n"
            yield f"{TOP}/{top}/{name}/Images/Thumbs.db", b"\xd0\xcf\x11\xe0"
            for place, eye in enumerate(eyes):
                # Some files lack the patient's number, and some extensions are in capitals.
                stem = eye.name if place == 1 else eye.image_id
                suffix = "JPG" if place == 2 else "jpg"
                yield (
                    f"{TOP}/{top}/{name}/Images/{eye.patient}/{stem}.{suffix}",
                    encode(_image(kind, eye, seed), "JPEG"),
                )
            for table, data in _tables(kind, name, eyes):
                yield f"{TOP}/{top}/{name}/{table}", data


def _eyes(images_per_class: int, split: str) -> list[_Eye]:
    """Return the images of a split; patients are numbered so that their string order is not their numbers'."""
    found = [_eye(grade, number) for number in range(images_per_class) for grade in GRADES]
    own = [eye for eye in found if SPLITS[(eye.patient - 1) // len(GRADES) % len(SPLITS)] == split]
    if split == "val":
        return own
    patient = 900 if split == "train" else 950
    return [*own, _Eye(patient, "l1", 5, 0, 10, 1, 1), _Eye(patient, "r2", 5, 0, 10, 1, 1)]


def _eye(grade: int, number: int) -> _Eye:
    pair, right = divmod(number, 2)
    turn = grade + len(GRADES) * right  # tells the ten images of a pair of numbers apart
    artifact = ARTIFACTS[(turn + pair) % len(ARTIFACTS)]
    return _Eye(
        patient=pair * len(GRADES) + grade + 1,
        name="r2" if right else "l1",
        grade=grade,
        quality=int(artifact < 6),
        artifact=artifact,
        clarity=CLARITIES[(turn + right + pair) % len(CLARITIES)],
        field=FIELDS[(2 * turn + pair) % len(FIELDS)],
    )


def _tables(kind: str, folder: str, eyes: Sequence[_Eye]) -> Iterator[tuple[str, bytes]]:
    shuffled = sorted(eyes, key=lambda eye: (eye.patient % 7, eye.name), reverse=True)
    if "Evaluation" in folder:
        yield from _spreadsheets(kind, shuffled)
        return
    if kind == "ultra":
        rows = [{**_names(folder, eye, ""), "DR_level": eye.grade, "position": f"{_side(eye)}_eye"} for eye in shuffled]
        yield f"{folder}.csv", _csv(rows)
        return
    rows = [
        {
            **_names(folder, eye, "\\"),
            "Overall quality": eye.quality,
            "left_eye_DR_Level": eye.grade if _side(eye) == "left" else "",
            "right_eye_DR_Level": eye.grade if _side(eye) == "right" else "",
            "patient_DR_Level": eye.grade,
            "Clarity": eye.clarity,
            "Field definition": eye.field,
            "Artifact": eye.artifact,
        }
        for eye in shuffled
    ]
    yield f"{folder}.csv", b"\xef\xbb\xbf" + _csv(rows)
    sources = [{**_names(folder, eye, "\\"), "Source": ("Nicheng", "Shanghai")[eye.patient % 2]} for eye in eyes]
    yield f"{folder.replace('fundus-', 'fundus-source-')}.csv", _csv(sources)


def _spreadsheets(kind: str, eyes: Sequence[_Eye]) -> Iterator[tuple[str, bytes]]:
    if kind == "ultra":
        yield "Challenge3_labels.xlsx", _xlsx([{"image_id": eye.image_id, "UWF_DR_Levels": eye.grade} for eye in eyes])
        yield "Challenge3_upload.csv", _csv([{"image_id": eye.image_id, "DR_level": ""} for eye in eyes])
        return
    yield "Challenge1_labels.xlsx", _xlsx([{"image_id": eye.image_id, "DR_Levels": eye.grade} for eye in eyes])
    yield "Challenge1_upload.csv", _csv([{"image_id": eye.image_id, "DR_Levels": ""} for eye in eyes])
    yield (
        "Challenge2_labels.xlsx",
        _xlsx(
            [
                {
                    "image_id": eye.image_id,
                    "Overall quality": eye.quality,
                    "Artifact": eye.artifact,
                    "Clarity": eye.clarity,
                    "Field definition": eye.field,
                }
                for eye in reversed(eyes)
            ]
        ),
    )


def _side(eye: _Eye) -> str:
    return "left" if eye.name.startswith("l") else "right"


def _names(folder: str, eye: _Eye, start: str) -> dict[str, int | str]:
    path = f"{start}{folder}\\{eye.patient}\\{eye.image_id}.jpg"
    return {"patient_id": eye.patient, "image_id": eye.image_id, "image_path": path}


def _csv(rows: Sequence[Mapping[str, int | str]]) -> bytes:
    lines = [",".join(rows[0]), *(",".join(str(cell) for cell in row.values()) for row in rows)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _xlsx(rows: Sequence[Mapping[str, int | str]]) -> bytes:
    """Return a spreadsheet of one sheet; written by hand, as libraries put the time into it."""
    lines: list[list[int | str]] = [list(rows[0]), *(list(row.values()) for row in rows)]
    sheet = "".join(f"<row>{''.join(_xlsx_cell(cell) for cell in line)}</row>" for line in lines)
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    related = f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Type="{office}/'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'{related}officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{office}">'
        f'<sheets><sheet name="labels" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{related}worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f"<worksheet {main}><sheetData>{sheet}</sheetData></worksheet>",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as book:
        for name, text in parts.items():
            book.writestr(zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0)), text)
    return file.getvalue()


def _xlsx_cell(cell: int | str) -> str:
    if isinstance(cell, int):
        return f"<c><v>{cell}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(cell)}</t></is></c>'


def _image(kind: str, eye: _Eye, seed: int) -> Image.Image:
    rng = generator(seed, "deepdrid", kind, eye.image_id, eye.grade)
    width, height = SIZES[eye.patient % len(SIZES)]
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    reach = 0.5 if kind == "ultra" else 0.46
    centre, radius = (width / 2, height / 2), reach * min(width, height)
    _dot(draw, centre, radius, (150, 120, 60) if kind == "ultra" else (190, 95, 45))
    for _ in range(6 * eye.grade):
        for colour, size in (((110, 15, 10), 0.045), ((240, 220, 120), 0.03)):
            _dot(draw, _spot(rng, centre, radius), radius * size * rng.uniform(0.8, 1.2), colour)
    if eye.grade == max(GRADES):
        _dot(draw, _spot(rng, centre, radius / 2), radius * 0.3, (80, 5, 5))
    away = radius * (0.9, 0.6, 0.4, 0.3, 0.2)[FIELDS.index(eye.field)]
    _dot(draw, (centre[0] + (away if _side(eye) == "left" else -away), centre[1]), radius * 0.14, (250, 225, 160))
    image = image.filter(ImageFilter.BoxBlur((2, 1.5, 1, 0.5, 0)[CLARITIES.index(eye.clarity)]))
    pixels = np.asarray(image, dtype=float)
    veiled = int(width * eye.artifact / 20)
    pixels[:, :veiled] = 0.5 * pixels[:, :veiled] + 90
    noisy = pixels + rng.normal(0, 3, pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _spot(rng: np.random.Generator, centre: tuple[float, float], radius: float) -> tuple[float, float]:
    angle, away = rng.uniform(0, 2 * np.pi), radius * 0.85 * rng.uniform(0, 1) ** 0.5
    return centre[0] + away * np.cos(angle), centre[1] + away * np.sin(angle)


def _dot(draw: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float, colour: tuple[int, int, int]) -> None:
    x, y = centre
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
