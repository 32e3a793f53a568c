"""Figures are those of scikit-learn and torchmetrics, wherever these define them."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

import medimeta as mm
from medimeta.learning.metrics import evaluate
from medimeta.store.table import class_indices

RULES = ("skip", "zero")


def close(value):
    return pytest.approx(value, abs=1e-12)


def defined(values):
    """None in place of NaN, as results have it."""
    return [None if math.isnan(value) else close(value) for value in values]


def of_classes(result, figure):
    return [getattr(each, figure) for each in result.per_class.values()]


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_figures_of_classes_are_those_of_scikit_learn(name, cases, data):
    """Each class is a binary task: recall and specificity are the recalls of 1 and 0; without any, there is none."""
    card = mm.task(name)
    case = data.draw(cases(card))
    single = card.target in (mm.TaskTarget.MULTICLASS, mm.TaskTarget.ORDINAL)
    said = np.eye(len(card.keys))[case.scores.argmax(axis=1)] == 1 if single else case.columns >= 0.5
    results = {rule: evaluate(name, case.labels, case.scores, absent=rule, resamples=0) for rule in RULES}
    pairs = list(zip(case.positive.T, case.columns.T, said.T, strict=True))
    precisions = [
        sk.average_precision_score(positive, column) if positive.any() else math.nan for positive, column, _ in pairs
    ]
    result = results["skip"]
    assert of_classes(result, "average_precision") == defined(precisions)
    for figure, label in (("recall", 1), ("specificity", 0)):
        recalls = [
            sk.recall_score(positive, predicted, pos_label=label) if (positive == label).any() else math.nan
            for positive, _, predicted in pairs
        ]
        assert of_classes(result, figure) == defined(recalls)
    known = [value for value in precisions if not math.isnan(value)]
    assert results["skip"].average_precision == (close(np.mean(known)) if known else None)
    assert results["zero"].average_precision == close(sum(known) / len(precisions))
    assert result.average_precision_by_rule == {rule: results[rule].average_precision for rule in RULES}


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_figures_of_decisions_are_those_of_scikit_learn(name, cases, data):
    card = mm.task(name)
    case = data.draw(cases(card))
    result = evaluate(name, case.labels, case.scores, resamples=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes that are predicted and not there, or one class alone
        if card.target is mm.TaskTarget.MULTILABEL:
            said = case.scores >= 0.5
            balanced = [sk.balanced_accuracy_score(*pair) for pair in zip(case.labels.T, said.T, strict=True)]
            assert result.accuracy == close(sk.accuracy_score(case.labels.ravel(), said.ravel()))
            assert result.balanced_accuracy == close(np.mean(balanced))
        else:
            known = class_indices(card, case.labels)
            said = case.scores >= 0.5 if card.outputs == 1 else case.scores.argmax(axis=1)
            assert result.accuracy == close(sk.accuracy_score(known, said))
            assert result.balanced_accuracy == close(sk.balanced_accuracy_score(known, said))
        if card.target is mm.TaskTarget.ORDINAL:
            places = np.arange(len(card.keys))
            kappa = sk.cohen_kappa_score(known, said, labels=places, weights="quadratic")
            assert [result.quadratic_weighted_kappa] == defined([kappa])
            assert result.mean_absolute_error == close(sk.mean_absolute_error(known, said))
        else:
            assert (result.quadratic_weighted_kappa, result.mean_absolute_error) == (None, None)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_figures_are_those_of_torchmetrics(name, cases, data):
    """Its mean AUROC counts an absent class 0: so did release 1.0, and so does `absent="zero"`.

    Its average precision of an absent class is NaN or 0, from case to case. Its calibration error has a bin of its own
    for a confidence of 1.0, so that none is drawn; a score of 0.5 is negative there, and positive here.
    """
    from torchmetrics.functional import classification as tm

    card = mm.task(name)
    case = data.draw(cases(card, highest=0.999))
    result = evaluate(name, case.labels, case.scores, absent="zero", resamples=0)
    known = torch.from_numpy(class_indices(card, case.labels))
    scores = torch.from_numpy(case.scores.copy())
    count, below_half = len(card.labels), np.nextafter(0.5, 0)

    def near(tensor):
        return pytest.approx(tensor.tolist(), abs=1e-6)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of absent classes
        if card.target is mm.TaskTarget.BINARY:
            assert result.auroc == near(tm.binary_auroc(scores, known))
            assert result.accuracy == near(tm.binary_accuracy(scores, known, below_half))
            error = tm.binary_calibration_error(scores, known, n_bins=15, norm="l1")
            assert result.expected_calibration_error == near(error)
            if case.positive.any():
                assert result.average_precision == near(tm.binary_average_precision(scores, known))
                assert of_classes(result, "recall") == [near(tm.binary_recall(scores, known, below_half))]
        elif card.target is mm.TaskTarget.MULTILABEL:
            assert result.auroc == near(tm.multilabel_auroc(scores, known, count, average="macro"))
            precision = tm.multilabel_average_precision(scores, known, count, average="macro")
            assert result.average_precision == near(precision)
            accuracy = tm.multilabel_accuracy(scores, known, count, below_half, average="micro")
            assert result.accuracy == near(accuracy)
            errors = [
                tm.binary_calibration_error(scores[:, place].contiguous(), known[:, place], n_bins=15, norm="l1")
                for place in range(count)
            ]
            assert result.expected_calibration_error == near(torch.stack(errors).mean())
        else:
            assert result.auroc == near(tm.multiclass_auroc(scores, known, count, average="macro"))
            precisions = tm.multiclass_average_precision(scores, known, count, average="none").numpy()
            there = case.positive.any(axis=0)
            assert np.array(of_classes(result, "average_precision"))[there].tolist() == near(precisions[there])
            assert result.accuracy == near(tm.multiclass_accuracy(scores, known, count, average="micro"))
            recalls = tm.multiclass_recall(scores, known, count, average="none").tolist()
            assert [each or 0.0 for each in of_classes(result, "recall")] == pytest.approx(recalls, abs=1e-6)
            error = tm.multiclass_calibration_error(scores, known, count, n_bins=15, norm="l1")
            assert result.expected_calibration_error == near(error)
        if card.target is mm.TaskTarget.ORDINAL and result.quadratic_weighted_kappa is not None:
            kappa = tm.multiclass_cohen_kappa(scores, known, count, weights="quadratic")
            assert result.quadratic_weighted_kappa == near(kappa)


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_the_calibration_error_is_what_its_definition_says(cases, data):
    """In a loop over bins [0, 1/15), [1/15, 2/15), ... [14/15, 1], both ends included in the last."""
    name = "bus/case category"
    case = data.draw(cases(mm.task(name)))
    confidence, right = case.scores.max(axis=1), case.scores.argmax(axis=1) == case.labels
    edges = np.linspace(0, 1, 16)
    error = 0.0
    for place in range(15):
        inside = (edges[place] <= confidence) & ((confidence < edges[place + 1]) | (place == 14))
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert evaluate(name, case.labels, case.scores, resamples=0).expected_calibration_error == close(error)


def test_a_calibrated_model_has_no_error_and_a_boasting_one_its_boast():
    labels = np.repeat([1, 0], [30, 70])
    assert evaluate("bus/malignancy", labels, np.full(100, 0.3), resamples=0).expected_calibration_error == close(0)
    assert evaluate("bus/malignancy", labels, np.full(100, 0.9), resamples=0).expected_calibration_error == close(0.6)


def test_a_grade_counts_by_its_place_not_by_its_number():
    """Grades 1, 4, 6, 8 and 10 are one step apart."""
    name, said = "dr_regular/Clarity", np.eye(5)[[1, 0, 2, 4]]
    result = evaluate(name, [1, 4, 6, 8], said, resamples=0)
    assert result.mean_absolute_error == close(3 / 4)
    assert evaluate(name, [1, 10], np.eye(5)[[4, 0]], resamples=0).quadratic_weighted_kappa == close(-1)
    assert evaluate(name, [6, 6], np.eye(5)[[2, 2]], resamples=0).quadratic_weighted_kappa is None


def test_points_of_the_reliability_diagram_give_the_error():
    from medimeta.learning.metrics.calibration import Calibration

    rng = np.random.default_rng(0)
    confidence, right = rng.random(200), rng.random(200) < 0.4
    calibration = Calibration(confidence, right)
    points = calibration.reliability()
    error = (points.samples * np.abs(points.confidence - points.right)).sum() / 200
    assert points.samples.sum() == 200
    assert calibration.error(np.ones((1, 200), dtype=np.int32))[0] == close(error)
