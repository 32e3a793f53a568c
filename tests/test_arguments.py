"""What is no name, path or dataset is told as wrong use by every public name that takes one."""

import pytest

import medimeta as mm
from medimeta.errors import MedimetaError, UsageError

NAMES = {
    "evaluate": lambda wrong, _: mm.evaluate(wrong, [0, 1], [0.1, 0.9]),
    "compare": lambda wrong, _: mm.compare(wrong, [0, 1], [0.1, 0.9], [0.1, 0.9]),
    "dataset": lambda wrong, _: mm.dataset(wrong),
    "task": lambda wrong, _: mm.task(wrong),
    "load": lambda wrong, root: mm.load(wrong, root),
    "load_arrays": lambda wrong, root: mm.load_arrays(wrong, root),
    "DataModule": lambda wrong, root: mm.DataModule(wrong, root),
    "verify": lambda wrong, root: mm.verify(wrong, root),
    "pretraining_tasks": lambda wrong, root: mm.pretraining_tasks(wrong, root),
    "few_shot": lambda wrong, root: mm.few_shot(wrong, root=root),
    "build": lambda wrong, root: mm.build(wrong, root, root / "out"),
    "plan_build": lambda wrong, root: mm.plan_build(wrong, root, root / "out"),
    "Episodes": lambda wrong, _: mm.Episodes(wrong),
    "loader": lambda wrong, _: mm.loader(wrong),
    "MixedBatches": lambda wrong, _: mm.MixedBatches(wrong),
    "channel_statistics": lambda wrong, _: mm.channel_statistics(wrong),
    "FewShotConfig": lambda wrong, _: mm.FewShotConfig(method=wrong),
    "run_benchmark": lambda wrong, root: mm.run_benchmark(wrong, root, root / "out"),
}
PATHS = {
    "load": lambda wrong, _: mm.load("bus", wrong),
    "load_model": lambda wrong, _: mm.load_model(wrong),
    "load_episodes": lambda wrong, root: mm.load_episodes(wrong, mm.load("bus/malignancy", root)),
    "build": lambda wrong, root: mm.build("bus", wrong, root / "out"),
    "run_benchmark": lambda wrong, root: mm.run_benchmark({"datasets": "bus"}, root, wrong),
}


@pytest.mark.parametrize("call", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("wrong", [3, 1.5, None, b"bus", [3]], ids=repr)
def test_what_is_no_name_is_wrong_use(small_root, call, wrong):
    with pytest.raises(UsageError, match=r"got |unknown few-shot method|a sequence of|must be"):
        call(wrong, small_root)
    assert not (small_root / "out").exists()


@pytest.mark.parametrize("call", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("wrong", [3, b"bus", ["bus"], "a\0b"], ids=repr)
def test_what_is_no_path_is_wrong_use(small_root, call, wrong):
    with pytest.raises(UsageError, match=r"must be a path, got "):
        call(wrong, small_root)


def test_filters_are_names_too():
    for call in (mm.datasets, mm.tasks):
        with pytest.raises(MedimetaError, match="must be text"):
            call(3)
