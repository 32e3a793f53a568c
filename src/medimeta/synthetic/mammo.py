"""A synthetic CBIS-DDSM: its four tables, and the tree of DICOM files that the usual downloader makes.

Signal: malignant masses are spiculated, benign ones smooth; malignant calcifications are many fine specks, benign
ones a few coarse ones.
Quirks: files called ``1-1.dcm`` where the tables say ``000000.dcm``; crop and mask in one series or in two, and swapped
in some rows; cells that end in a newline; ``breast_density`` and ``breast density``; two lesions on one mammogram; a
lesion of more than 224 pixels, and patches that leave the mammogram; patients in both datasets; what a Mac leaves.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta._optional import require
from medimeta.synthetic.drawing import Floats, disc, generator

TYPES = (
    "AMORPHOUS",
    "COARSE",
    "DYSTROPHIC",
    "EGGSHELL",
    "FINE_LINEAR_BRANCHING",
    "LARGE_RODLIKE",
    "LUCENT_CENTER",
    "LUCENT_CENTERED",
    "MILK_OF_CALCIUM",
    "PLEOMORPHIC",
    "PUNCTATE",
    "ROUND_AND_REGULAR",
    "SKIN",
    "VASCULAR",
)
DISTRIBUTIONS = ("CLUSTERED", "DIFFUSELY_SCATTERED", "LINEAR", "REGIONAL", "SEGMENTAL")
SHAPES = (
    "ARCHITECTURAL_DISTORTION",
    "ASYMMETRIC_BREAST_TISSUE",
    "FOCAL_ASYMMETRIC_DENSITY",
    "IRREGULAR",
    "LOBULATED",
    "LYMPH_NODE",
    "OVAL",
    "ROUND",
)
MARGINS = ("CIRCUMSCRIBED", "ILL_DEFINED", "MICROLOBULATED", "OBSCURED", "SPICULATED")
FINDINGS = {  # kind: columns with their names, and how many words a cell has
    "calc": (("calc type", TYPES, 2), ("calc distribution", DISTRIBUTIONS, 1)),
    "mass": (("mass shape", SHAPES, 1), ("mass margins", MARGINS, 2)),
}
TYPE_NAMES = {"calc": "calcification", "mass": "mass"}
FOLDER_NAMES = {"train": "Training", "test": "Test"}
BENIGN = ("BENIGN", "BENIGN_WITHOUT_CALLBACK")
FIRST_NUMBER = {("calc", "train"): 4, ("calc", "test"): 200, ("mass", "train"): 400, ("mass", "test"): 600}
OTHER_PATIENTS = {  # the first of the real table, and three who are in the other dataset too
    ("mass", "train", 1): "P_00001",
    ("mass", "train", 2): "P_00201",
    ("mass", "train", 3): "P_00006",
    ("mass", "test", 1): "P_00005",
}
ROOT_UID = "1.3.6.1.4.1.9590.100.1.2"
SMALL, LARGE = (260, 300), (400, 380)  # width and height

_Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class _View:
    """A mammogram of a patient, with one lesion or two of one kind."""

    kind: str
    split: str
    number: int
    place: int

    @property
    def patient(self) -> str:
        own = f"P_{FIRST_NUMBER[self.kind, self.split] + self.number:05d}"
        return OTHER_PATIENTS.get((self.kind, self.split, self.number), own)

    @property
    def side(self) -> str:
        return ("LEFT", "RIGHT")[self.place if self.kind == "mass" else 1 - self.place]

    @property
    def view(self) -> str:
        return ("CC", "MLO")[self.place]

    @property
    def malignant(self) -> bool:
        return (self.number + self.place) % 2 == 0

    @property
    def case(self) -> str:
        kind = self.kind.title()
        return f"{kind}-{FOLDER_NAMES[self.split]}_{self.patient}_{self.side}_{self.view}"

    @property
    def lesions(self) -> tuple[int, ...]:
        return (1, 2) if self.number % 5 == 0 and self.place == 0 else (1,)


def write(folder: Path, images_per_class: int, seed: int) -> tuple[Path, ...]:
    """Write the folder of images and the tables, and return their paths."""
    tree = folder / "CBIS-DDSM"
    tables = []
    for kind in FINDINGS:
        for split, patients in (("train", images_per_class), ("test", max(3, images_per_class // 3))):
            views = [_View(kind, split, number, place) for number in range(1, patients + 1) for place in (0, 1)]
            rows = [row for view in views for row in _write_view(tree, view, seed)]
            tables.append(folder / f"{kind}_case_description_{split}_set.csv")
            with tables[-1].open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
    mac = next(path for path in sorted(tree.rglob("1-1.dcm")))
    mac.with_name("._1-1.dcm").write_bytes(b"\x00\x05\x16\x07")
    return (tree, *tables)


def _write_view(tree: Path, view: _View, seed: int) -> Iterator[dict[str, str]]:
    """Write the files of a view, and yield the rows of its lesions."""
    breast, masks = _draw(view, seed)
    image = _path(view.case, "image", seed)
    _write_dicom(tree, image, breast, 1)
    for lesion, mask in zip(view.lesions, masks, strict=True):
        case = f"{view.case}_{lesion}"
        two_series = view.kind == "mass" and view.number % 4 == 2
        crop, roi = _path(case, "crop", seed), _path(case, "mask" if two_series else "crop", seed)
        first, second = ("crop", "mask") if view.kind == "mass" else ("mask", "crop")
        pixels = {"crop": _bounded(breast, mask), "mask": mask}
        if two_series:
            _write_dicom(tree, crop, pixels["crop"], 1)
            _write_dicom(tree, roi, pixels["mask"], 1)
        else:
            if view.number % 4 == 0:  # the columns are swapped
                pixels = {"crop": pixels["mask"], "mask": pixels["crop"]}
            for instance, what in enumerate((first, second), 1):
                _write_dicom(tree, crop, pixels[what], instance)
        named = {what: f"{number:06d}.dcm" for number, what in enumerate((first, second))}
        paths = {
            "image file path": f"{image}/000000.dcm",
            "cropped image file path": f"{crop}/{'000000.dcm' if two_series else named['crop']}",
            "ROI mask file path": f"{roi}/{'000000.dcm' if two_series else named['mask']}",
        }
        paths["cropped image file path" if view.kind == "calc" else "ROI mask file path"] += "\n"
        yield {**_facts(view, lesion), **paths}


def _facts(view: _View, lesion: int) -> dict[str, str]:
    turn = 2 * (view.number - 1) + view.place
    findings = {
        column: "-".join(names[(turn + 5 * word) % len(names)] for word in range(words))
        for column, names, words in FINDINGS[view.kind]
    }
    if turn == 7:
        findings[FINDINGS[view.kind][1][0]] = "N/A"
    return {
        "patient_id": view.patient,
        "breast_density" if view.kind == "mass" else "breast density": str(1 + view.number % 4),
        "left or right breast": view.side,
        "image view": view.view,
        "abnormality id": str(lesion),
        "abnormality type": TYPE_NAMES[view.kind],
        **findings,
        "assessment": str(2 + turn % 4),
        "pathology": "MALIGNANT" if view.malignant else BENIGN[view.number // 2 % 2],
        "subtlety": str(1 + turn % 5),
    }


def _path(case: str, what: str, seed: int) -> str:
    """Return case, study and series; what lies in one series has one `what`."""
    study, series = ("".join(map(str, generator(seed, case, what, uid).integers(1, 10, 39))) for uid in range(2))
    return f"{case}/{ROOT_UID}.{study}/{ROOT_UID}.{series}"


def _draw(view: _View, seed: int) -> tuple[_Pixels, list[_Pixels]]:
    """Return a mammogram of 16 bits, and the mask of each of its lesions."""
    rng = generator(seed, "mammo", view.case)
    large = view.number == 3
    width, height = LARGE if large else SMALL
    tissue = 0.25 + 0.05 * np.sin(np.linspace(0, 7, height))[:, None] + rng.normal(0, 0.02, (height, width))
    masks = []
    for lesion in view.lesions:
        centre = (width * rng.uniform(0.4, 0.6), height * (0.25 if lesion == 2 else rng.uniform(0.45, 0.65)))
        radius = 130.0 if large else rng.uniform(28, 40)
        tissue += 0.5 * _lesion(rng, view, (width, height), centre, radius)
        masks.append((disc(width, height, centre, (radius * 1.2, radius)) > 0).astype(np.uint8) * np.uint8(255))
    return (np.clip(tissue, 0, 1) * 65535).astype(np.uint16), masks


def _lesion(
    rng: np.random.Generator, view: _View, size: tuple[int, int], centre: tuple[float, float], radius: float
) -> Floats:
    if view.kind == "mass":
        return disc(*size, centre, (radius, radius * 0.8), wobble=0.35 if view.malignant else 0.0)
    specks = np.zeros(size[::-1])
    side = 3 if view.malignant else 13
    for _ in range(30 if view.malignant else 4):
        angle, away = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0, 0.8) ** 0.5
        top, left = int(centre[1] + away * np.sin(angle)), int(centre[0] + away * np.cos(angle))
        specks[top : top + side, left : left + side] = 1
    return specks


def _bounded(breast: _Pixels, mask: _Pixels) -> _Pixels:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return breast[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _write_dicom(tree: Path, series: str, pixels: _Pixels, instance: int) -> None:
    pydicom = require("pydicom")
    dataset = pydicom.Dataset()
    dataset.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = f"{series.rpartition('/')[2][:-3]}.{instance}"
    dataset.Modality = "MG"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    (tree / series).mkdir(parents=True, exist_ok=True)
    (tree / series / f"1-{instance}.dcm").write_bytes(file.getvalue())
