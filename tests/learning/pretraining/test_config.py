"""Settings of pre-training say all that is wrong at once, and are told apart by what the method uses."""

import json

import pytest

from medimeta.errors import UsageError
from medimeta.learning.augment import Augmentation
from medimeta.learning.pretraining.config import PretrainConfig
from medimeta.learning.settings import read_settings


def test_the_defaults_are_the_protocol():
    """Adam at 1e-3, batches of 64; four inner steps at 0.1, 1 to 10 shots, 1,000 episodes a task."""
    config = PretrainConfig(method="maml")
    assert (config.learning_rate, config.batch_size) == (1e-3, 64)
    assert (config.inner_steps, config.inner_learning_rate, config.shots, config.episodes) == (4, 0.1, (1, 10), 1000)
    assert config.epochs == 10


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(UsageError) as caught:
        PretrainConfig(
            method="mamml", order=3, shots=(5, 1), queries=0, inner_learning_rate=0, steps_per_epoch=0, augmentation=3,
            task_weights={"bus/malignancy": -1, "pbc/cell class": "a", "oct/urgency": 2},
        )  # fmt: skip
    assert str(caught.value).splitlines()[1:] == [
        "  - method must be one of multi-task, maml, got 'mamml'",
        "  - augmentation must be settings by name, got 3",
        "  - steps_per_epoch must be from 1 to 1,000,000, got 0",
        "  - task_weights must be above 0 and at most 1,000,000,000, got -1 for bus/malignancy, and a number, got 'a' "
        "for pbc/cell class",
        "  - order must be one of 1, 2, got 3",
        "  - shots must be a number, or two in ascending order, got (5, 1)",
        "  - queries must be from 1 to 1,000,000, got 0",
        "  - inner_learning_rate must be above 0 and at most 1,000,000,000, got 0",
    ]


@pytest.mark.parametrize("shots", [0, (0, 3), (1, 2, 3), [3], (1, 2.5), True, None, "1-3", float("inf")])
def test_shots_are_a_number_or_two_bounds(shots):
    with pytest.raises(UsageError, match="- shots must be "):
        PretrainConfig(shots=shots)


@pytest.mark.parametrize("weights", [[("bus", 1)], 3, None])
def test_weights_of_tasks_are_by_name(weights):
    with pytest.raises(UsageError, match="- task_weights must be values by name"):
        PretrainConfig(task_weights=weights)


@pytest.mark.parametrize("order", [True, 1.0, "1", 0])
def test_the_order_is_1_or_2(order):
    with pytest.raises(UsageError, match="- order must be "):
        PretrainConfig(order=order)


def test_unknown_settings_are_told_with_names_near_them_at_once():
    with pytest.raises(UsageError, match="shotts: there is no such setting. Did you mean 'shots'") as caught:
        PretrainConfig().changed(shotts=1, augmentation={"rotate": 1}, batch=2)
    assert "augmentation.rotate: there is no such setting. Did you mean 'augmentation.rotation'" in str(caught.value)
    assert "- batch: there is no such setting" in str(caught.value)


def test_settings_of_the_other_method_do_not_count():
    multi, maml = PretrainConfig(), PretrainConfig(method="maml")
    assert multi.changed(shots=3).digest() == multi.digest() != multi.changed(batch_size=3).digest()
    assert maml.changed(batch_size=3).digest() == maml.digest() != maml.changed(shots=3).digest()


@pytest.mark.parametrize("method", ["multi-task", "maml"])
def test_a_configuration_comes_back_from_its_json(method):
    config = PretrainConfig(method=method, task_weights={"bus/malignancy": 2} if method == "multi-task" else {})
    assert PretrainConfig().changed(**json.loads(json.dumps(config.as_dict()))) == config
    assert config.changed() == config


def test_the_digests_of_the_defaults_stay():
    """Weights made before name them: they may change only where the settings do."""
    assert [PretrainConfig(method=method).digest()[:8] for method in ("multi-task", "maml")] == ["162b6b76", "d2b297bd"]


def test_a_file_gives_the_same_settings_as_a_call(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("method: maml\nshots: [1, 5]\nlearning_rate: 1e-4\naugmentation: {rotation: 0}\n")
    config = PretrainConfig().changed(**read_settings(PretrainConfig, path))
    rotated = Augmentation(rotation=0)
    assert config == PretrainConfig(method="maml", shots=(1, 5), learning_rate=1e-4, augmentation=rotated)
