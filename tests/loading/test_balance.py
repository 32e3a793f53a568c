"""Counts and weights of labels, for all four kinds of task."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

import medimeta as mm
from medimeta.catalogue.schema import TaskTarget
from medimeta.errors import UnknownNameError, UsageError
from medimeta.loading.balance import class_counts, class_weights

KINDS = ["bus/case category", "bus/malignancy", "dr_regular/Clarity", "cxr/disease labels"]
CARDS = [next(task for task in mm.tasks() if task.target is target) for target in TaskTarget]


@st.composite
def labelled(draw):
    """A task of any kind, and labels that it may have."""
    card = draw(st.sampled_from(CARDS))
    count = draw(st.integers(0, 25))
    if card.target is TaskTarget.MULTILABEL:
        rows = st.lists(st.integers(0, 1), min_size=len(card.labels), max_size=len(card.labels))
        labels = draw(st.lists(rows, min_size=count, max_size=count))
        return card, np.array(labels, dtype=np.int64).reshape(count, len(card.labels))
    return card, np.array(draw(st.lists(st.sampled_from(card.keys), min_size=count, max_size=count)), dtype=np.int64)


@given(labelled())
def test_counts_are_those_of_counting_one_by_one(drawn):
    card, labels = drawn
    for column, (key, name) in enumerate(card.labels.items()):
        has = labels[:, column] == 1 if card.target is TaskTarget.MULTILABEL else labels == key
        assert class_counts(card, labels)[name] == (has.sum(), len(labels) - has.sum())


@given(labelled())
def test_weights_balance(drawn):
    """Weighted, the classes that are there count the same; and so do positives and negatives."""
    card, labels = drawn
    weights = class_weights(card, labels)
    assert weights.dtype == np.float32
    assert np.isfinite(weights).all()
    counts = list(class_counts(card, labels).values())
    if card.target in (TaskTarget.BINARY, TaskTarget.MULTILABEL):
        assert weights.shape == (card.outputs,)
        for weight, count in zip(weights, counts[-card.outputs :], strict=True):
            expected = count.negative / count.positive if count.positive and count.negative else 1
            assert weight == pytest.approx(expected)
    else:
        assert weights.shape == (len(card.labels),)
        totals = [weight * count.positive for weight, count in zip(weights, counts, strict=True)]
        there = [total for total, count in zip(totals, counts, strict=True) if count.positive]
        assert there == pytest.approx([len(labels) / max(1, len(there))] * len(there))
        assert sum(totals) == pytest.approx(len(labels))
        assert all(weight == 0 for weight, count in zip(weights, counts, strict=True) if not count.positive)


def test_weights_are_those_of_scikit_learn(built_root):
    dataset = mm.load("dr_regular/Clarity", root=built_root)
    expected = compute_class_weight("balanced", classes=np.array(dataset.task.keys), y=dataset.labels)
    assert dataset.class_weights().tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("name", [card.id for card in CARDS])
def test_the_losses_of_pytorch_take_the_weights(built_root, name):
    dataset = mm.load(name, root=built_root)
    scores = torch.zeros(len(dataset), dataset.task.outputs)
    weights = dataset.class_weights()
    if dataset.task.target in (TaskTarget.BINARY, TaskTarget.MULTILABEL):
        targets = torch.tensor(dataset.labels).reshape(len(dataset), -1).float()
        loss = torch.nn.BCEWithLogitsLoss(pos_weight=weights)(scores, targets)
    else:
        loss = torch.nn.CrossEntropyLoss(weight=weights)(scores, torch.tensor(dataset.class_indices()))
    assert loss.isfinite()


def test_a_task_of_several_is_named_by_card_or_name(built_root):
    dataset = mm.load("bus", root=built_root)
    alone = mm.load("bus/malignancy", root=built_root)
    for task in ("malignancy", "Malignancy", alone.task):
        assert dataset.class_counts(task) == alone.class_counts()
        assert torch.equal(dataset.class_weights(task), alone.class_weights())
        assert np.array_equal(dataset.class_indices(task), alone.labels)
    for method in (dataset.class_counts, dataset.class_weights, dataset.class_indices):
        with pytest.raises(UsageError, match="several tasks: name one of case category, malignancy"):
            method()
    with pytest.raises(UnknownNameError, match="unknown task of bus 'malignant'"):
        dataset.class_counts("malignant")
    with pytest.raises(UsageError, match="was loaded with malignancy, not with"):
        alone.class_counts("case category")
    with pytest.raises(UsageError, match="was loaded with case category, malignancy, not with 3"):
        dataset.class_counts(3)
