"""Figures are scikit-learn's where it has any, and follow the named rule where it has none."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, roc_auc_score

import medimeta as mm
from medimeta.errors import MetricError, UnknownNameError
from medimeta.learning.metrics import evaluate, macro_auroc

BINARY, MULTICLASS, MULTILABEL, ORDINAL = (
    "bus/malignancy",
    "bus/case category",
    "cxr/disease labels",
    "dr_regular/Clarity",
)
GRADES = [1, 4, 6, 8, 10]


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_auroc_is_that_of_scikit_learn_by_either_rule(name, cases, data):
    card = mm.task(name)
    labels, scores, positive, columns, names = data.draw(cases(card))
    areas = {
        label: roc_auc_score(positive[:, column], columns[:, column])
        for column, label in enumerate(names)
        if 0 < positive[:, column].sum() < len(labels)
    }
    result = evaluate(name, labels, scores, resamples=0)
    found = {label: each.auroc for label, each in result.per_class.items() if each.auroc is not None}
    assert found == pytest.approx(areas, abs=1e-12)
    assert result.absent_classes == tuple(label for label in names if label not in areas)
    mean = np.mean(list(areas.values())) if areas else None
    assert result.auroc == (None if mean is None else pytest.approx(mean, abs=1e-12))
    assert result.auroc_by_rule["zero"] == pytest.approx(sum(areas.values()) / len(names), abs=1e-12)
    assert macro_auroc(card, labels, scores) == pytest.approx(
        math.nan if mean is None else mean, abs=1e-12, nan_ok=True
    )


def test_classes_are_named_and_counted(name, one_vs_rest):
    card = mm.task(name)
    rng = np.random.default_rng(0)
    multilabel = name == MULTILABEL
    labels = rng.choice([0, 1] if multilabel else card.keys, (40, 14) if multilabel else 40)
    scores = rng.random(40) if name == BINARY else rng.dirichlet(np.ones(len(card.labels)), 40)
    per_class = evaluate(name, labels, scores, resamples=0).per_class
    names = card.classes[1:] if name == BINARY else card.classes
    counts = dict(zip(names, one_vs_rest(card, labels).sum(axis=0), strict=True))
    assert {label: each.positives for label, each in per_class.items()} == counts
    assert {each.positives + each.negatives for each in per_class.values()} == {40}


def test_scikit_learn_agrees_on_the_whole_multi_class_figure():
    rng = np.random.default_rng(1)
    labels, scores = rng.choice(GRADES, 60), rng.dirichlet(np.ones(5), 60)
    result = evaluate(ORDINAL, labels, scores, resamples=0)
    assert result.auroc == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr", average="macro"))
    assert result.accuracy == pytest.approx(accuracy_score(labels, np.array(GRADES)[scores.argmax(axis=1)]))


def test_a_class_without_positives_is_left_out_or_counts_zero():
    labels = [0, 0, 1, 1]
    scores = [[0.8, 0.2, 0.0], [0.5, 0.4, 0.1], [0.3, 0.3, 0.4], [0.1, 0.9, 0.0]]
    skip, zero = (evaluate(MULTICLASS, labels, scores, absent=rule, resamples=0) for rule in ("skip", "zero"))
    assert [each.auroc for each in skip.per_class.values()] == [1, 0.75, None]
    assert skip.auroc == pytest.approx(1.75 / 2)
    assert zero.auroc == pytest.approx(1.75 / 3)
    assert skip.auroc_by_rule == zero.auroc_by_rule == {"skip": skip.auroc, "zero": zero.auroc}
    assert (skip.absent, zero.absent) == ("skip", "zero")
    assert skip.absent_classes == zero.absent_classes == ("malignant",)
    assert (skip.per_class["malignant"].positives, skip.per_class["malignant"].negatives) == (0, 4)


def test_a_label_that_every_sample_has_is_absent_too():
    labels = np.zeros((4, 14), dtype=int)
    labels[:, 2] = 1
    labels[:2, 5] = 1
    scores = np.full((4, 14), 0.2)
    scores[0, 5] = 0.9
    result = evaluate(MULTILABEL, labels, scores, resamples=0)
    assert set(result.per_class) - set(result.absent_classes) == {"Nodule"}
    assert result.auroc_by_rule == {"skip": pytest.approx(0.75), "zero": pytest.approx(0.75 / 14)}


def test_grades_that_nobody_has_are_absent():
    scores = [[0.9, 0, 0, 0, 0.1], [0.2, 0, 0, 0, 0.8], [0.3, 0, 0, 0, 0.7]]
    result = evaluate(ORDINAL, [1, 10, 10], scores, resamples=0)
    assert result.absent_classes == mm.task(ORDINAL).classes[1:4]
    assert result.auroc_by_rule == {"skip": 1, "zero": pytest.approx(2 / 5)}


@pytest.mark.parametrize(("name", "scores"), [(BINARY, [0.2, 0.9]), (MULTICLASS, [[0.1, 0.8, 0.1], [0.3, 0.4, 0.3]])])
def test_one_class_alone_has_no_auroc_but_an_accuracy(name, scores):
    result = evaluate(name, [1, 1], scores, resamples=50)
    assert (result.auroc, result.auroc_interval) == (None, None)
    assert result.auroc_by_rule == {"skip": None, "zero": 0}
    assert set(result.absent_classes) == set(result.per_class)
    assert result.accuracy == (0.5 if name == BINARY else 1)
    assert math.isnan(macro_auroc(mm.task(name), np.array([1, 1]), np.array(scores)))


def test_accuracy_of_a_binary_task_counts_one_half_as_positive():
    assert evaluate(BINARY, [1, 0, 1, 0], [0.5, 0.49, 0.2, 0.7], resamples=0).accuracy == 0.5


def test_accuracy_of_grades_takes_the_likeliest():
    likely = np.eye(5)[[0, 1, 2, 3, 4, 0]]
    assert evaluate(ORDINAL, [1, 4, 6, 8, 10, 10], likely, resamples=0).accuracy == pytest.approx(5 / 6)


def test_accuracy_of_a_multi_label_task_is_micro():
    labels = np.zeros((2, 14), dtype=int)
    labels[0, :3] = 1
    scores = np.zeros((2, 14))
    scores[0, :2] = 0.5
    scores[1, 4:8] = 0.9
    result = evaluate(MULTILABEL, labels, scores, resamples=0)
    assert result.accuracy == pytest.approx(23 / 28)
    assert result.accuracy == pytest.approx(accuracy_score(labels.ravel(), scores.ravel() >= 0.5))


def test_a_binary_score_may_be_a_column():
    labels, scores = [0, 1, 1, 0], np.array([0.1, 0.3, 0.9, 0.4])
    assert evaluate(BINARY, labels, scores[:, None]) == evaluate(BINARY, labels, scores)


def test_what_float32_rounds_is_a_probability_still():
    scores = np.array([0, 1 + 2**-23, 0.7, -(2**-30)])
    assert evaluate(BINARY, [0, 1, 1, 0], scores, resamples=0).expected_calibration_error == pytest.approx(0.3 / 4)


def test_a_card_is_taken_like_its_name():
    labels, scores = [0, 1, 1, 0], [0.1, 0.3, 0.9, 0.4]
    assert evaluate(mm.task(BINARY), labels, scores) == evaluate(BINARY, labels, scores)
    with pytest.raises(UnknownNameError, match="malignancy"):
        evaluate("bus/malignancies", labels, scores)


def test_results_are_ready_for_json():
    result = evaluate(MULTICLASS, [0, 0, 1], [[0.8, 0.2, 0], [0.5, 0.5, 0], [0.1, 0.9, 0]], resamples=20)
    plain = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    absent = plain["per_class"]["malignant"]
    assert {name for name, value in absent.items() if value is not None} == {
        *("positives", "negatives", "specificity", "specificity_interval")
    }
    assert (absent["positives"], absent["negatives"], absent["specificity"]) == (0, 3, 1)
    assert (plain["auroc"], plain["auroc_interval"]) == (result.auroc, list(result.auroc_interval))


def test_intervals_hold_the_figure_and_repeat_with_the_seed(name, noisy):
    labels, scores = noisy(name)
    result = evaluate(name, labels, scores, resamples=200, seed=3)
    for figure, (low, high) in (
        (result.auroc, result.auroc_interval),
        (result.accuracy, result.accuracy_interval),
    ):
        assert 0 <= low < figure < high <= 1
        assert high - low < 0.4
    assert evaluate(name, labels, scores, resamples=200, seed=3) == result
    other = evaluate(name, labels, scores, resamples=200, seed=4)
    assert other.auroc_interval != result.auroc_interval
    assert (other.auroc, other.accuracy) == (result.auroc, result.accuracy)


def test_less_confidence_is_a_narrower_interval(noisy):
    labels, scores = noisy(BINARY)
    wide, narrow = (evaluate(BINARY, labels, scores, confidence=level).auroc_interval for level in (0.95, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_interval_is_about_as_wide_as_hanley_and_mcneil_say(noisy):
    labels, scores = noisy(BINARY, count=400)
    result = evaluate(BINARY, labels, scores, resamples=2000)
    area, positives = result.auroc, int(labels.sum())
    negatives = len(labels) - positives
    variance = area * (1 - area)
    variance += (positives - 1) * (area / (2 - area) - area**2) + (negatives - 1) * (2 * area**2 / (1 + area) - area**2)
    low, high = result.auroc_interval
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(variance / (positives * negatives)), rel=0.25)


def test_no_resamples_make_no_intervals():
    result = evaluate(BINARY, [0, 1], [0.1, 0.9], resamples=0)
    assert (result.auroc_interval, result.accuracy_interval, result.resamples) == (None, None, 0)


def test_the_rarest_class_is_in_every_resample():
    """Were it to vanish from one, it would count 0 there and pull the interval down."""
    labels = np.array([0] * 30 + [1] * 30 + [2])
    result = evaluate(MULTICLASS, labels, np.eye(3)[labels], absent="zero", resamples=300)
    assert result.auroc_interval == (1, 1)


def test_a_label_that_vanishes_from_a_resample_is_absent_there():
    """The samples of label 0 are drawn within labels 1 and 2, which are as rare, so that it may be left out."""
    labels = np.zeros((6, 14), dtype=int)
    labels[[0, 1], 0] = labels[[0, 2], 1] = labels[[1, 3], 2] = 1
    scores = labels * 0.9
    skip, zero = (evaluate(MULTILABEL, labels, scores, absent=rule, resamples=300) for rule in ("skip", "zero"))
    assert skip.auroc_interval == (1, 1)
    assert zero.auroc_interval == (pytest.approx(2 / 14), pytest.approx(3 / 14))


def test_images_of_a_patient_are_drawn_together():
    """Of each patient's images one half is right and one wrong, so half is right however patients are drawn."""
    sizes = [1, 2, 1, 3, 1, 1, 4, 1, 2, 2, 1, 5]
    labels, scores = np.repeat([0, 1], 2 * sum(sizes)), np.array([0.1, 0.8] * sum(sizes) + [0.9, 0.3] * sum(sizes))
    patients = np.repeat(np.arange(24), 2 * np.array(sizes * 2))
    order = np.random.default_rng(0).permutation(len(labels))
    labels, scores, patients = labels[order], scores[order], patients[order]
    low, high = evaluate(BINARY, labels, scores, resamples=100).accuracy_interval
    assert low < 0.45 < 0.55 < high
    assert evaluate(BINARY, labels, scores, resamples=100, groups=patients).accuracy_interval == (0.5, 0.5)


