"""Random cases of all four kinds of task."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import medimeta as mm

BINARY, MULTICLASS, MULTILABEL, ORDINAL = (
    "bus/malignancy",
    "bus/case category",
    "cxr/disease labels",
    "dr_regular/Clarity",
)


class Case(NamedTuple):
    """Labels as stored, scores, and the same as one column for each output."""

    labels: np.ndarray
    scores: np.ndarray
    positive: np.ndarray
    columns: np.ndarray
    names: tuple[str, ...]


def _one_vs_rest(card, labels):
    """Which samples are positive, one column for each score."""
    if card.target is mm.TaskTarget.MULTILABEL:
        return labels == 1
    keys = [1] if card.target is mm.TaskTarget.BINARY else card.keys
    return np.stack([labels == key for key in keys], axis=1)


@st.composite
def _cases(draw, card, max_samples=20, highest=1.0):
    """Draw few samples, so that classes are often absent, and scores with many ties or with few.

    Those of several classes sum to 1: they are the pieces into which some cuts divide `steps`.
    """
    count = draw(st.integers(1, max_samples))
    steps = draw(st.sampled_from([2, 10, 1000]))
    multilabel = card.target is mm.TaskTarget.MULTILABEL
    keys = [0, 1] if multilabel else card.keys
    label_shape = (count, len(card.labels)) if multilabel else count
    score_shape = count if card.target is mm.TaskTarget.BINARY else (count, len(card.labels))
    labels = draw(arrays(np.int64, label_shape, elements=st.sampled_from(keys)))
    scores = draw(arrays(np.int64, score_shape, elements=st.integers(0, steps)))
    if card.target in (mm.TaskTarget.MULTICLASS, mm.TaskTarget.ORDINAL):
        scores = np.diff(np.sort(scores[:, 1:], axis=1), axis=1, prepend=0, append=steps)
    scores = np.minimum(scores / steps, highest)
    names = card.classes[1:] if card.target is mm.TaskTarget.BINARY else card.classes
    return Case(labels, scores, _one_vs_rest(card, labels), scores.reshape(count, -1), names)


@pytest.fixture(scope="session")
def cases():
    """Strategy of labels and scores of a task, given its card."""
    return _cases


@pytest.fixture(scope="session")
def one_vs_rest():
    """Which samples are positive, given a card and labels; one column for each score."""
    return _one_vs_rest


@pytest.fixture(scope="session")
def noisy():
    """Labels and scores of a model that is right more often than not."""

    def make(name, count=60, seed=0):
        card = mm.task(name)
        rng = np.random.default_rng(seed)
        if card.target is mm.TaskTarget.MULTILABEL:
            labels = rng.integers(0, 2, (count, 14))
            return labels, np.clip(0.3 * labels + 0.7 * rng.random((count, 14)), 0, 1)
        places = rng.integers(0, len(card.keys), count)
        scores = rng.dirichlet(np.ones(len(card.keys)), count) + np.eye(len(card.keys))[places] * 0.6
        scores /= scores.sum(axis=1, keepdims=True)
        return np.array(card.keys)[places], scores[:, 1] if card.target is mm.TaskTarget.BINARY else scores

    return make


@pytest.fixture(params=[BINARY, MULTICLASS, MULTILABEL, ORDINAL], scope="session")
def name(request):
    """A task of each kind."""
    return request.param
