"""The class for scripts of the released package."""

import hashlib
import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import medimeta as mm
from medimeta.interop.released import MedIMeta, get_available_datasets, get_available_tasks

CASES = [
    ["grey", "kind", {"split": "train"}],
    ["grey", "is bad", {"split": ["val", "train"]}],
    ["colour", "marks", {"original_split": "test"}],
    ["colour", "grade", {"original_split": ["test", "train"]}],
    ["colour", "kind", {"use_hdf5": False, "split": "val"}],
    ["grey", "marks", {}],
    ["colour", "is bad", {"split": "test"}],
]


def test_the_items_are_float_images_and_tensors(release):
    ds = MedIMeta(release.root, "colour", "grade", split="test")
    indices = np.sort(release.colour.splits["test"])
    assert ds.split_indices == indices.tolist()
    for place, index in enumerate(indices):
        image, label = ds[place]
        expected = (release.colour.images[index].astype(np.float32) / 255 - 0.5) / 0.5
        assert image.dtype == torch.float32
        assert image.is_contiguous()
        assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)
        assert label.dtype == torch.int64
        assert label.item() == release.colour.labels["grade"][index]
    assert torch.equal(ds[-1][0], ds[len(ds) - 1][0])


@pytest.mark.parametrize(
    ("task", "shape"), [("kind", (40,)), ("is bad", (40, 1)), ("marks", (40, 3)), ("grade", (40,))]
)
def test_labels_have_the_shape_that_losses_need(release, task, shape):
    ds = MedIMeta(release.root, "grey", task)
    assert ds.labels.shape == shape
    assert tuple(ds[0][1].shape) == shape[1:]
    assert np.array_equal(ds.labels.reshape(-1), release.grey.labels[task].reshape(-1))
    assert next(iter(DataLoader(ds, batch_size=5)))[1].shape == (5, *shape[1:])


def test_samples_are_counted_by_class(release):
    kinds, marks = release.grey.labels["kind"], release.grey.labels["marks"]
    ds = MedIMeta(release.root, "grey", "kind")
    assert ds.get_num_samples_per_class().tolist() == np.bincount(kinds, minlength=3).tolist()
    assert ds.get_num_samples_per_class(neg=True).tolist() == (40 - np.bincount(kinds, minlength=3)).tolist()
    assert MedIMeta(release.root, "grey", "marks").get_num_samples_per_class().tolist() == marks.sum(axis=0).tolist()
    grades = [int((release.grey.labels["grade"] == grade).sum()) for grade in (1, 4, 10)]
    assert MedIMeta(release.root, "grey", "grade").get_num_samples_per_class().tolist() == grades
    [positive] = MedIMeta(release.root, "grey", "is bad").get_num_samples_per_class()
    assert positive == release.grey.labels["is bad"].sum()


@pytest.mark.parametrize(("name", "mode"), [("grey", "L"), ("colour", "RGB")])
def test_a_transform_gets_a_picture(release, name, mode):
    image, _ = MedIMeta(release.root, name, "kind", transform=lambda picture: picture)[3]
    assert image.mode == mode
    assert np.array_equal(np.asarray(image), getattr(release, name).images[3])


def test_tiff_files_give_the_same(own_release):
    root = own_release.folder.parent
    fast = MedIMeta(root, "colour", "kind", split="val")
    slow = MedIMeta(root, "colour", "kind", split="val", use_hdf5=False)
    (own_release.folder / "images.hdf5").unlink()
    without = MedIMeta(root, "colour", "kind", split="val", use_hdf5=False)
    for index in range(len(fast)):
        assert torch.equal(slow[index][0], without[index][0])
    assert torch.equal(
        slow[1][0], (torch.from_numpy(own_release.images[slow.split_indices[1]]).permute(2, 0, 1) / 255 - 0.5) / 0.5
    )


def test_several_splits_come_together(release):
    ds = MedIMeta(release.root, "grey", "kind", split=["val", "test"])
    assert ds.split_indices == sorted([*release.grey.splits["val"], *release.grey.splits["test"]])
    assert ds.get_split_indices("train") == sorted(release.grey.splits["train"])
    assert ds.get_split_indices("test", use_original_split=True) == sorted(release.grey.original_splits["test"])
    assert MedIMeta(release.root, "grey", "kind").split_indices is None


def test_a_folder_tells_what_it_has(release):
    assert get_available_datasets(release.root) == ["colour", "grey"]
    assert get_available_tasks(release.root)["grey"] == ["kind", "is bad", "marks", "grade"]
    assert MedIMeta.get_info_dict(release.root, "grey")["total_num_samples"] == 40


