"""The adapter for torchcross: what needs no torchcross here, the rest in an environment that has it."""

import sys

import numpy as np
import pytest
import torch

import medimeta as mm
from medimeta.errors import MissingDependencyError
from medimeta.interop.items import released_labels, released_pixels
from medimeta.interop.released import MedIMeta
from medimeta.interop.torchcross import task_source

TASKS = {  # of each kind: classes, labels of an item, and images of a support and a query set of 2 and 3 shots
    "pbc/cell class": (8, [], 16, 24),
    "bus/malignancy": (2, [1], 4, 6),
    "cxr/disease labels": (14, [14], None, None),
    "dr_regular/Clarity": (5, [], 10, 15),
}


def test_torchcross_is_asked_for_where_it_is_missing(release, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchcross", None)
    with pytest.raises(MissingDependencyError, match=r"needs torchcross.*pip install torchcross==0\.0\.6$"):
        task_source(mm.load("grey/kind", root=release.root))
    ds = MedIMeta(release.root, "grey", "kind")
    assert ds[0][0].dtype == torch.float32
    with pytest.raises(ImportError, match=r"pip install torchcross==0\.0\.6$"):
        ds.task_description  # noqa: B018


def test_a_source_is_of_one_task(release):
    with pytest.raises(mm.MedimetaError, match="a task source is of one task: load the dataset with one"):
        task_source(mm.load("grey", root=release.root))


def test_pixels_run_from_minus_one_to_one():
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    assert torch.equal(released_pixels(every), (every.float() / 255 - 0.5) / 0.5)
    assert every[0, 0, 1] == 1  # the stored image stays


@pytest.mark.parametrize("task", ["kind", "is bad", "marks", "grade"])
def test_no_label_changes(release, task):
    card = mm.load(f"grey/{task}", root=release.root).task
    labels = release.grey.labels[task]
    assert np.array_equal(released_labels(card, labels).reshape(labels.shape), labels)


@pytest.fixture(scope="module")
def learned(with_torchcross, with_released, tiny_root):
    """Run a step of training and an episode of each task, once for each way to come by the task."""
    ways = {"adapter": with_torchcross, "class": with_torchcross, "released": with_released}
    return {way: run("learn.py", way, tiny_root, *TASKS) for way, run in ways.items()}


@pytest.mark.released
@pytest.mark.parametrize("way", ["adapter", "class"])
@pytest.mark.parametrize("name", TASKS)
def test_models_learn_and_episodes_are_drawn(learned, tiny_root, way, name):
    classes, label, support, query = TASKS[name]
    found, episode, channels = learned[way][name], learned[way][name]["episode"], mm.load(name, root=tiny_root).channels
    print(f"{name}: loss {found['loss']:.3f}, support {episode['support']}, query {episode['query']}")
    assert 0 < found["loss"] < 3
    assert found["changed"] == found["weights"]
    assert found["batch"] == [["torch.float32", [4, channels, 32, 32]], ["torch.int64", [4, *label]]]
    assert found["batched"]
    assert found["task source"] == (way == "adapter")
    assert len(episode["classes"]) == classes
    assert episode["shape"] == [channels, 32, 32]
    assert 0 < episode["loss"] < 3
    if support is not None:
        assert (episode["support"], episode["query"]) == (support, query)
    else:
        for part, shots in zip(map(np.array, episode["labels"]), (2, 3), strict=True):
            assert (part.sum(axis=0) >= shots).all()


@pytest.mark.released
@pytest.mark.parametrize("way", ["adapter", "class"])
@pytest.mark.parametrize("name", TASKS)
def test_losses_and_episodes_are_those_of_the_released_class(learned, way, name):
    ours, theirs = learned[way][name], learned["released"][name]
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    assert ours["episode"]["loss"] == pytest.approx(theirs["episode"]["loss"], rel=1e-5)
    assert ours["pixels"] == pytest.approx(theirs["pixels"], rel=1e-9)
    assert ours["episode"]["pixels"] == pytest.approx(theirs["episode"]["pixels"], rel=1e-9)
    for what in ("support", "query", "labels", "classes", "description"):
        assert ours["episode"][what] == theirs["episode"][what]
