"""The areas under each row of weights are scikit-learn's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from medimeta.learning.metrics.ranking import Ranking


@st.composite
def weighted_samples(draw):
    """Labels, scores with many ties or few, and integer weights, 0 among them."""
    count = draw(st.integers(1, 25))
    steps = draw(st.sampled_from([1, 4, 1000]))
    positive = draw(arrays(bool, count))
    scores = draw(arrays(np.int64, count, elements=st.integers(0, steps))) / steps
    weights = draw(arrays(np.int32, (4, count), elements=st.integers(0, 3)))
    return positive, scores, weights


@settings(deadline=None, max_examples=50)
@given(weighted_samples())
def test_a_weight_counts_like_repeating_the_sample(case):
    positive, scores, weights = case
    for row, auroc, precision in zip(weights, *Ranking(positive, scores).areas(weights), strict=True):
        repeated, values = np.repeat(positive, row), np.repeat(scores, row)
        if 0 < repeated.sum() < len(repeated):
            assert auroc == pytest.approx(roc_auc_score(repeated, values), abs=1e-12)
        else:
            assert math.isnan(auroc)
        if repeated.any():
            assert precision == pytest.approx(average_precision_score(repeated, values), abs=1e-12)
        else:
            assert math.isnan(precision)


@settings(deadline=None, max_examples=50)
@given(weighted_samples())
def test_the_sign_of_the_scores_mirrors_the_roc_area(case):
    positive, scores, weights = case
    forwards, backwards = (Ranking(positive, signed).areas(weights)[0] for signed in (scores, -scores))
    np.testing.assert_allclose(forwards + backwards, np.where(np.isnan(forwards), np.nan, 1), atol=1e-12)


def test_equal_scores_give_one_half_and_the_share_of_positives():
    ranking = Ranking(np.array([True, False, False]), np.full(3, 0.3))
    auroc, precision = ranking.areas(np.ones((2, 3), dtype=np.int32))
    assert (auroc.tolist(), precision.tolist()) == ([0.5, 0.5], pytest.approx([1 / 3, 1 / 3]))


def test_no_rows_of_weights_give_no_areas():
    auroc, precision = Ranking(np.array([True, False]), np.array([0.1, 0.2])).areas(np.empty((0, 2), dtype=np.int32))
    assert auroc.shape == precision.shape == (0,)
