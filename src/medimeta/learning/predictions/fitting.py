"""Whether predictions are of the samples that they are to be evaluated on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from medimeta.catalogue.schema import TaskCard
from medimeta.errors import PredictionsError, problems_error
from medimeta.learning.predictions.predictions import Integers, Predictions
from medimeta.store.layout import image_name

if TYPE_CHECKING:
    from medimeta.store.reader import StoredDataset


def fitted(predictions: Predictions, stored: StoredDataset, card: TaskCard) -> Predictions:
    """Compare predictions with a stored dataset, and complete them with its labels and subjects.

    Parameters
    ----------
    predictions : Predictions
        Of one split.
    stored : StoredDataset
        The dataset.
    card : TaskCard
        The task.

    Returns
    -------
    Predictions
        With samples, labels and, where the dataset tells them, subjects.

    Raises
    ------
    PredictionsError
        They were made for other data, are not of all samples of the split, of others, or in another order, or their
        labels are others. Everything is listed, with the first row that differs.
    """
    expected = stored.split(predictions.split)
    problems = []
    if predictions.data is not None and predictions.data != (now := stored.fingerprint()):
        problems.append(
            f"they were made on other data: its fingerprint is {predictions.data[:12]}..., that of the dataset is "
            f"{now[:12]}..."
        )
    problems += _sample_problems(predictions, expected, len(stored))
    labels = stored.labels(card)[expected]
    if not problems and predictions.labels is not None:
        differ = np.flatnonzero((predictions.labels != labels).reshape(len(labels), -1).any(axis=1))
        if differ.size:
            row = differ[0]
            problems.append(
                f"labels of {differ.size:,} samples are others; the first is row {row}, {image_name(expected[row])}: "
                f"expected {labels[row].tolist()}, got {predictions.labels[row].tolist()}"
            )
    if problems:
        headline = f"{card.id}, {predictions.split}: the predictions do not fit {stored.folder}."
        way_out = f"Predict the samples of splits/{predictions.split}.txt, all of them and in that order."
        raise problems_error(PredictionsError, headline, problems, way_out)
    subjects = stored.subjects()
    return replace(
        predictions,
        samples=expected,
        labels=labels,
        subjects=predictions.subjects if subjects is None else subjects[expected],
    )


def check_same_samples(first: Predictions, second: Predictions) -> None:
    """Check that two models predicted the same samples, in the same order, with the same labels.

    Raises
    ------
    PredictionsError
        They did not; it says which row differs first.
    """
    problems = []
    if first.task != second.task or first.split != second.split:
        problems.append(f"the first are of {first.task}, {first.split}, the others of {second.task}, {second.split}")
    elif first.data is not None and second.data is not None and first.data != second.data:
        problems.append(f"they were made on different data: {first.data[:12]}... and {second.data[:12]}...")
    if len(first) != len(second):
        problems.append(f"the first have {len(first):,} samples, the others {len(second):,}")
    elif first.samples is not None and second.samples is not None and (first.samples != second.samples).any():
        row = np.flatnonzero(first.samples != second.samples)[0]
        names = image_name(first.samples[row]), image_name(second.samples[row])
        problems.append(f"the samples differ, first in row {row}: {names[0]} and {names[1]}")
    elif first.labels is not None and second.labels is not None and (first.labels != second.labels).any():
        row = np.flatnonzero((first.labels != second.labels).reshape(len(first), -1).any(axis=1))[0]
        problems.append(
            f"the labels differ, first in row {row}: {first.labels[row].tolist()} and {second.labels[row].tolist()}"
        )
    if problems:
        raise problems_error(
            PredictionsError, "the predictions of two models cannot be compared.", problems, "Predict the same samples."
        )


def _sample_problems(predictions: Predictions, expected: Integers, count: int) -> list[str]:
    samples = predictions.samples
    if samples is None:
        if len(predictions) == len(expected):
            return []
        return [f"they do not say of which samples they are, and are {len(predictions):,} instead of {len(expected):,}"]
    if np.array_equal(samples, expected):
        return []
    problems = []
    outside = samples[samples >= count]
    others = np.setdiff1d(samples[samples < count], expected)
    missing = np.setdiff1d(expected, samples)
    if outside.size:
        problems.append(f"the dataset has {count:,} samples, and no {_names(outside)}")
    if others.size:
        problems.append(f"{others.size:,} samples are not in this split: {_names(others)}")
    if missing.size:
        problems.append(
            f"{missing.size:,} of the {len(expected):,} samples of this split are missing: {_names(missing)}"
        )
    if not problems:
        problems.append("the samples are those of the split, but in another order")
    both = min(len(samples), len(expected))
    differ = np.flatnonzero(samples[:both] != expected[:both])
    if differ.size:
        row = differ[0]
        problems.append(
            f"the first row that differs is row {row}, counted from 0: expected {image_name(expected[row])}, "
            f"got {image_name(samples[row])}"
        )
    return problems


def _names(samples: Integers, shown: int = 3) -> str:
    some = ", ".join(image_name(sample) for sample in samples[:shown].tolist())
    return some + (", ..." if len(samples) > shown else "")
