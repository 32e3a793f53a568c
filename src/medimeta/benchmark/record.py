"""The record of one run: everything that its figures depend on, as one JSON file beside its predictions."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from medimeta._files import write_whole
from medimeta.learning.model_folder import model_problem
from medimeta.learning.predictions.npz_files import npz_bytes
from medimeta.learning.predictions.predictions import Predictions
from medimeta.learning.provenance import package as package
from medimeta.learning.provenance import versions as versions

FORMAT_VERSION = 2  # 2: a method, few-shot results, how it was trained apart from what was tested
RUN_AGAIN = "The same benchmark command makes it again."

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
    predictions, predictions_sha256
        Name of the file with labels and scores, and its digest, which `write_record` fills in.
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
    predictions_sha256: str | None = None
    model: str | None = None

    @field_validator("predictions", "model")
    @classmethod
    def _plain_name(cls, name: str | None) -> str | None:
        if name is not None and (name in ("", ".", "..") or set("/\\\0") & set(name)):
            raise ValueError("must be the name of a file beside the record")
        return name

    @field_validator("test")
    @classmethod
    def _figures(cls, test: Mapping[str, Any]) -> Mapping[str, Any]:
        auroc, bounds = test.get("auroc"), test.get("auroc_interval")
        numbers = [each for each in (auroc, *(bounds or (None, None))) if each is not None]
        if (
            "auroc" not in test
            or len(bounds or (0, 1)) != 2
            or not all(isinstance(each, int | float) for each in numbers)
        ):
            raise ValueError("auroc must be a number or null, and auroc_interval two of them or null")
        if not all(isinstance(each, Mapping) for each in (test.get("per_class") or {}).values()):
            raise ValueError("per_class must hold the figures of each class")
        if not _finite(test):
            raise ValueError("must be finite; a figure that is not defined is null")
        return test

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
) -> Record:
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

    Returns
    -------
    Record
        As written, with the digest of the predictions.
    """
    if record.model is not None:
        folder = path.with_name(record.model)
        for name, data in (model or {}).items():
            write_whole(folder / name, data)
    data = _npz(predictions)
    write_whole(path.with_name(record.predictions), data)
    record = record.model_copy(update={"predictions_sha256": hashlib.sha256(data).hexdigest()})
    write_whole(path, (record.model_dump_json(indent=1) + "\n").encode())
    return record


def _npz(predictions: SomePredictions) -> bytes:
    by_split = {name: each for name, each in predictions.items() if isinstance(each, Predictions)}
    if by_split:
        return npz_bytes(by_split)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **predictions)
    return buffer.getvalue()


def _finite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def examine_record(path: Path) -> Record | str | None:
    """Return a record, or why it cannot be used; None for JSON that is no record."""
    try:
        raw: Any = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError) as error:
        return f"is damaged ({type(error).__name__}). {RUN_AGAIN}"
    if not isinstance(raw, dict) or "config_sha256" not in raw:
        return None
    version = raw.get("format_version")
    if version != FORMAT_VERSION:
        return f"is of format {version}, and this version reads {FORMAT_VERSION}. {RUN_AGAIN}"
    try:
        return Record.model_validate(raw)
    except ValidationError as error:
        fields = sorted({".".join(map(str, problem["loc"])) for problem in error.errors()})
        return f"is damaged: {', '.join(fields)} cannot be used. {RUN_AGAIN}"


def predictions_problem(path: Path, record: Record) -> str | None:
    """Say what is wrong with the predictions file of a record; None where it is the one that was written with it."""
    file, wrong = path.with_name(record.predictions), f"so its run has figures, but no curves. {RUN_AGAIN}"
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return f"{record.predictions}: is missing, {wrong}"
    except OSError as error:
        return f"{record.predictions}: is damaged ({error.strerror}), {wrong}"
    if record.predictions_sha256 in (None, digest):
        return None
    return f"{record.predictions}: is damaged, or of another run, {wrong}"


def kept_problem(path: Path, record: Record, *, models: bool) -> str | None:
    """Say what is wrong with what was written with a record: predictions and, where it is asked for, the model."""
    problem = predictions_problem(path, record)
    if problem is None and models and record.model is not None:
        wrong = model_problem(path.with_name(record.model))
        problem = None if wrong is None else f"{wrong}. {RUN_AGAIN} Without models, by --no-models, it is not needed."
    return problem


def read_record(path: Path) -> Record | None:
    """Read a finished record; None where there is none, or where it or its predictions cannot be used."""
    record = examine_record(path) if path.exists() else None
    return record if isinstance(record, Record) and predictions_problem(path, record) is None else None