def test_a_renamed_folder_is_found_by_its_id(own_release):
    moved = own_release.folder.rename(own_release.folder.with_name("other"))
    ds = MedIMeta(moved.parent, "colour", "kind")
    assert (ds.dataset_id, ds.dataset_subdir, len(ds)) == ("colour", "other", 40)


def test_it_pickles(release):
    ds = MedIMeta(release.root, "grey", "is bad", split="train")
    again = pickle.loads(pickle.dumps(ds))
    assert torch.equal(again[2][0], ds[2][0])


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("grey", "kind"), {"split": "train", "original_split": "train"}, ValueError, "only one of split and original"),
        (("gray", "kind"), {}, ValueError, r"unknown dataset 'gray'. Did you mean 'grey'\?"),
        (("grey", "mark"), {}, ValueError, r"unknown task of grey 'mark'. Did you mean 'marks'\?"),
        (("grey", "kind"), {"split": "tests"}, ValueError, "unknown split 'tests'. Known: train, val, test."),
        (
            ("grey", "kind"),
            {"original_split": "val"},
            ValueError,
            "unknown original split of grey 'val'. Known: test, train.",
        ),
        (("bus", "malignancy"), {}, FileNotFoundError, "is not there"),
    ],
)
def test_wrong_calls_are_named(release, arguments, options, error, message):
    with pytest.raises(mm.MedimetaError, match=message) as caught:
        MedIMeta(release.root, *arguments, **options)
    assert isinstance(caught.value, error)


def test_indices_out_of_range_and_of_other_kinds_are_refused(release):
    ds = MedIMeta(release.root, "grey", "kind", split="test")
    for index in (8, -9):
        with pytest.raises(IndexError, match=f"sample {index} is out of range; there are 8"):
            ds[index]
    with pytest.raises(TypeError):
        ds[1.0]


@pytest.mark.released
def test_it_is_what_the_released_class_is(with_released, with_torchcross, release):
    theirs = with_released("items.py", "medimeta", release.root, json.dumps(CASES))
    ours = with_torchcross("items.py", "medimeta.interop.released", release.root, json.dumps(CASES))
    assert ours == theirs
    assert len(ours["refusals"]) == 6
    assert [case["length"] for case in ours["cases"]] == [28, 32, 5, 40, 4, 40, 8]


@pytest.mark.released
def test_the_released_class_reads_what_we_build(with_released, tiny_root):
    tasks = ["bus/case category", "bus/malignancy", "pbc/cell class", "cxr/disease labels", "dr_regular/Clarity"]
    options = [{"split": split} for split in ("train", "val", "test")] + [{"split": "val", "use_hdf5": False}]
    cases = [[*task.split("/"), each] for task in tasks for each in options]
    seen = with_released("items.py", "medimeta", tiny_root, json.dumps(cases))
    assert seen["datasets"] == ["bus", "cxr", "dr_regular", "pbc"]
    for (dataset, task, each), case in zip(cases, seen["cases"], strict=True):
        ours = mm.load(f"{dataset}/{task}", root=tiny_root, split=each["split"])
        images = ours.stored.images.read(ours.indices)
        assert case["length"] == len(ours) > 0
        assert case["attributes"]["classes"] == {str(key): name for key, name in ours.task.labels.items()}
        assert [digest for _, _, digest in case["pictures"]] == [seen_as(image) for image in images]
        assert case["labels"][2] == seen_as(ours.labels)[2]  # binary ones are a column there


def seen_as(array):
    """Tell an array as the script does."""
    return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def test_released_folders_load_unchanged(release):
    for name, written in (("grey", release.grey), ("colour", release.colour)):
        assert mm.load(name, root=release.root).stored.manifest is None
        for task, labels in written.labels.items():
            for split, indices in written.splits.items():
                images, found = mm.load_arrays(f"{name}/{task}", root=release.root, split=split)
                assert np.array_equal(images, written.images[np.sort(indices)])
                assert np.array_equal(found, labels[np.sort(indices)])
            ds = mm.load(f"{name}/{task}", root=release.root)
            assert np.array_equal(ds.labels, labels)
            assert np.array_equal(ds.stored.split("test", original=True), np.sort(written.original_splits["test"]))


def test_released_folders_train_and_give_episodes(release, tmp_path):
    shutil.copytree(release.grey.folder, tmp_path / "grey")
    ds = mm.load("grey/kind", root=tmp_path, split="train")
    assert sum(len(labels) for _, labels in mm.loader(ds, batch_size=8)) == 28
    assert len(mm.Episodes(ds, shots=1, queries=1)[0].support) == 3
