"""The record of one run: everything that its figures depend on, as one JSON file beside its predictions."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from medimeta._files import write_whole
from medimeta._version import __version__

FORMAT_VERSION = 1
LIBRARIES = ("torch", "timm", "lightning", "numpy")


class Record(BaseModel):
    """One finished run.

    Attributes
    ----------
    task, backbone, weights, seed
        The cell of the grid.
    history
        Figures of every epoch; None for an AUROC that is not defined.
    config, config_sha256
        The settings, and their digest.
    data, data_partial
        Digest of images, labels and splits; whether the dataset was built from a part of its original.
    chosen_by, best_epoch, epochs
        How the tested epoch was chosen, which it was, and how many were run.
    val, test
        Scores, as `medimeta.learning.metrics.Scores.as_dict` gives them.
    predictions
        Name of the npz file with the labels and scores of val and test.
    """

    model_config = ConfigDict(frozen=True)

    format_version: int = FORMAT_VERSION
    task: str
    backbone: str
    weights: str
    seed: int
    config: Mapping[str, Any]
    config_sha256: str
    data: str
    data_partial: bool
    samples: Mapping[str, int]
    package: str
    versions: Mapping[str, str]
    device: str
    chosen_by: str
    best_epoch: int
    epochs: int
    history: tuple[Mapping[str, float | None], ...]
    seconds: float
    images_per_second: float
    val: Mapping[str, Any]
    test: Mapping[str, Any]
    predictions: str

    @property
    def auroc(self) -> float | None:
        """Test AUROC as a fraction, by the rule that the record names."""
        value = self.test["auroc"]
        return None if value is None else float(value)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Bootstrap interval of `auroc`."""
        bounds = self.test["auroc_interval"]
        return None if bounds is None else (float(bounds[0]), float(bounds[1]))


def versions() -> dict[str, str]:
    """Return the versions of what computed the figures."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def package() -> str:
    """Return this package's name and version."""
    return f"medimeta {__version__}"


def write_record(path: Path, record: Record, predictions: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write the predictions, then the record: a record that is there is finished."""
    import io

    buffer = io.BytesIO()
    np.savez_compressed(buffer, **predictions)  # type: ignore[arg-type]
    write_whole(path.with_name(record.predictions), buffer.getvalue())
    write_whole(path, (record.model_dump_json(indent=1) + "\n").encode())


def read_record(path: Path) -> Record | None:
    """Read a finished record; None where there is none, where it does not read, or where its predictions are gone."""
    try:
        record = Record.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    whole = record.format_version == FORMAT_VERSION and path.with_name(record.predictions).is_file()
    return record if whole else None