def test_resamples_of_patients_are_whole_patients():
    """With one patient of each class, a resample has both or no AUROC."""
    labels, scores, patients = [0, 0, 1, 1], [0.1, 0.6, 0.5, 0.9], ["a", "a", "b", "b"]
    result = evaluate(BINARY, labels, scores, resamples=200, groups=patients)
    assert result.auroc == 0.75
    assert result.auroc_interval == (0.75, 0.75)
    only = evaluate(BINARY, labels, scores, resamples=200, groups=["a"] * 4)
    assert (only.auroc_interval, only.accuracy_interval) == ((0.75, 0.75), (only.accuracy, only.accuracy))


def test_patients_may_be_named_by_anything_that_compares_equal(noisy):
    labels, scores = noisy(BINARY, count=8)
    numbers = [1, 1, 2, 2, 3, 3, 4, 4]
    expected = evaluate(BINARY, labels, scores, groups=numbers)
    assert evaluate(BINARY, labels, scores, groups=[f"p{number}" for number in numbers]) == expected
    assert evaluate(BINARY, labels, scores, groups=[("hospital", number) for number in numbers]) == expected


TWO_BY_THREE = np.full((2, 3), 1 / 3)


@pytest.mark.parametrize(("name", "labels"), [(MULTICLASS, [0, 1, 2]), (ORDINAL, [1, 10, 4])])
def test_rows_that_do_not_sum_to_1_are_refused_unless_each_class_is_scored_for_itself(name, labels):
    """Confidence would mean nothing, and a row with a larger sum would rank higher for each of its classes."""
    count = len(mm.task(name).labels)
    right = np.random.default_rng(0).dirichlet(np.ones(count), 3)
    wrong = right.copy()
    wrong[1:] = 0.9
    told = rf"scores of 2 samples do not sum to 1 .* sample 1: expected 1 within {0.005 * count}, got {0.9 * count:.4g}"
    with pytest.raises(MetricError, match=rf"{told}; apply the softmax to logits first.* one_vs_rest=True"):
        evaluate(name, labels, wrong)
    with pytest.raises(MetricError, match="second_scores of 2 samples do not sum to 1"):
        mm.compare(name, labels, right, wrong)
    assert evaluate(name, labels, wrong, resamples=0, one_vs_rest=True).samples == 3
    assert mm.compare(name, labels, right, wrong, resamples=0, one_vs_rest=True).second.samples == 3


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), concentration=st.sampled_from([0.01, 1, 100]))
def test_what_rounding_leaves_of_probabilities_is_evaluated(seed, concentration):
    """Of any model: float16, bfloat16 (8 bits of precision), float32, and tables with two decimals."""
    scores = np.random.default_rng(seed).dirichlet(np.full(5, concentration), 10)
    bfloat16 = torch.from_numpy(scores).bfloat16().double().numpy()
    for rounded in (scores.astype(np.float16), scores.astype(np.float32), bfloat16, scores.round(2)):
        assert evaluate(ORDINAL, GRADES * 2, rounded, resamples=0).samples == 10


