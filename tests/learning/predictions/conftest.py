"""Predictions of the test splits of stored datasets."""

import numpy as np
import pytest

import medimeta as mm
from medimeta.learning.predictions import Predictions
from medimeta.store.reader import resolve_task


@pytest.fixture
def store(built_root):
    """Open the dataset of a task: dataset and card."""
    return lambda name: resolve_task(name, built_root)


@pytest.fixture
def predicted(store):
    """Predictions for a split, random but for the samples."""

    def make(name, split="test", seed=0, **changes):
        stored, card = store(name)
        samples = stored.split(split)
        rng = np.random.default_rng(seed)
        outputs = () if card.target is mm.TaskTarget.BINARY else (len(card.labels),)
        subjects = stored.subjects()
        fields = {
            "data": stored.fingerprint(),
            "samples": samples,
            "labels": stored.labels(card)[samples],
            "scores": rng.random((len(samples), *outputs)),
            "subjects": None if subjects is None else subjects[samples],
        }
        return Predictions(task=card.id, split=split, **fields | changes)

    return make
