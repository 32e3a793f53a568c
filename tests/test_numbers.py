"""Every number that people give has bounds, and what lies outside is told at once, as wrong use."""

import math
import re

import numpy as np
import pytest

import medimeta as mm
from medimeta.benchmark.grid import Grid, grid_from
from medimeta.benchmark.run import Running
from medimeta.errors import UsageError
from medimeta.learning.augment import Augmentation
from medimeta.learning.config import TrainConfig
from medimeta.learning.settings import settings_of

NUMBERS = [10**23, 10**400, 10**5000, -1, -(10**23), math.nan, math.inf, -math.inf, "many", True]
CONFIGS = (TrainConfig, Augmentation, mm.FewShotConfig, mm.PretrainConfig)
SETTINGS = [(kind, each.name) for kind in CONFIGS for each in settings_of(kind) if each.kind in (int, float)]


def refused(call, name, number):
    """Whether the message names the setting, what it may be, and what it got, whole or cut."""
    with pytest.raises(UsageError, match=rf"{name}\b.* must be .*, got ") as caught:
        call(**{name: number})
    told = str(caught.value)
    assert len(told) < 300
    if isinstance(number, int) and not isinstance(number, bool):
        assert re.search("from .* to|above .* and at most", told)


@pytest.mark.parametrize(("kind", "name"), SETTINGS, ids=lambda part: getattr(part, "__name__", part))
def test_settings_have_bounds(kind, name):
    for number in NUMBERS:
        wrong = {"bus/malignancy": number} if name == "task_weights" else number
        for call in (kind, getattr(kind(), "changed", kind)):
            with pytest.raises(UsageError, match=rf"{name} must be .*got ") as caught:
                call(**{name: wrong})
            assert len(str(caught.value)) < 300


@pytest.mark.parametrize("number", NUMBERS, ids=range(len(NUMBERS)))
def test_so_have_axes_of_a_grid_and_how_it_is_run(number):
    for name in ("seeds", "shots"):
        for call in (
            lambda value: Grid(datasets=("bus",), **value),
            lambda value: grid_from({"datasets": "bus", **value}),
        ):
            with pytest.raises(UsageError, match=rf"{name}: must be .* got "):
                call({name: (number,)})
    for name in ("jobs", "retries", "devices", "nodes"):
        refused(Running, name, number)


@pytest.mark.parametrize("number", NUMBERS, ids=range(len(NUMBERS)))
def test_so_have_batches_and_evaluations(small_root, number):
    train_set = mm.load("bus/malignancy", root=small_root, split="train")
    for name in ("batch_size", "seed", "threads", "prefetch"):
        refused(lambda **given: mm.loader(train_set, **given), name, number)
        refused(lambda **given: mm.MixedBatches([train_set], **given), name, number)
    for name in ("resamples", "seed"):
        refused(lambda **given: mm.evaluate("bus/malignancy", [0, 1], [0.1, 0.9], **given), name, number)
    with pytest.raises(UsageError, match="confidence must be a number between 0 and 1"):
        mm.evaluate("bus/malignancy", [0, 1], [0.1, 0.9], confidence=number)


def test_numbers_at_their_bounds_are_taken(small_root):
    """A batch is never larger than its dataset, so that the largest size needs no more memory than all images."""
    train_set = mm.load("bus/malignancy", root=small_root, split="train")
    [(images, _)] = mm.loader(train_set, batch_size=1_000_000, seed=2**63 - 1, normalize=None)
    assert len(images) == len(train_set)
    assert Grid(datasets=("bus",), seeds=(np.int64(3), 2**63 - 1)).seeds == (3, 2**63 - 1)
    assert TrainConfig(batch_size=np.int32(8)).batch_size == 8
