"""One task or all tasks of a stored dataset, as arrays and as a PyTorch dataset."""

import numpy as np
import pytest
import torch

import medimeta as mm
from medimeta.errors import DatasetNotFoundError, UnknownNameError, UsageError


def test_names_are_folded(built_root):
    names = ["bus/case category", "BUS/Case_Category", "bus/case-category"]
    assert {mm.load(name, root=built_root).task.id for name in names} == {"bus/case category"}


@pytest.mark.parametrize(
    ("name", "near"),
    [("bis/malignancy", "bus"), ("bus/malignancies", "malignancy"), ("oct/desease class", "disease class")],
)
def test_unknown_names_offer_those_near(built_root, name, near):
    with pytest.raises(UnknownNameError, match=near):
        mm.load(name, root=built_root)


def test_unknown_split_is_named(built_root):
    with pytest.raises(UnknownNameError, match="unknown split 'valid'. Known: train, val, test"):
        mm.load("bus", root=built_root, split="valid")


def test_a_dataset_that_is_not_there_says_how_to_get_it(built_root, tmp_path):
    with pytest.raises(DatasetNotFoundError, match="medimeta build bus --source"):
        mm.load("bus", root=tmp_path)
    with pytest.raises(DatasetNotFoundError, match=f"is itself a dataset: pass .* --root {built_root}$"):
        mm.load("bus", root=built_root / "bus")


def test_images_are_uint8_channels_first(built_root):
    grey, colour = mm.load("bus/malignancy", root=built_root), mm.load("pbc/cell class", root=built_root)
    assert (grey[0][0].shape, colour[0][0].shape) == ((1, 224, 224), (3, 224, 224))
    assert grey[0][0].dtype is colour[0][0].dtype is torch.uint8
    assert torch.equal(colour[-1][0], colour[len(colour) - 1][0])
    with pytest.raises(IndexError):
        colour[len(colour)]


def test_arrays_and_dataset_agree(built_root):
    dataset = mm.load("pbc/cell class", root=built_root, split="val")
    images, labels = mm.load_arrays("pbc/cell class", root=built_root, split="val")
    assert np.array_equal(np.stack([dataset[i][0].permute(1, 2, 0).numpy() for i in range(len(dataset))]), images)
    assert np.array_equal(labels, dataset.labels)
    whole = mm.load_arrays("pbc/cell class", root=built_root)
    assert np.array_equal(whole.images[dataset.indices], images)
    assert isinstance(whole.images, np.memmap)


def test_splits_are_disjoint_and_complete(built_root):
    parts = [mm.load("bus", root=built_root, split=split).indices for split in ("train", "val", "test")]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(mm.load("bus", root=built_root))))


def test_a_split_that_is_named_twice_comes_once(built_root):
    once, twice = (mm.load("bus", root=built_root, split=split) for split in ("val", ["val", "val"]))
    assert np.array_equal(once.indices, twice.indices)


def test_class_counts_add_up(built_root):
    dataset = mm.load("bus/case category", root=built_root)
    counts = dataset.class_counts()
    assert [count.positive for count in counts.values()] == [10, 10, 10]
    assert all(count.positive + count.negative == len(dataset) for count in counts.values())
    with pytest.raises(UsageError):
        mm.load("bus", root=built_root).class_counts()


def test_a_transform_gets_each_image(built_root):
    dataset = mm.load("bus/malignancy", root=built_root, transform=lambda image: image.float().mean())
    assert dataset[0][0].ndim == 0
