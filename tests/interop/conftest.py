"""Folders in release 1.0's layout, and the environments of the released packages.

Both packages are called ``medimeta``, so the released one and torchcross with ours each need an environment of their
own. What runs there are the files of ``scripts/``, which print JSON. `make interop` makes both environments.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from PIL import Image

import medimeta as mm
from medimeta.synthetic.originals import write_originals

collect_ignore_glob = ["scripts/*"]  # they need packages that are not here

SCRIPTS = Path(__file__).parent / "scripts"
SOURCES = Path(__file__).parents[2] / "src"
COUNT, SIZE = 40, 8
GRADES = np.array([1, 4, 10])


def write_release(folder: Path, name: str, channels: int = 1, seed: int = 0) -> SimpleNamespace:
    """Write a dataset as release 1.0 does, without this package: no manifest, lines of splits in any order."""
    rng = np.random.default_rng(seed)
    shape = (COUNT, SIZE, SIZE) if channels == 1 else (COUNT, SIZE, SIZE, 3)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    labels = {
        "kind": rng.integers(0, 3, COUNT),
        "is bad": rng.integers(0, 2, COUNT),
        "marks": rng.integers(0, 2, (COUNT, 3)),
        "grade": GRADES[rng.integers(0, 3, COUNT)],
    }
    order = rng.permutation(COUNT)
    splits = {"train": order[:28], "val": order[28:32], "test": order[32:]}
    original_splits = {"train": order[5:], "test": order[:5]}  # one without samples has no file
    for part in ("images", "task_labels", "splits", "original_splits"):
        (folder / part).mkdir(parents=True)
    with h5py.File(folder / "images.hdf5", "w") as file:
        file.create_dataset("images", data=images)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / "images" / f"{index:06d}.tiff")
    for task, values in labels.items():
        np.save(folder / "task_labels" / f"{task}.npy", values)
    for part, wanted in (("splits", splits), ("original_splits", original_splits)):
        for split, indices in wanted.items():
            (folder / part / f"{split}.txt").write_text("\n".join(f"images/{index:06d}.tiff" for index in indices))
    names = "\n".join(f"images/{index:06d}.tiff" for index in range(COUNT))
    (folder / "annotations.csv").write_text(f"filepath\n{names}\n")
    (folder / "LICENSE").write_text("none\n")
    info = {
        "id": name,
        "name": name.title(),
        "description": "Noise",
        "domain": "Nowhere",
        "input_size": [channels, SIZE, SIZE],
        "total_num_samples": COUNT,
        "splits_num_samples": {split: len(indices) for split, indices in splits.items()},
        "original_splits_num_samples": {"train": 35, "val": 0, "test": 5},
        "tasks": [
            {"task_name": "kind", "task_target": "MULTICLASS_CLASSIFICATION", "labels": {0: "a", 1: "b", 2: "c"}},
            {"task_name": "is bad", "task_target": "BINARY_CLASSIFICATION", "labels": {0: "no", 1: "yes"}},
            {"task_name": "marks", "task_target": "MULTILABEL_CLASSIFICATION", "labels": {0: "x", 1: "y", 2: "z"}},
            {"task_name": "grade", "task_target": "ORDINAL_REGRESSION", "labels": {1: "low", 4: "mid", 10: "high"}},
        ],
        "domain_overlaps": [],
        "subject_overlaps": [],
        "license": "CC BY 4.0",
    }
    (folder / "info.yaml").write_text(yaml.safe_dump(info, sort_keys=False))
    return SimpleNamespace(folder=folder, images=images, labels=labels, splits=splits, original_splits=original_splits)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Write a grey and a colour dataset below one root. Copy it before you change it."""
    root = tmp_path_factory.mktemp("release")
    sets = {name: write_release(root / name, name, channels) for name, channels in (("grey", 1), ("colour", 3))}
    return SimpleNamespace(root=root, **sets)


@pytest.fixture
def own_release(tmp_path: Path) -> SimpleNamespace:
    """Write a colour dataset that a test may change."""
    return write_release(tmp_path / "colour", "colour", 3)


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a dataset for each kind of task at 32 pixels."""
    names, root, originals = ["bus", "pbc", "cxr", "dr_regular"], *map(tmp_path_factory.mktemp, ("tiny", "tiny-from"))
    write_originals(names, originals, images_per_class=10)
    mm.build(names, source=originals, root=root, size=32, workers=1, tiff=True, allow_partial=True)
    return root


def runner(variable: str, what: str, path: list[Path]) -> Callable[..., Any]:
    """Return a function that runs a script of ``scripts/`` in another environment and returns the JSON it prints."""
    python = os.environ.get(variable)
    if not python:  # ask for this before anything that takes its time
        pytest.skip(f"set {variable} to a Python with {what}, or run `make interop`")
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    variables = {**kept, "PYTHONPATH": os.pathsep.join(map(str, path)), "CUDA_VISIBLE_DEVICES": ""}

    def start(script: Path, *arguments: object, cwd: Path | None = None) -> str:
        command = [Path(python).absolute(), script, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, env=variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(script: str, *arguments: object) -> Any:
        return json.loads(start(SCRIPTS / script, *arguments).splitlines()[-1])

    run.plain = start  # type: ignore[attr-defined]
    return run


@pytest.fixture(scope="session")
def with_released() -> Callable[..., Any]:
    """Run scripts with the released package."""
    return runner("MEDIMETA_RELEASED_PYTHON", "medimeta 0.0.6 and torchcross 0.0.6", [])


@pytest.fixture(scope="session")
def with_torchcross() -> Callable[..., Any]:
    """Run scripts with this package and torchcross."""
    return runner("MEDIMETA_TORCHCROSS_PYTHON", "torchcross 0.0.6 and this package", [SOURCES])
