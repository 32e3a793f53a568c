"""Resamples are drawn as they should be, and their figures are those of the samples repeated."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import medimeta as mm
from medimeta.learning.metrics import FIGURES, evaluate, figures
from medimeta.learning.metrics.bootstrap import Units, group_numbers, interval, p_value
from medimeta.store.table import class_indices


@pytest.mark.parametrize("grouped", [False, True])
def test_figures_of_resamples_are_those_of_repeated_samples(name, noisy, grouped):
    """The naive way: repeat each sample as often as it was drawn, and evaluate that anew."""
    labels, scores = noisy(name, count=30)
    groups = np.random.default_rng(5).integers(0, 12, 30).tolist() if grouped else None
    level, resamples = 0.8, 25
    card = mm.task(name)
    known = class_indices(card, labels)
    numbers = None if groups is None else group_numbers(groups)
    weights = Units(30, figures.members(card, known), numbers).weights(7, range(resamples))
    naive = [
        evaluate(name, np.repeat(labels, row, axis=0), np.repeat(scores, row, axis=0), resamples=0) for row in weights
    ]
    result = evaluate(name, labels, scores, resamples=resamples, confidence=level, groups=groups, seed=7)
    for figure in FIGURES:
        values = np.array([getattr(each, figure) for each in naive], dtype=float)  # None becomes NaN
        expected = interval(values, level)
        found = getattr(result, f"{figure}_interval")
        assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))
    for label, found in result.per_class.items():
        for figure in figures.PER_CLASS:
            values = np.array([getattr(each.per_class[label], figure) for each in naive], dtype=float)
            assert getattr(found, f"{figure}_interval") == pytest.approx(interval(values, level), abs=1e-12)


@st.composite
def classes_and_groups(draw):
    count = draw(st.integers(1, 30))
    places = st.lists(st.integers(0, count - 1), unique=True)
    classes = [np.array(sorted(each), dtype=np.int64) for each in draw(st.lists(places, min_size=1, max_size=4))]
    groups = draw(st.none() | st.lists(st.integers(0, 6), min_size=count, max_size=count))
    return count, classes, groups


@settings(deadline=None, max_examples=60)
@given(classes_and_groups(), st.integers(0, 2**63))
def test_a_resample_has_as_many_units_and_keeps_those_of_a_patient_together(case, seed):
    count, classes, groups = case
    numbers = None if groups is None else group_numbers(groups)
    weights = Units(count, classes, numbers).weights(seed, range(3))
    assert weights.shape == (3, count)
    assert weights.min() >= 0
    if numbers is None:
        assert (weights.sum(axis=1) == count).all()
        return
    units = [np.flatnonzero(numbers == number) for number in range(numbers.max() + 1)]
    assert all((weights[:, unit] == weights[:, unit[:1]]).all() for unit in units)
    assert (sum(weights[:, unit[0]] for unit in units) == len(units)).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 1000))
def test_each_class_is_drawn_as_often_as_it_is_there(labels, seed):
    known = np.array(labels)
    classes = [np.flatnonzero(known == place) for place in range(4)]
    weights = Units(len(known), classes).weights(seed, range(2))
    for members in classes:
        assert (weights[:, members].sum(axis=1) == len(members)).all()


def test_the_rarest_label_of_a_patient_is_never_lost():
    """Of 40 patients only one has label 0, which would be left out of one resample in three."""
    groups = np.repeat(np.arange(40), 3)
    common = np.flatnonzero(groups % 2 == 0)
    weights = Units(120, [np.array([7]), common], groups).weights(0, range(200))
    assert (weights[:, 7] == 1).all()


def test_samples_are_drawn_about_evenly():
    weights = Units(10, [np.arange(10)]).weights(3, range(4000))
    assert weights.mean(axis=0) == pytest.approx(np.ones(10), abs=5 * math.sqrt(0.9 / 4000))
    assert weights.var() == pytest.approx(0.9, rel=0.05)  # binomial, of 10 draws at 1/10


def test_a_resample_is_the_same_whichever_are_drawn_with_it():
    units = Units(20, [np.arange(20)])
    together = units.weights(5, range(6))
    np.testing.assert_array_equal(units.weights(5, [4, 2]), together[[4, 2]])
    assert (units.weights(6, range(6)) != together).any()


def test_work_in_blocks_and_threads_gives_the_same_as_all_at_once(name, noisy, monkeypatch):
    labels, scores = noisy(name)
    whole = evaluate(name, labels, scores, resamples=40)
    monkeypatch.setattr(figures, "_BLOCK_VALUES", 200)
    assert evaluate(name, labels, scores, resamples=40) == whole


def test_a_patient_who_is_not_told_is_one_of_its_own():
    groups = ["a", None, math.nan, "a", None, math.nan]
    assert group_numbers(groups).tolist() == [0, 1, 2, 0, 3, 4]
    assert group_numbers(np.array([3.0, np.nan, 3.0])).tolist() == [0, 1, 0]
    assert group_numbers([0, 1, 2, (0,)]).tolist() == [0, 1, 2, 3]


def test_an_interval_leaves_out_where_there_is_no_figure():
    values = np.append(np.arange(101.0), np.full(50, np.nan))
    assert interval(values, 0.9) == pytest.approx((5, 95))
    assert interval(np.full(3, np.nan), 0.9) is None


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.0] * 9, 1.0),
        ([1.0] * 99, 0.02),
        ([1.0] * 94 + [-1.0] * 5, 0.12),
        ([-1.0] * 94 + [1.0] * 5, 0.12),
        ([1.0] * 99 + [math.nan] * 50, 0.02),
        ([math.nan], None),
    ],
)
def test_the_p_value_is_twice_the_smaller_tail(differences, expected):
    assert p_value(np.array(differences)) == (None if expected is None else pytest.approx(expected))
