"""Pre-training for a target reads nothing that would leak, and is run once for targets that share their sources."""

import json
import shutil

import pytest

from medimeta.errors import UnknownNameError, UsageError
from medimeta.learning.pretraining.target import plan_for, pretrain_for

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def quick(multi):
    return multi.changed(max_epochs=1)


def test_what_overlaps_is_never_read(small_root, tmp_path, quick):
    """bus is of the target's domain: without its images and labels, the result is the same."""
    root = shutil.copytree(small_root, tmp_path / "root")
    for path in [root / "bus" / "images.hdf5", *(root / "bus" / "task_labels").iterdir()]:
        path.unlink()
    plan = plan_for("bus/malignancy", root, quick)
    assert {task.dataset for task in plan.sources.tasks} == {"pbc"}
    assert "oct" in plan.missing
    assert "bus" not in plan.missing
    weights = pretrain_for("bus/malignancy", root, tmp_path / "out", quick)
    record = json.loads((weights.parent / "pretraining.json").read_text())
    assert record["tasks"] == ["pbc/cell class"]
    assert record["missing"] == list(plan.missing)


def test_targets_that_share_their_sources_are_trained_for_once(small_root, tmp_path, quick):
    told = []
    files = [
        pretrain_for(target, small_root, tmp_path, quick, epoch_done=lambda *figures: told.append(figures))
        for target in ("oct", "cxr/disease labels", "oct/urgent referral")
    ]
    assert len(set(files)) == 1
    assert len(told) == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    other = pretrain_for("oct", small_root, tmp_path, quick.changed(seed=1))
    assert other not in files


def test_names_choose_from_what_is_allowed(small_root, quick):
    plan = plan_for("oct", small_root, quick, names=["bus/malignancy", "pbc"])
    assert [task.id for task in plan.sources.tasks] == ["bus/malignancy", "pbc/cell class"]
    with pytest.raises(UsageError, match="would leak:\n  - bus\n"):
        plan_for("bus", small_root, quick, names=["bus/malignancy", "pbc"])
    with pytest.raises(UnknownNameError, match="Did you mean 'pbc'"):
        plan_for("oct", small_root, quick, names=["pbcc"])


def test_nothing_that_is_left_says_what_to_build(small_root, tmp_path, quick):
    with pytest.raises(UsageError, match="nothing is left to pre-train on for it. There is none of crc, aml below"):
        plan_for("bus", small_root, quick, names=["crc", "aml"])


def test_tasks_that_cannot_be_learned_are_left_out_and_told(small_root, maml):
    """Of the 21 training images of bus, 7 are malignant: too few for episodes of 8 images a class."""
    plan = plan_for("oct", small_root, maml.changed(shots=2, queries=6), names=["bus/malignancy", "pbc"])
    assert [task.id for task in plan.sources.tasks] == ["pbc/cell class"]
    [why] = plan.left_out
    assert "there are no episodes of bus/malignancy" in why
    with pytest.raises(UsageError, match="nothing is left") as caught:
        plan_for("oct", small_root, maml.changed(shots=50))
    assert "there are no episodes of bus/malignancy" in str(caught.value)
