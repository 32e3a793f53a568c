"""Losses are torch's formulas, and scores are probabilities."""

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

import medimeta as mm
from medimeta.learning.heads import Head
from medimeta.learning.model import TaskModel
from medimeta.learning.multitask import MultiTaskModel
from medimeta.loading.balance import class_weights

OUTPUTS = {"bus/malignancy": 1, "bus/case category": 3, "cxr/disease labels": 14, "dr_regular/Clarity": 5}
BINARY, MULTICLASS, MULTILABEL, ORDINAL = OUTPUTS

every_kind = pytest.mark.parametrize("name", OUTPUTS)


def logits_of(name, count=6):
    return torch.randn(count, OUTPUTS[name], generator=torch.Generator().manual_seed(2)) * 3


@every_kind
def test_outputs_are_as_many_as_the_task_asks_for(name):
    assert Head(7, mm.task(name))(torch.zeros(2, 7)).shape == (2, OUTPUTS[name])


def test_the_loss_of_a_binary_task_is_cross_entropy_of_the_sigmoid():
    logits, targets = logits_of(BINARY), torch.tensor([0, 1, 1, 0, 1, 0])
    loss = Head(4, mm.task(BINARY)).loss(logits, targets)
    torch.testing.assert_close(loss, nn.BCELoss()(logits[:, 0].sigmoid(), targets.float()))


def test_the_loss_of_a_multi_label_task_is_the_mean_over_labels():
    logits, targets = logits_of(MULTILABEL), (torch.arange(6 * 14).reshape(6, 14) % 3 == 0).long()
    loss = Head(4, mm.task(MULTILABEL)).loss(logits, targets)
    torch.testing.assert_close(loss, nn.BCELoss()(logits.sigmoid(), targets.float()))


@pytest.mark.parametrize("name", [MULTICLASS, ORDINAL])
def test_the_loss_of_classes_and_grades_is_cross_entropy_of_the_softmax(name):
    logits, targets = logits_of(name), torch.tensor([0, 1, 2, 2, 0, 1])
    loss = Head(4, mm.task(name)).loss(logits, targets)
    torch.testing.assert_close(loss, -logits.softmax(dim=1)[torch.arange(6), targets].log().mean())


@every_kind
def test_losses_of_outputs_that_are_zero_are_those_of_a_guess(name):
    targets = torch.zeros(3, 14, dtype=torch.long) if name == MULTILABEL else torch.zeros(3, dtype=torch.long)
    loss = Head(4, mm.task(name)).loss(torch.zeros(3, OUTPUTS[name]), targets)
    assert loss.item() == pytest.approx(math.log(2 if name in (BINARY, MULTILABEL) else OUTPUTS[name]))


@every_kind
def test_losses_of_low_precision_outputs_are_computed_in_float32(name):
    targets = torch.ones(6, 14, dtype=torch.long) if name == MULTILABEL else torch.ones(6, dtype=torch.long)
    head, logits = Head(4, mm.task(name)), logits_of(name).bfloat16()
    assert head.loss(logits, targets).dtype is head.scores(logits).dtype is torch.float32
    torch.testing.assert_close(head.loss(logits, targets), head.loss(logits.float(), targets))


def test_scores_of_binary_and_multi_label_tasks_are_sigmoids():
    binary, several = logits_of(BINARY), logits_of(MULTILABEL)
    torch.testing.assert_close(Head(4, mm.task(BINARY)).scores(binary), 1 / (1 + (-binary[:, 0]).exp()))
    torch.testing.assert_close(Head(4, mm.task(MULTILABEL)).scores(several), 1 / (1 + (-several).exp()))


@pytest.mark.parametrize("name", [MULTICLASS, ORDINAL])
def test_scores_of_classes_and_grades_add_up_to_one(name):
    logits = logits_of(name)
    scores = Head(4, mm.task(name)).scores(logits)
    torch.testing.assert_close(scores, logits.exp() / logits.exp().sum(dim=1, keepdim=True))
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(6))


