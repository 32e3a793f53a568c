"""Settings of pre-trainings that take a moment."""

import pytest

from medimeta.learning.pretraining.config import PretrainConfig

MULTI = PretrainConfig(
    backbone="test_resnet.r160_in1k", weights="none", max_epochs=3, patience=3, batch_size=16, learning_rate=3e-3
)
MAML = MULTI.changed(
    method="maml",
    max_epochs=2,
    episodes=4,
    episodes_per_epoch=2,
    validation_episodes=1,
    meta_batch_size=2,
    shots=(1, 2),
    queries=2,
    inner_steps=1,
)


@pytest.fixture
def multi():
    return MULTI


@pytest.fixture
def maml():
    return MAML
