"""Datasets whose images carry just so much signal of their labels that the best possible AUROC is known.

An image has one brightness in each of its three channels: 80, plus `SIGNAL` where a label says so, plus Gaussian noise
of standard deviation `NOISE`, drawn for each image and, unless it is grey, each channel. Nothing else tells the labels.

- binary: grey images, brighter where positive.
- multi-class: red, green or blue is brighter, by the class.
- multi-label: each of red, green and blue is brighter in images that have its label; labels are independent.
- ordinal: grey images, brighter by `SIGNAL` with each of three grades.

Two Gaussians of one standard deviation s whose means are d apart have the area Phi(d / (s sqrt 2)) under the ROC curve
(Green and Swets 1966), and no score has a larger one. Here it is Phi(sqrt 2) = 0.921, `BEST`.
"""

import math

import numpy as np
import pytest

import medimeta as mm
from medimeta.catalogue.schema import DatasetCard
from medimeta.store.table import SampleTable
from medimeta.store.writer import DatasetWriter

SIGNAL, NOISE = 40.0, 20.0
BEST = 0.5 * (1 + math.erf(SIGNAL / NOISE / 2))
SIZE = 32
COUNT = 240
GREY = ("binary", "ordinal")

LABELS = {
    "binary": ("BINARY_CLASSIFICATION", {0: "dark", 1: "bright"}),
    "multi-class": ("MULTICLASS_CLASSIFICATION", {0: "red", 1: "green", 2: "blue"}),
    "multi-label": ("MULTILABEL_CLASSIFICATION", {0: "red", 1: "green", 2: "blue"}),
    "ordinal": ("ORDINAL_REGRESSION", {2: "mild", 5: "moderate", 9: "severe"}),
}


def signals(kind, rng):
    """Draw stored labels, and how often `SIGNAL` is in each channel; shape (COUNT, 3)."""
    shown = np.zeros((COUNT, 3))
    if kind == "multi-label":
        labels = rng.integers(0, 2, (COUNT, 3))
        return labels, labels.astype(float)
    keys = list(LABELS[kind][1])
    labels = np.resize(np.arange(len(keys)), COUNT)
    if kind == "multi-class":
        shown[np.arange(COUNT), labels] = 1
    else:
        shown += labels[:, None]
    return np.array(keys)[labels], shown


def write(folder, kind, seed=0):
    """Write a dataset of one task."""
    rng = np.random.default_rng(seed)
    labels, shown = signals(kind, rng)
    noise = rng.normal(0, NOISE, shown.shape)
    if kind in GREY:
        noise[:] = noise[:, :1]
    brightness = 80 + SIGNAL * shown + noise
    images = np.broadcast_to(brightness.round().clip(0, 255).astype(np.uint8)[:, None, None], (COUNT, SIZE, SIZE, 3))
    target, names = LABELS[kind]
    counts = {"total": COUNT, "train": COUNT // 2, "val": COUNT // 4, "test": COUNT // 4}
    card = DatasetCard(
        id=kind.replace("-", "_"),
        name=kind,
        domain="none",
        channels=3,
        summary="known signal",
        released_licence="own",
        own_licence={
            "id": "own",
            "name": "own",
            "commercial": True,
            "share_alike": False,
            "attribution": False,
            "terms": "none",
        },
        samples=counts,
        original_samples=counts,
        primary_task="signal",
        tasks=[
            {"dataset": kind.replace("-", "_"), "name": "signal", "target": target, "labels": names, "primary": True}
        ],
    )
    splits = [split for split in ("train", "val", "test") for _ in range(counts[split])]
    files = [f"{index}.png" for index in range(COUNT)]
    with DatasetWriter(folder, card, COUNT, SIZE) as writer:
        writer.write_images(enumerate(images))
        writer.write_table(SampleTable({"signal": labels}, splits, splits, files, [{}] * COUNT))


@pytest.fixture(scope="session")
def known(tmp_path_factory):
    """The four datasets by kind, each loaded whole."""
    root = tmp_path_factory.mktemp("known")
    for kind in LABELS:
        write(root / kind.replace("-", "_"), kind)
    return {kind: mm.load(f"{kind.replace('-', '_')}/signal", root=root) for kind in LABELS}
