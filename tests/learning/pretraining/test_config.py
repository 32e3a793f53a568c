"""Settings of pre-training say all that is wrong at once, and are told apart by what the method uses."""

import json

import pytest

from medimeta.errors import UsageError
from medimeta.learning.pretraining.config import PretrainConfig, read_settings


def test_the_defaults_are_the_protocol():
    """Adam at 1e-3, batches of 64; four inner steps at 0.1, 1 to 10 shots, 1,000 episodes a task."""
    config = PretrainConfig(method="maml")
    assert (config.learning_rate, config.batch_size) == (1e-3, 64)
    assert (config.inner_steps, config.inner_learning_rate, config.shots, config.episodes) == (4, 0.1, (1, 10), 1000)
    assert config.epochs == 10


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(UsageError) as caught:
        PretrainConfig(
            method="mamml", order=3, shots=(5, 1), queries=0, inner_learning_rate=0, task_weights={"bus/malignancy": -1}
        )
    for name in ("method", "order", "shots", "queries", "inner_learning_rate", "task_weights of bus/malignancy"):
        assert f"- {name} must" in str(caught.value)


def test_unknown_settings_are_told_with_names_near_them_at_once():
    with pytest.raises(UsageError, match="'shotts'. Did you mean 'shots'") as caught:
        PretrainConfig.of({"shotts": 1, "augmentation": {"rotate": 1}, "batch": 2})
    assert "'rotate'. Did you mean 'rotation'" in str(caught.value)
    assert "'batch'" in str(caught.value)


def test_settings_of_the_other_method_do_not_count():
    multi, maml = PretrainConfig(), PretrainConfig(method="maml")
    assert multi.changed(shots=3).digest() == multi.digest() != multi.changed(batch_size=3).digest()
    assert maml.changed(batch_size=3).digest() == maml.digest() != maml.changed(shots=3).digest()
    assert json.loads(json.dumps(maml.as_dict()))["shots"] == [1, 10]


def test_a_file_gives_the_same_settings_as_a_call(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("method: maml\nshots: [1, 5]\naugmentation: {rotation: 0}\n")
    config = PretrainConfig.of(read_settings(path))
    assert (config.method, config.shots, config.augmentation.rotation) == ("maml", (1, 5), 0)


@pytest.mark.parametrize(("text", "said"), [("a: [", "not valid YAML"), ("- a", "must be a mapping")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, said):
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_settings(tmp_path / "settings.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        read_settings(tmp_path / "none.yaml")
