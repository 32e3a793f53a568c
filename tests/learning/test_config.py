"""Equal settings have equal digests, in every process and version; unusable ones are refused."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from medimeta.errors import UsageError
from medimeta.learning.augment import Augmentation
from medimeta.learning.config import TrainConfig


def test_the_digest_of_the_defaults_stays():
    """Records made before name it: it may change only where the settings do."""
    assert TrainConfig().digest() == "550cd4b9c83ebb120028dae563b9c38f489130b8b53a2b7826ba019f427e238f"


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "resnet50"},
        {"weights": "none"},
        {"learning_rate": 1e-4},
        {"batch_size": 32},
        {"max_epochs": 99},
        {"patience": 9},
        {"augmentation": Augmentation(rotation=0)},
        {"normalize": "half"},
        {"precision": "bf16-mixed"},
        {"seed": 1},
        {"class_weighting": "balanced"},
        {"compile": "off"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_is_part_of_the_digest(change):
    changed = replace(TrainConfig(), **change)
    assert changed.digest() != TrainConfig().digest()
    assert changed.digest() == TrainConfig(**change).digest()


def test_settings_are_ready_for_json():
    plain = json.loads(json.dumps(TrainConfig().as_dict()))
    assert plain.pop("augmentation")["rotation"] == 10
    assert plain["backbone"] == "resnet18"
    assert TrainConfig(**plain) == TrainConfig()


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TrainConfig().seed = 2


def test_all_problems_are_told_at_once():
    with pytest.raises(UsageError) as caught:
        TrainConfig(batch_size=0, max_epochs=-1, patience=0, learning_rate=float("nan"), seed=-1)
    assert str(caught.value).splitlines()[1:] == [
        "  - learning_rate must be above 0 and at most 1,000,000,000, got nan",
        "  - batch_size must be from 1 to 1,000,000, got 0",
        "  - max_epochs must be from 1 to 1,000,000, got -1",
        "  - patience must be from 1 to 1,000,000, got 0",
        "  - seed must be from 0 to 9,223,372,036,854,775,807, got -1",
    ]


@pytest.mark.parametrize("rate", [0, -1e-3])
def test_a_learning_rate_must_be_positive(rate):
    with pytest.raises(UsageError, match="learning_rate must be above 0"):
        TrainConfig(learning_rate=rate)
