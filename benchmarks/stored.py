"""Stored datasets that need no original: written straight into the layout, by card, with made-up pixels and labels.

Who measures opening, sampling or reading does not care what the images show, but how many there are, and what the
tables say.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import medimeta as mm
from benchmarks.data import CACHE
from medimeta.catalogue.schema import SPLITS, DatasetCard, TaskCard, TaskTarget
from medimeta.store.table import LabelArray, SampleTable
from medimeta.store.writer import DatasetWriter

LARGE = ("crc", "oct", "cxr")  # the three with more than 100,000 images: 9 classes, binary, 14 labels
LARGE_SIZE = 16  # pixels: neither opening nor sampling reads any

# How many of the 112,120 chest X-rays have each finding, and how many have none: as rare as in the original.
FINDINGS = {
    "Atelectasis": 11_559,
    "Cardiomegaly": 2_776,
    "Effusion": 13_317,
    "Infiltration": 19_894,
    "Mass": 5_782,
    "Nodule": 6_331,
    "Pneumonia": 1_431,
    "Pneumothorax": 5_302,
    "Consolidation": 4_667,
    "Edema": 2_303,
    "Emphysema": 2_516,
    "Fibrosis": 1_686,
    "Pleural_Thickening": 3_385,
    "Hernia": 227,
}
WITH_FINDING, ALL = 112_120 - 60_361, 112_120
IMAGES_A_PATIENT = {"cxr": ALL / 30_805, "oct": 109_309 / 5_319}
SHARE = 0.1  # of the images that have a label, where nothing else is said

Rows = list[dict[str, str]]


@dataclass(frozen=True)
class StoredRoot:
    """A root below the cache with so many images of each dataset, `size` pixels wide."""

    name: str
    size: int
    counts: Mapping[str, int]

    @property
    def path(self) -> Path:
        """Where it is, or will be."""
        return CACHE / self.name

    def make(self) -> None:
        """Write the datasets that are missing."""
        for dataset, count in self.counts.items():
            folder = self.path / dataset
            if not folder.is_dir():
                print(f"Writing {count:,} images of {dataset} into {CACHE.name}/{self.name} ...", file=sys.stderr)
                _write(folder, mm.dataset(dataset), count, self.size)


def one(dataset: str, count: int) -> StoredRoot:
    """Return a root with images of one dataset, as large as they are."""
    return StoredRoot(f"{dataset}-{count}", 224, {dataset: count})


def large(part: int) -> StoredRoot:
    """Return a root with one in `part` of the images of the largest datasets."""
    counts = {name: mm.dataset(name).samples.total // part for name in LARGE}
    return StoredRoot(f"large-{part}", LARGE_SIZE, counts)


def every(most: int) -> StoredRoot:
    """Return a root with all datasets of the catalogue, as large as they are but for so many images at most."""
    return StoredRoot(f"every-{most}", 224, {card.id: min(card.samples.total, most) for card in mm.datasets()})


def _write(folder: Path, card: DatasetCard, count: int, size: int) -> None:
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    rng = np.random.default_rng(0)
    shape = card.shape(size)
    partial = folder.with_name(f".{folder.name}.partial")
    with DatasetWriter(partial, card, count, size) as writer:
        # Noise: a file system that finds nothing to pack has to read it all.
        noise = (np.frombuffer(rng.bytes(int(np.prod(shape))), np.uint8).reshape(shape) for _ in range(count))
        writer.write_images(enumerate(noise))
        writer.write_table(_table(card, count, rng))
        writer.finish(
            package="benchmarks",
            recipe=card.recipe or "none",
            recipe_version=1,
            settings={"size": size},
            partial=True,
            departures=("made up",),
            samples=count,
            sources=(),
        )
    partial.rename(folder)


def _table(card: DatasetCard, count: int, rng: np.random.Generator) -> SampleTable:
    labels = {task.name: _labels(task, count, rng) for task in card.tasks}
    patients = _patients(card, count, rng)
    shares = np.array([card.samples.of(split) for split in SPLITS]) / card.samples.total
    of_patient = rng.choice(SPLITS, patients.max() + 1, p=shares)  # nobody is in two splits
    split = of_patient[patients].tolist()
    names = _names(patients)
    return SampleTable(
        labels=labels,
        split=split,
        original_split=["test" if part == "test" else "train" for part in split],
        original_filepath=[f"images/{name}" for name in names],
        extra=_annotations(card, names, patients, labels, rng),
    )


def _labels(task: TaskCard, count: int, rng: np.random.Generator) -> LabelArray:
    if task.target is not TaskTarget.MULTILABEL:
        return rng.choice(np.array(task.keys), count)
    if task.dataset != "cxr":
        return (rng.random((count, len(task.labels))) < SHARE).astype(np.int64)
    frequencies = np.array([FINDINGS[name] for name in task.classes]) / WITH_FINDING
    any_finding = rng.random((count, 1)) < WITH_FINDING / ALL
    return (any_finding & (rng.random((count, len(frequencies))) < frequencies)).astype(np.int64)


def _patients(card: DatasetCard, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the patient of each image, ascending: some have many images, most have few."""
    if card.id not in IMAGES_A_PATIENT:
        return np.arange(count)
    weights = rng.exponential(size=max(1, round(count / IMAGES_A_PATIENT[card.id])))
    return np.sort(rng.choice(len(weights), count, p=weights / weights.sum()))


def _names(patients: npt.NDArray[np.int64]) -> list[str]:
    visits = np.arange(len(patients)) - np.searchsorted(patients, patients)
    return [f"{patient:08d}_{visit:03d}.png" for patient, visit in zip(patients.tolist(), visits.tolist(), strict=True)]


def _annotations(
    card: DatasetCard,
    names: Sequence[str],
    patients: npt.NDArray[np.int64],
    labels: Mapping[str, LabelArray],
    rng: np.random.Generator,
) -> Rows:
    """Return the columns that the recipe writes, where the originals name patients."""
    if card.id not in IMAGES_A_PATIENT:
        return [{}] * len(names)
    rows = [{"patient_id": str(patient)} for patient in patients.tolist()]
    if card.id == "cxr":
        classes = np.array(card.primary.classes)
        findings = labels[card.primary.name].astype(bool)
        ages = rng.integers(1, 95, len(rows)).tolist()
        for row, name, found, age in zip(rows, names, findings, ages, strict=True):
            row |= {
                "image_index": name,
                "finding_labels": "|".join(classes[found]) or "No Finding",
                "follow_up": str(int(name[9:12])),
                "patient_age": str(age),
                "patient_gender": "MF"[age % 2],
                "view_position": "PA" if age % 3 else "AP",
                "original_width": "2682",
                "original_height": "2749",
                "pixel_spacing_x": "0.143",
                "pixel_spacing_y": "0.143",
                "bounding_boxes": "" if age % 90 else json.dumps([{"finding": "Mass", "x": 1.0, "y": 2.0, "w": 3.0}]),
            }
    return rows