def test_rows_of_other_kinds_of_task_need_not_sum_to_1():
    assert evaluate(MULTILABEL, np.eye(14, dtype=int), np.full((14, 14), 0.9), resamples=0).samples == 14


@pytest.mark.parametrize(
    ("name", "labels", "scores", "options", "told"),
    [
        (BINARY, [0, 1], [0.1, 0.2, 0.3], {}, r"scores must have the shape \(2,\), got \(3,\)"),
        (BINARY, [0, 1], TWO_BY_THREE, {}, r"scores must have the shape \(2,\), got \(2, 3\)"),
        (MULTICLASS, [0, 1], [0.1, 0.2], {}, r"scores must have the shape \(2, 3\), got \(2,\)"),
        (ORDINAL, [1, 10], TWO_BY_THREE, {}, r"scores must have the shape \(2, 5\), got \(2, 3\)"),
        (
            MULTILABEL,
            [[0, 1]],
            np.zeros((1, 14)),
            {},
            r"labels must be integers of shape \(1, 14\), got int64 \(1, 2\)",
        ),
        (MULTICLASS, [[0], [1]], TWO_BY_THREE, {}, r"labels must be integers of shape \(2,\), got int64 \(2, 1\)"),
        (MULTICLASS, [0.0, 1.0], TWO_BY_THREE, {}, "labels must be integers .* got float64"),
        (MULTICLASS, [0, 1], [[0.1, 0.9, 0.0], [0.3]], {}, "scores"),
        (BINARY, [0, 1], ["low", "high"], {}, "scores"),
        (BINARY, [0, 1], [0.1, math.nan], {}, "scores of 1 samples are not finite, the first is sample 1"),
        (MULTICLASS, [0, 1], [[0.1, math.inf, math.nan]] * 2, {}, "scores of 2 samples are not finite, .* sample 0"),
        (BINARY, [0, 1], [-3.5, 4.25], {}, r"probabilities in 0..1, got -3.5 to 4.25; apply the sigmoid or softmax"),
        (BINARY, [0, 1], [0.5, 1.5], {}, r"probabilities in 0..1, got 0.5 to 1.5"),
        (BINARY, [0, 2], [0.1, 0.2], {}, r"labels hold \[2\], which the task does not know"),
        (ORDINAL, [0, 10], np.full((2, 5), 0.2), {}, r"labels hold \[0\], which the task does not know"),
        (MULTILABEL, np.full((1, 14), 3), np.zeros((1, 14)), {}, r"labels hold \[3\]"),
        (BINARY, [], [], {}, "there are no samples"),
        (BINARY, 1, 0.5, {}, "there are no samples"),
        (BINARY, [0, 1], [0.1, 0.2], {"absent": "omit"}, "absent must be 'skip' or 'zero', got 'omit'"),
        (BINARY, [0, 1], [0.1, 0.2], {"resamples": -1}, "resamples must be a whole number from 0 to"),
        (BINARY, [0, 1], [0.1, 0.2], {"confidence": 1.0}, "confidence must be a number between 0 and 1"),
        (BINARY, [0, 1], [0.1, 0.2], {"groups": ["a"]}, "one group a sample, got 1 for 2 samples"),
    ],
)
def test_what_cannot_be_evaluated_is_told(name, labels, scores, options, told):
    with pytest.raises(MetricError, match=told) as caught:
        evaluate(name, labels, scores, **options)
    assert str(caught.value).startswith(f"{name}: cannot be evaluated:\n  - ")


def test_all_problems_are_told_at_once():
    with pytest.raises(MetricError) as caught:
        evaluate(BINARY, [0, 7], [0.5, 2.0], absent="never", confidence=2, groups=["a", "b", "c"])
    problems = str(caught.value).splitlines()[1:]
    words = ("absent must be", "confidence must", "labels hold [7]", "probabilities", "got 3 for 2 samples")
    assert all(word in problem for word, problem in zip(words, problems, strict=True))


def test_more_resamples_than_memory_holds_are_refused():
    with pytest.raises(MetricError, match="resamples must be a whole number from 0 to 1,000,000, got 1000000000000000"):
        mm.evaluate("bus/malignancy", [0, 1], [0.1, 0.9], resamples=10**15)
