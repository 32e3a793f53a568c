"""The area under each row of weights is scikit-learn's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from medimeta.learning import auroc
from medimeta.learning.auroc import weighted_auroc


@st.composite
def weighted_samples(draw, rows=4):
    """Labels, scores with many ties or few, and integer weights, 0 among them."""
    count = draw(st.integers(1, 25))
    steps = draw(st.sampled_from([1, 4, 1000]))
    positive = draw(arrays(bool, count))
    scores = draw(arrays(np.int64, count, elements=st.integers(0, steps))) / steps
    weights = draw(arrays(np.int64, (rows, count), elements=st.integers(0, 3))).astype(float)
    return positive, scores, weights


@settings(deadline=None, max_examples=80)
@given(weighted_samples())
def test_a_weight_counts_like_repeating_the_sample(case):
    positive, scores, weights = case
    for row, area in zip(weights, weighted_auroc(positive, scores, weights), strict=True):
        repeated = np.repeat(positive, row.astype(int))
        if 0 < repeated.sum() < len(repeated):
            assert area == pytest.approx(roc_auc_score(repeated, np.repeat(scores, row.astype(int))), abs=1e-12)
        else:
            assert math.isnan(area)


@settings(deadline=None, max_examples=80)
@given(weighted_samples(rows=1), st.floats(0.01, 100))
def test_fractions_are_weights_too_and_their_scale_does_not_matter(case, scale):
    positive, scores, weights = case
    weights = weights + 0.25
    area = weighted_auroc(positive, scores, weights * scale)[0]
    if 0 < positive.sum() < len(positive):
        assert area == pytest.approx(roc_auc_score(positive, scores, sample_weight=weights[0]), abs=1e-12)
    else:
        assert math.isnan(area)


@settings(deadline=None, max_examples=80)
@given(weighted_samples())
def test_the_sign_of_the_scores_mirrors_the_area(case):
    positive, scores, weights = case
    forwards, backwards = weighted_auroc(positive, scores, weights), weighted_auroc(positive, -scores, weights)
    np.testing.assert_allclose(forwards + backwards, np.where(np.isnan(forwards), np.nan, 1), atol=1e-12)


def test_equal_scores_give_one_half():
    assert weighted_auroc(np.array([True, False, False]), np.full(3, 0.3), np.ones((2, 3))).tolist() == [0.5, 0.5]


def test_no_rows_of_weights_give_no_areas():
    assert weighted_auroc(np.array([True, False]), np.array([0.1, 0.2]), np.empty((0, 2))).shape == (0,)


def test_work_in_blocks_gives_the_same_as_all_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    positive, scores, weights = rng.random(40) < 0.3, rng.integers(0, 9, 40) / 9, rng.integers(0, 4, (23, 40)) * 1.0
    whole = weighted_auroc(positive, scores, weights)
    monkeypatch.setattr(auroc, "_BLOCK_VALUES", 200)
    np.testing.assert_array_equal(weighted_auroc(positive, scores, weights), whole)
