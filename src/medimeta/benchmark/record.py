"""The record of one run: everything that its figures depend on, as one JSON file beside its predictions."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from medimeta._files import write_whole
from medimeta.learning.predictions.npz_files import npz_bytes
from medimeta.learning.predictions.predictions import Predictions
from medimeta.learning.provenance import package as package
from medimeta.learning.provenance import versions as versions

FORMAT_VERSION = 2  # 2: a method, few-shot results, how it was trained apart from what was tested


SomePredictions = Mapping[str, Predictions] | Mapping[str, npt.NDArray[Any]]


class Training(BaseModel):
    """How a supervised model was trained.

    Attributes
    ----------
    chosen_by
        What the tested epoch was chosen by: ``"val_auroc"``, or ``"val_loss"`` where that is not defined.
    best_epoch, epochs
        The chosen epoch, counted from 1, and how many were run.
    history
        Figures of every epoch: ``train_loss``, ``val_loss``, ``val_auroc``; None where one is not defined.
    val
        Scores on the validation split, as `medimeta.learning.metrics.Scores.as_dict` gives them.
    """

    model_config = ConfigDict(frozen=True)

    chosen_by: str
    best_epoch: int
    epochs: int
    history: tuple[Mapping[str, float | None], ...]
    val: Mapping[str, Any]


class Record(BaseModel):
    """One finished run.

    Attributes
    ----------
    method
        ``"supervised"``, or the name of a few-shot method.
    task, backbone, seed
        The cell of the grid.
    weights, weights_name
        What the backbone started from: ``"imagenet"``, ``"none"`` or ``"sha256:..."`` of a file; and its name for
        people: ``"imagenet"``, ``"scratch"``, ``"multi-domain"``, ``"maml"`` or the file's.
    config, config_sha256
        The settings, and their digest.
    data, data_partial
        Digest of images, labels and splits; whether the dataset was built from a part of its original.
    samples
        Number of samples by split.
    package, versions, device
        What computed it.
    seconds, images_per_second
        Of training, or of all episodes.
    peak_memory_mb
        Largest memory of the GPU where there was one, else of the process, in megabytes (10^6 bytes); None where the
        system does not tell.
    test
        `Scores.as_dict` on the test split; for few-shot methods, figures over episodes (`FewShotResult.as_dict`).
    training
        How it was trained; None for few-shot methods.
    predictions
        Name of the file with labels and scores.
    model
        Name of the folder with the trained model; None where it was not kept.
    """

    model_config = ConfigDict(frozen=True)

    format_version: int = FORMAT_VERSION
    method: str
    task: str
    backbone: str
    weights: str
    weights_name: str
    seed: int
    config: Mapping[str, Any]
    config_sha256: str
    data: str
    data_partial: bool
    samples: Mapping[str, int]
    package: str
    versions: Mapping[str, str]
    device: str
    seconds: float
    images_per_second: float
    peak_memory_mb: float | None = None
    test: Mapping[str, Any]
    training: Training | None = None
    predictions: str
    model: str | None = None

    @property
    def auroc(self) -> float | None:
        """Test AUROC as a fraction, by the rule that the record names; the mean over episodes of few-shot methods."""
        value = self.test["auroc"]
        return None if value is None else float(value)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Interval of `auroc`: bootstrap, or the mean -+ 1.96 standard errors over episodes."""
        bounds = self.test["auroc_interval"]
        return None if bounds is None else (float(bounds[0]), float(bounds[1]))

    @property
    def shots(self) -> int | None:
        """Labelled images per class of an episode; None for a supervised run."""
        value = self.test.get("shots")
        return None if value is None else int(value)


def write_record(
    path: Path, record: Record, predictions: SomePredictions, model: Mapping[str, bytes] | None = None
) -> None:
    """Write the model, the predictions, and then the record: a record that is there is finished.

    Parameters
    ----------
    path : Path
        Of the record.
    record : Record
        The record.
    predictions : mapping of str to Predictions, or to ndarray
        For its predictions file: by split, or any arrays by name.
    model : mapping of str to bytes, optional
        The files of its model's folder.
    """
    if record.model is not None:
        folder = path.with_name(record.model)
        for name, data in (model or {}).items():
            write_whole(folder / name, data)
    write_whole(path.with_name(record.predictions), _npz(predictions))
    write_whole(path, (record.model_dump_json(indent=1) + "\n").encode())


def _npz(predictions: SomePredictions) -> bytes:
    by_split = {name: each for name, each in predictions.items() if isinstance(each, Predictions)}
    if by_split:
        return npz_bytes(by_split)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **predictions)
    return buffer.getvalue()


def read_record(path: Path) -> Record | None:
    """Read a finished record; None where there is none, where it does not read, or where its predictions are gone."""
    try:
        record = Record.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    whole = record.format_version == FORMAT_VERSION and path.with_name(record.predictions).is_file()
    return record if whole else None
