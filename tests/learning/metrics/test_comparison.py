"""Two models on the same resamples."""

import json

import numpy as np
import pytest

import medimeta as mm
from medimeta.errors import MetricError
from medimeta.learning.metrics import FIGURES, compare, evaluate


@pytest.fixture
def models(noisy):
    """Labels, the scores of a model, and those of one that adds a little noise."""

    def make(name, noise=0.2):
        labels, first = noisy(name, count=80)
        second = np.clip((1 - noise) * first + noise * np.random.default_rng(9).random(first.shape), 0, 1)
        if mm.task(name).target in (mm.TaskTarget.MULTICLASS, mm.TaskTarget.ORDINAL):
            second /= second.sum(axis=1, keepdims=True)
        return labels, first, second

    return make


def test_both_models_are_evaluated_as_alone(name, models):
    labels, first, second = models(name)
    options = {"resamples": 60, "confidence": 0.9, "absent": "zero", "seed": 3, "groups": [n // 2 for n in range(80)]}
    found = compare(name, labels, first, second, **options)
    assert found.first == evaluate(name, labels, first, **options)
    assert found.second == evaluate(name, labels, second, **options)
    there = [figure for figure in FIGURES if getattr(found.first, figure) is not None]
    assert list(found.differences) == there
    for figure in there:
        difference = getattr(found.first, figure) - getattr(found.second, figure)
        assert found.differences[figure].value == pytest.approx(difference, abs=1e-12)
    for label, each in found.per_class.items():
        difference = found.first.per_class[label].auroc - found.second.per_class[label].auroc
        assert each.value == pytest.approx(difference, abs=1e-12)


def test_the_order_of_models_is_the_sign(name, models):
    labels, first, second = models(name)
    forwards, backwards = (compare(name, labels, *pair, resamples=60) for pair in ((first, second), (second, first)))
    for figure, there in forwards.differences.items():
        back = backwards.differences[figure]
        assert (there.value, there.p_value) == (pytest.approx(-back.value, abs=1e-12), pytest.approx(back.p_value))
        assert there.interval == pytest.approx(tuple(-bound for bound in reversed(back.interval)), abs=1e-12)


def test_a_model_does_not_differ_from_itself(name, models):
    labels, first, _ = models(name)
    for difference in compare(name, labels, first, first, resamples=50).differences.values():
        assert (difference.value, difference.interval, difference.p_value) == (0, (0, 0), 1)


def test_pairs_tell_more_than_two_intervals(models):
    """The models are alike and err on the same samples: each alone is far less certain than their difference."""
    labels, first, second = models("bus/malignancy", noise=0.05)
    found = compare("bus/malignancy", labels, first, second, resamples=400)
    low, high = found.differences["auroc"].interval
    alone = [result.auroc_interval for result in (found.first, found.second)]
    assert high - low < 0.5 * min(above - below for below, above in alone)


def test_a_better_model_is_told_and_an_equal_one_is_not():
    """Of 200 samples, one model orders all pairs right and one 3 of 4; the equals err in halves of their own."""
    labels = np.tile([0, 0, 1, 1], 50)
    right, wrong = np.tile([0.1, 0.2, 0.8, 0.9], 50), np.tile([0.1, 0.6, 0.4, 0.9], 50)
    better = compare("bus/malignancy", labels, right, wrong, resamples=500).differences["auroc"]
    assert (better.value, better.p_value) == (0.25, pytest.approx(2 / 501))
    halves = np.arange(200) < 100
    equal = compare(
        "bus/malignancy", labels, np.where(halves, right, wrong), np.where(halves, wrong, right), resamples=500
    )
    assert equal.differences["accuracy"].value == 0
    assert equal.differences["accuracy"].p_value > 0.5


def test_what_is_not_defined_has_no_difference():
    found = compare("bus/malignancy", [1, 1, 1], [0.2, 0.9, 0.8], [0.6, 0.7, 0.8], resamples=20)
    auroc = found.differences["auroc"]
    assert (auroc.value, auroc.interval, auroc.p_value) == (None, None, None)
    assert found.differences["accuracy"].value == pytest.approx(-1 / 3)
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert set(plain) == {"first", "second", "differences", "per_class"}


def test_no_resamples_leave_the_difference_alone():
    found = compare("bus/malignancy", [0, 1], [0.1, 0.9], [0.9, 0.1], resamples=0).differences["auroc"]
    assert (found.value, found.interval, found.p_value) == (1, None, None)


def test_what_is_wrong_with_either_model_is_told_by_its_name():
    with pytest.raises(MetricError) as caught:
        compare(mm.task("bus/malignancy"), [0, 1], [0.1, np.nan], [0.1, 0.2, 0.3], seed=-1)
    problems = str(caught.value)
    assert "first_scores of 1 samples are not finite, the first is sample 1" in problems
    assert "second_scores must have the shape (2,), got (3,)" in problems
    assert "seed must be a whole number from 0 to 9,223,372,036,854,775,807, got -1" in problems
