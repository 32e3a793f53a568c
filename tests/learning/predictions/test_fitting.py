"""Predictions of other samples, or of samples in another order, are refused."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from medimeta.errors import PredictionsError
from medimeta.learning.predictions import check_same_samples, fitted
from medimeta.store.reader import resolve_task

TASK, SUBJECTS = "bus/malignancy", "mammo_mass/pathology"


@pytest.fixture
def bus(store):
    return store(TASK)


def refused(predictions, stored, card):
    with pytest.raises(PredictionsError) as caught:
        fitted(predictions, stored, card)
    assert "Predict the samples of splits/test.txt, all of them and in that order." in str(caught.value)
    return "\n".join(caught.value.problems)


def test_what_a_file_lacks_comes_from_the_store(predicted, store):
    for name in (TASK, SUBJECTS):
        stored, card = store(name)
        whole = predicted(card.id)
        bare = replace(whole, data=None, labels=None, subjects=None)
        for each in (whole, bare, replace(whole, samples=None)):
            made = fitted(each, stored, card)
            np.testing.assert_array_equal(made.samples, stored.split("test"))
            np.testing.assert_array_equal(made.labels, whole.labels)
            np.testing.assert_array_equal(made.subjects, whole.subjects)
        assert (whole.subjects is None) == (name == TASK)


def test_another_order_is_refused_with_the_first_row(predicted, bus):
    stored, card = bus
    whole = predicted(TASK)
    samples = whole.samples.copy()
    samples[[2, 4]] = samples[[4, 2]]
    told = refused(replace(whole, samples=samples), stored, card)
    assert "the samples are those of the split, but in another order" in told
    first = f"row 2, counted from 0: expected images/{whole.samples[2]:06d}.tiff, got images/{samples[2]:06d}.tiff"
    assert first in told


def test_other_samples_are_refused(predicted, bus):
    stored, card = bus
    whole, train = predicted(TASK), stored.split("train")
    samples = whole.samples.copy()
    samples[1] = train[0]
    told = refused(replace(whole, samples=samples), stored, card)
    assert f"1 samples are not in this split: images/{train[0]:06d}.tiff" in told
    assert f"1 of the {len(samples)} samples of this split are missing: images/{whole.samples[1]:06d}.tiff" in told
    assert "the first row that differs is row 1" in told
    samples[1] = 10**6
    assert f"the dataset has {len(stored)} samples, and no images/1000000.tiff" in refused(
        replace(whole, samples=samples), stored, card
    )


def test_a_part_of_the_split_is_refused(predicted, bus):
    stored, card = bus
    whole = predicted(TASK)
    part = replace(whole, samples=whole.samples[:-2], labels=whole.labels[:-2], scores=whole.scores[:-2])
    assert f"2 of the {len(whole)} samples of this split are missing" in refused(part, stored, card)
    part = replace(part, samples=None)
    assert f"do not say of which samples they are, and are {len(part)} instead of {len(whole)}" in refused(
        part, stored, card
    )


def test_other_labels_are_refused(predicted, bus):
    stored, card = bus
    whole = predicted(TASK)
    labels = whole.labels.copy()
    labels[[3, 5]] ^= 1
    told = refused(replace(whole, labels=labels), stored, card)
    assert f"labels of 2 samples are others; the first is row 3, images/{whole.samples[3]:06d}.tiff: " in told
    assert f"expected {whole.labels[3]}, got {labels[3]}" in told


def test_other_data_are_refused(predicted, built_root, tmp_path):
    whole = predicted(TASK)
    shutil.copytree(built_root / "bus", tmp_path / "bus")
    path = tmp_path / "bus" / "task_labels" / "malignancy.npy"
    labels = np.load(path)
    labels[0] ^= 1
    np.save(path, labels)
    stored, card = resolve_task(TASK, tmp_path)
    assert "they were made on other data: its fingerprint is" in refused(whole, stored, card)


def test_models_are_compared_on_the_same_samples_alone(predicted):
    first = predicted(TASK)
    check_same_samples(first, predicted(TASK, seed=4))
    check_same_samples(first, replace(first, samples=None, data=None, labels=None))
    swapped = first.samples[[1, 0, *range(2, len(first))]]
    for second, told in (
        (predicted(TASK, "val"), "the first are of bus/malignancy, test, the others of bus/malignancy, val"),
        (replace(first, samples=swapped), f"the samples differ, first in row 0: images/{first.samples[0]:06d}.tiff"),
        (replace(first, labels=1 - first.labels), "the labels differ, first in row 0"),
        (replace(first, data="0" * 64), "they were made on different data"),
        (replace(first, scores=first.scores[1:]), f"the first have {len(first)} samples, the others {len(first) - 1}"),
    ):
        with pytest.raises(PredictionsError) as caught:
            check_same_samples(first, second)
        assert told in str(caught.value)
