"""One task or all tasks of a stored dataset, as arrays and as a PyTorch dataset."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2

import medimeta as mm
from medimeta.catalogue.schema import TaskTarget
from medimeta.errors import ChangedStoreError, DatasetNotFoundError, UnknownNameError, UsageError
from medimeta.store.layout import split_text
from medimeta.store.reader import StoredDataset, open_dataset


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


KINDS = ["bus/case category", "bus/malignancy", "dr_regular/Clarity", "mammo_calc/calc type", "pbc", "cxr"]


def same(left, right):
    """Whether two samples, labels or batches are equal all through."""
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, tuple | list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@settings(deadline=None, max_examples=40)  # it reads from disk
@given(data=st.data())
def test_batched_equals_single_equals_stored(built_root, data):
    dataset = mm.load(data.draw(st.sampled_from(KINDS)), root=built_root, split=["train", "test"])
    count = len(dataset)
    places = data.draw(st.lists(st.integers(-count, count - 1), max_size=12))
    batch = dataset.__getitems__(places)
    assert same(batch, [dataset[place] for place in places])
    for place, (image, label) in zip(places, batch, strict=True):
        index = int(dataset.indices[place])
        stored = dataset.stored.images.read([index])[0]
        assert np.array_equal(image.numpy(), stored[None] if stored.ndim == 2 else stored.transpose(2, 0, 1))
        labels = label if dataset.task is None else {dataset.task.name: label}
        for task, value in labels.items():
            assert np.array_equal(value, dataset.stored.labels(task)[index])


def test_labels_are_of_the_type_of_their_task(built_root):
    for card in mm.tasks():
        label = mm.load(card, root=built_root)[0][1]
        if card.target is TaskTarget.MULTILABEL:
            assert label.dtype is torch.int64
            assert label.shape == (len(card.labels),)
        else:
            assert type(label) is int
            assert label in card.keys


def test_ordinal_labels_are_grades_and_have_an_index(built_root):
    dataset = mm.load("dr_regular/Clarity", root=built_root)
    assert set(dataset.labels.tolist()) == set(dataset.task.keys) != set(range(len(dataset.task.keys)))
    assert [dataset.task.keys[index] for index in dataset.class_indices()] == dataset.labels.tolist()


def test_places_of_other_kinds_of_number(built_root):
    dataset = mm.load("bus/malignancy", root=built_root)
    for place in (np.int64(3), np.uint8(3), torch.tensor(3), 3 - len(dataset)):
        assert same(dataset[place], dataset[3])
    assert same(dataset.__getitems__(torch.tensor([3, -1])), [dataset[3], dataset[len(dataset) - 1]])
    assert dataset.__getitems__([]) == []
    assert len(list(dataset)) == len(dataset)  # as any sequence, it ends with an IndexError


@pytest.mark.parametrize("place", [0.0, "0", True, None, slice(3), [1, 2]])
def test_what_is_no_place_is_refused(built_root, place):
    dataset = mm.load("bus/malignancy", root=built_root)
    with pytest.raises(UsageError, match="whole number"):
        dataset[place]
    with pytest.raises(UsageError, match="whole number"):
        dataset.__getitems__([0, place])


def test_out_of_range_says_how_many_there_are(built_root):
    dataset = mm.load("bus/malignancy", root=built_root)
    with pytest.raises(IndexError, match="samples 30, -31 are out of range; there are 30"):
        dataset.__getitems__([30, 0, -31])
    with pytest.raises(IndexError, match="sample 0 is out of range; there are 0"):
        dataset.subset([])[0]


def test_what_is_handed_out_cannot_change_the_dataset(built_root):
    dataset = mm.load("bus", root=built_root)
    for array in (dataset.indices, *dataset.labels.values(), dataset.subset([1, 2]).indices):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 9
    dataset.labels.clear()
    assert dataset.labels
    multilabel = mm.load("cxr/disease labels", root=built_root)
    before = multilabel.labels[0].tolist()
    multilabel[0][1].fill_(7)
    image = multilabel[0][0]
    image.fill_(0)
    assert multilabel[0][1].tolist() == before
    assert multilabel[0][0].any()


def test_a_subset_keeps_its_order_and_what_it_is_of(built_root):
    dataset = mm.load("cxr", root=built_root, split=["val", "train"], rgb=True)
    places = np.random.default_rng(0).permutation(len(dataset))[:7]
    part = dataset.subset(places)
    assert same(part.__getitems__(range(7)), dataset.__getitems__(places))
    assert (part.tasks, part.splits, part.channels, len(part)) == (dataset.tasks, ("val", "train"), 3, 7)
    assert same(part.subset([6, 0])[0], part[6])
    task = part.tasks[0].name
    assert np.array_equal(part.labels[task], dataset.labels[task][places])
    with pytest.raises(UsageError, match="each sample once, but 3 comes several times"):
        dataset.subset([3, 1, 3])


def test_subjects_are_those_of_the_samples(built_root, monkeypatch):
    dataset = mm.load("bus", root=built_root, split="test")
    codes = np.arange(len(dataset.stored)) // 3
    monkeypatch.setattr(StoredDataset, "subjects", lambda self: codes, raising=False)
    assert np.array_equal(dataset.subjects(), codes[dataset.indices])
    assert np.array_equal(dataset.subset([4, 1]).subjects(), codes[dataset.indices[[4, 1]]])
    monkeypatch.setattr(StoredDataset, "subjects", lambda self: None)
    assert dataset.subjects() is None


def test_grey_becomes_rgb_on_request(built_root):
    grey, rgb = (mm.load("bus/malignancy", root=built_root, rgb=rgb) for rgb in (False, True))
    assert (grey.channels, grey.image_shape) == (1, (1, 224, 224))
    assert (rgb.channels, rgb.image_shape) == (3, (3, 224, 224))
    assert torch.equal(rgb[4][0], grey[4][0].repeat(3, 1, 1))
    images, _ = next(iter(DataLoader(rgb, batch_size=4)))
    assert images.shape == (4, 3, 224, 224)
    images.fill_(1)  # a batch is ordinary memory
    colour = [mm.load("pbc/cell class", root=built_root, rgb=rgb)[0][0] for rgb in (False, True)]
    assert torch.equal(*colour)


def test_a_transform_gets_each_image(built_root):
    seen = []
    dataset = mm.load("bus/malignancy", root=built_root, transform=lambda image: seen.append(image) or len(seen))
    assert [image for image, _ in dataset.__getitems__([3, 5])] == [1, 2]
    assert torch.equal(seen[1], mm.load("bus/malignancy", root=built_root)[5][0])


@pytest.mark.parametrize(("name", "rgb", "channels"), [("bus", False, 1), ("bus", True, 3), ("pbc", False, 3)])
def test_transforms_of_torchvision_take_tensors_and_pil_images(built_root, name, rgb, channels):
    both = v2.Compose([v2.Resize(40), v2.CenterCrop(32), v2.RandomHorizontalFlip(1.0)])
    tensors = mm.load(name, root=built_root, rgb=rgb, transform=both)
    pictures = mm.load(name, root=built_root, rgb=rgb, transform=v2.Compose([both, v2.PILToTensor()]), pil=True)
    assert tensors[3][0].shape == pictures[3][0].shape == (channels, 32, 32)
    assert (tensors[3][0].int() - pictures[3][0].int()).abs().max() <= 2  # they interpolate a little differently
    normal = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5])])
    assert mm.load(name, root=built_root, rgb=rgb, transform=normal)[0][0].dtype is torch.float32


@pytest.mark.parametrize(("name", "rgb", "mode"), [("bus", False, "L"), ("bus", True, "RGB"), ("pbc", True, "RGB")])
def test_pil_images_are_the_pixels_and_their_own(built_root, name, rgb, mode):
    dataset = mm.load(name, root=built_root, rgb=rgb, pil=True)
    image = dataset[2][0]
    assert isinstance(image, Image.Image)
    assert image.mode == mode
    expected = mm.load(name, root=built_root, rgb=rgb)[2][0]
    assert np.array_equal(np.asarray(image).reshape(224, 224, -1), expected.permute(1, 2, 0))
    image.putpixel((0, 0), 7 if mode == "L" else (7, 7, 7))
    assert np.array_equal(np.asarray(dataset[2][0]).reshape(224, 224, -1), expected.permute(1, 2, 0))


@pytest.mark.parametrize(("name", "method"), [("pbc/cell class", "fork"), ("cxr", "fork"), ("pbc", "spawn")])
def test_workers_of_a_dataloader_give_the_same_batches(built_root, name, method):
    dataset = mm.load(name, root=built_root, split="val")
    dataset[0]  # opened before workers start
    plain = list(DataLoader(dataset, batch_size=5))
    workers = 1 if method == "spawn" else 2  # each imports PyTorch anew
    with_workers = DataLoader(dataset, batch_size=5, num_workers=workers, multiprocessing_context=method)
    assert same(list(with_workers), plain)
    assert same([image for images, _ in plain for image in images], [image for image, _ in dataset])


def test_it_pickles_small_and_comes_back_whole(built_root):
    for dataset in (
        mm.load("cxr/disease labels", root=built_root, original_split="train", rgb=True, transform=torch.mean),
        mm.load("bus", root=built_root, split=["val", "test"], pil=True),
        mm.load("pbc/cell class", root=built_root).subset([30, 3, 5]),
    ):
        assert dataset.stored.manifest
        pickled = pickle.dumps(dataset)
        assert len(pickled) < 12_000
        again = pickle.loads(pickled)
        assert repr(again) == repr(dataset)
        assert (again.transform, again.rgb, again.pil) == (dataset.transform, dataset.rgb, dataset.pil)
        assert np.array_equal(again.indices, dataset.indices)
        before, after = ({card.name: data.class_indices(card) for card in data.tasks} for data in (dataset, again))
        assert all(np.array_equal(after[name], labels) for name, labels in before.items())
        assert not again.indices.flags.writeable
        if dataset.transform is None and not dataset.pil:
            assert same(again[1], dataset[1])


def test_the_size_of_a_pickle_does_not_grow_with_the_samples(built_root):
    whole = mm.load("pbc/cell class", root=built_root)
    few = whole.subset([0, 1])
    assert len(pickle.dumps(whole)) <= len(pickle.dumps(few))
    assert len(pickle.dumps(whole.subset(range(80)))) - len(pickle.dumps(few)) < 80 * 5


def other_labels(folder):
    path = folder / "task_labels" / "malignancy.npy"
    np.save(path, 1 - np.load(path))


def other_split(folder):
    train, test = (folder / "splits" / f"{split}.txt" for split in ("train", "test"))
    moved, *left = test.read_text().split("\n")
    train.write_text(f"{train.read_text()}\n{moved}")
    test.write_text("\n".join(left))


@pytest.mark.parametrize("change", [other_labels, other_split])
def test_a_pickle_of_a_dataset_that_was_changed_is_refused(own_bus, change):
    pickled = pickle.dumps(mm.load("bus", root=own_bus, split="train"))
    assert len(pickle.loads(pickled))
    change(own_bus / "bus")
    with pytest.raises(ChangedStoreError, match="bus: labels or splits are no longer those that were loaded"):
        pickle.loads(pickled)


def test_a_pickle_of_a_subset_has_nothing_to_do_with_splits(own_bus):
    pickled = pickle.dumps(mm.load("bus", root=own_bus, split="train").subset([2, 1]))
    other_split(own_bus / "bus")
    assert len(pickle.loads(pickled)) == 2
    other_labels(own_bus / "bus")
    with pytest.raises(ChangedStoreError):
        pickle.loads(pickled)


def test_an_empty_split_of_our_own_is_an_empty_dataset(own_bus):
    (own_bus / "bus" / "splits" / "val.txt").write_text(split_text([]))
    dataset = mm.load("bus/malignancy", root=own_bus, split="val")
    assert len(dataset) == 0
    assert dataset.__getitems__([]) == []
    assert {count.positive for count in dataset.class_counts().values()} == {0}
    images, labels = mm.load_arrays("bus/malignancy", root=own_bus, split="val")
    assert (images.shape, labels.shape) == ((0, 224, 224), (0,))


def test_arrays_are_mapped_where_their_images_are_neighbours(own_bus):
    parts = {"train": list(range(10, 30)), "val": [9], "test": [0, 2, 4]}
    for split, indices in parts.items():
        (own_bus / "bus" / "splits" / f"{split}.txt").write_text(split_text(indices))
    stored = open_dataset("bus", own_bus)
    everything = stored.images.read(range(30))
    for splits, mapped in (
        (["train"], True),
        (["val"], True),
        (["train", "val"], True),
        (["test"], False),
        (["test", "train"], False),
    ):
        wanted = sorted(index for split in splits for index in parts[split])
        images, labels = mm.load_arrays("bus/malignancy", root=own_bus, split=splits)
        assert isinstance(images, np.memmap) == mapped
        assert images.flags.writeable != mapped
        assert np.array_equal(images, everything[wanted])
        assert np.array_equal(labels, stored.labels("malignancy")[wanted])


def test_arrays_need_no_learning_framework(built_root):
    code = f"""
import sys
import medimeta as mm
images, labels = mm.load_arrays('bus/malignancy', root={str(built_root)!r}, split='test', original_split='train')
assert len(images) == len(labels) > 0
assert not {{'torch', 'pandas', 'PIL', 'lightning', 'sklearn'}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
