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
        scores = rng.random((len(samples), len(card.labels)))
        if card.target is mm.TaskTarget.BINARY:
            scores = scores[:, 0]
        elif card.target is not mm.TaskTarget.MULTILABEL:
            scores /= scores.sum(axis=1, keepdims=True)
        subjects = stored.subjects()
        fields = {
            "data": stored.fingerprint(),
            "samples": samples,
            "labels": stored.labels(card)[samples],
            "scores": scores,
            "subjects": None if subjects is None else subjects[samples],
        }
        return Predictions(task=card.id, split=split, **fields | changes)

    return make
