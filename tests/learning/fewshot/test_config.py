"""A configuration tells everything that is wrong with it, and is told apart by what its method uses."""

import json

import pytest

from medimeta.errors import UnknownNameError, UsageError
from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.fewshot.methods import METHODS


def test_the_defaults_are_the_protocol_of_the_release():
    config = FewShotConfig()
    assert (config.method, config.shots, config.queries, config.ways, config.episodes) == ("finetune", 5, 10, None, 100)
    assert (config.steps, config.learning_rate, config.weights) == (50, 1e-3, "imagenet")


def test_every_problem_is_told_at_once():
    with pytest.raises(UsageError) as caught:
        FewShotConfig(
            shots=0, queries=True, ways=1, episodes="5", steps=-1, learning_rate=float("nan"), penalty=0,
            precision="16", normalize="none", disjoint_subjects=1, seed=-1, inner_learning_rate=float("inf"),
            backbone=None,
        )  # fmt: skip
    told = " ".join(problem.split()[0] for problem in caught.value.problems)
    assert told == (
        "backbone shots queries ways episodes disjoint_subjects normalize precision seed steps learning_rate penalty "
        "inner_learning_rate"
    )


def test_names_near_an_unknown_method_are_offered():
    with pytest.raises(UnknownNameError, match="Did you mean 'finetune'"):
        FewShotConfig(method="fine-tune")


def test_unknown_settings_are_told_together_with_names_near_them():
    with pytest.raises(UsageError, match="(?s)shot: .*'shots'.*querys: .*'queries'"):
        FewShotConfig().changed(shot=1, querys=2)


def test_numbers_may_be_text_as_yaml_reads_them():
    assert FewShotConfig().changed(learning_rate="1e-4", shots="3") == FewShotConfig(learning_rate=1e-4, shots=3)


@pytest.mark.parametrize("method", METHODS)
def test_settings_of_other_methods_do_not_count(method):
    """The digest changes with a setting that the method uses, and with no other method's own setting."""
    config = FewShotConfig(method=method)
    own = {name for known in METHODS.values() for name in known.settings}
    assert own - set(METHODS[method].settings) == own - set(config.as_dict())
    for name in own:
        changed = config.changed(**{name: "running" if name == "inner_batch_norm" else 7})
        assert (changed.digest() != config.digest()) == (name in METHODS[method].settings)
    assert config.changed(batch_size=7).digest() != config.digest()


def test_a_configuration_comes_back_from_its_json():
    config = FewShotConfig(method="linear-probe", ways=3, penalty=0.5)
    assert FewShotConfig(**json.loads(json.dumps(config.as_dict()))) == config