@every_kind
def test_scores_of_extreme_outputs_stay_probabilities(name):
    logits = torch.tensor([-1e4, 1e4, 0.0])[:, None].repeat(1, OUTPUTS[name])
    logits[:, 0] += 1e3
    scores = Head(4, mm.task(name)).scores(logits)
    assert torch.isfinite(scores).all()
    assert 0 <= scores.min() <= scores.max() <= 1


@every_kind
@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_turns_uint8_images_into_scores(name, channels):
    backbone = nn.Sequential(nn.Conv2d(3, 4, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = TaskModel(backbone, mm.task(name), channels=channels, size=24, normalize="imagenet").eval()
    images = torch.randint(0, 256, (5, channels, 24, 24), dtype=torch.uint8)
    scores = model.predict(images)
    assert scores.shape == ((5,) if name == BINARY else (5, OUTPUTS[name]))
    assert scores.dtype == "float64"
    assert 0 <= scores.min() <= scores.max() <= 1
    single = [model.predict(image[None])[0] for image in images]
    assert scores.tolist() == pytest.approx([pytest.approx(row, abs=1e-6) for row in single])


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize(("labels", "outputs"), [(1, (1,)), (2, (2,)), (None, ())])
def test_a_single_label_keeps_its_column(count, labels, outputs):
    """Law: binary tasks alone have scores without columns, however many labels or images there are."""
    task = mm.task(BINARY if labels is None else MULTILABEL)
    if labels is not None:
        task = task.model_copy(update={"labels": {key: task.labels[key] for key in range(labels)}})
    backbone = nn.Sequential(nn.Conv2d(3, 4, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.zeros(count, 1, 24, 24, dtype=torch.uint8)
    assert TaskModel(backbone, task, channels=1, size=24, normalize="half").predict(images).shape == (count, *outputs)
    several = MultiTaskModel(backbone, [task], channels=1, size=24, normalize="half")
    assert several.predict(images)[task.id].shape == (count, *outputs)


@every_kind
def test_weights_make_rare_classes_count_more(name):
    """The direction: by torch's formula, an error on the rarest class costs more with balanced weights than without.

    The value of multi-class weights is scikit-learn's, that of the others negatives for each positive.
    """
    task = mm.task(name)
    keys = np.array(task.keys)
    if name == MULTILABEL:
        labels = np.zeros((100, OUTPUTS[name]), np.int64)
        labels[:10, 0] = 1  # rare
        labels[:90, 1] = 1  # common
        weights = class_weights(task, labels)
        assert weights[:2].tolist() == pytest.approx([9, 1 / 9])
    else:
        labels = keys[np.r_[[1] * 10, [0] * 60, *([each] * 10 for each in range(2, len(keys)))]]
        weights = class_weights(task, labels)
        expected = compute_class_weight("balanced", classes=keys, y=labels)
        assert weights.tolist() == pytest.approx([expected[1] / expected[0]] if name == BINARY else expected)
    head = Head(4, task)
    logits = torch.zeros(2, OUTPUTS[name])
    rows = np.eye(OUTPUTS[name], dtype=np.int64)  # the rare label alone, the common one alone
    rare, common = (rows[:1], rows[1:2]) if name == MULTILABEL else (keys[1:2], keys[:1])
    targets = head.targets(torch.from_numpy(np.concatenate([rare, common])))
    logits.requires_grad_()
    head.loss(logits, targets, torch.from_numpy(weights)).backward()
    pulls = logits.grad.abs().sum(dim=1)
    plain = torch.zeros(2, OUTPUTS[name], requires_grad=True)
    head.loss(plain, targets).backward()
    equal = plain.grad.abs().sum(dim=1)
    assert pulls[0] / pulls[1] > 1.5 * equal[0] / equal[1]


@every_kind
def test_targets_count_from_0(name):
    task = mm.task(name)
    if name == MULTILABEL:
        rows = torch.eye(OUTPUTS[name]).long()
        assert torch.equal(Head(4, task).targets(rows), rows)
    else:
        assert Head(4, task).targets(torch.tensor(task.keys)).tolist() == [*range(len(task.keys))]
