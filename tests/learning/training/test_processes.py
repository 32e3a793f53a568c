"""Processes that train together do what one does, start wherever training is asked for, and end together."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest

import medimeta as mm
from medimeta.errors import TrainingProcessError, UsageError
from medimeta.learning.augment import Augmentation
from medimeta.learning.config import TrainConfig
from medimeta.learning.metrics import macro_auroc
from medimeta.learning.train import predict, train
from medimeta.learning.training.launch import launch
from medimeta.learning.training.processes import Group, first_rank, group_of
from medimeta.store.layout import split_text

pytestmark = pytest.mark.usefixtures("one_thread")

STILL = Augmentation(horizontal_flip=0, vertical_flip=0, rotation=0, crop=0)
# Without batch normalisation, whose statistics are those of one process's images.
CONFIG = TrainConfig(
    backbone="test_vit.r160_in1k", weights="none", batch_size=8, max_epochs=2, augmentation=STILL, normalize="half"
)


def splits(root, *names):
    return [mm.load("pbc/cell class", root=root, split=split) for split in names or ("train", "val")]


def test_two_processes_end_where_one_does(small_root):
    """Both see the same batches, of which each takes half, so that averaged gradients are those of one process.

    The validation split has an odd number of batches, and the AUROC is that of the whole split.
    """
    train_set, val_set = splits(small_root)
    whole = train_set.subset(np.arange(len(train_set) // 8 * 8))  # two leave out a batch that is not full
    told = []
    one = train(whole, val_set, CONFIG)
    two = train(whole, val_set, CONFIG, devices=2, accelerator="cpu", epoch_done=lambda *each: told.append(each))
    for first, second in zip(one.history, two.history, strict=True):
        assert second == pytest.approx(first, rel=1e-3)
    assert [epoch for epoch, _ in told] == [1, 2]
    scores = predict(two.model, val_set, CONFIG)
    np.testing.assert_allclose(scores, predict(one.model, val_set, CONFIG), atol=2e-3)
    best = max(epoch["val_auroc"] for epoch in two.history)
    assert macro_auroc(val_set.task, val_set.labels, scores) == pytest.approx(best, abs=1e-6)
