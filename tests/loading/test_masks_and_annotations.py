"""Masks and annotations belong to the samples of a dataset, and damage is told."""

import csv
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

import medimeta as mm
from medimeta.errors import DamagedStoreError, MissingDependencyError, SampleIndexError, UsageError


@pytest.fixture
def own_root(built_root, tmp_path):
    """A copy of two datasets that have masks, which a test may damage."""
    for name in ("bus", "glaucoma"):
        shutil.copytree(built_root / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", ["bus", "glaucoma", "organs_axial"])
def test_masks_are_the_files_that_the_annotations_name(built_root, name):
    dataset = mm.load(name, root=built_root, split=["val", "test"])
    columns = dataset.annotations()
    paths = [column for column in columns if column.endswith("mask_path") and not column.startswith("original")]
    assert len(dataset.masks) == len(dataset)
    found = 0
    for place in range(len(dataset)):
        masks = dataset.masks[place]
        assert set(masks) <= set(dataset.masks.kinds)
        named = {columns[path][place] for path in paths} - {""}
        read = {
            kind: f"masks/{dataset.indices[place]:06d}{'' if kind == 'mask' else f'_{kind}'}.tiff" for kind in masks
        }
        assert named <= set(read.values())
        for kind, file in read.items():
            assert masks[kind].dtype == np.uint8
            assert np.array_equal(masks[kind], np.asarray(Image.open(built_root / name / file)))
            found += 1
    assert found


def test_kinds_of_masks(built_root):
    assert mm.load("bus", root=built_root).masks.kinds == ("first", "mask")
    assert mm.load("glaucoma", root=built_root).masks.kinds == ("cup", "disc")
    assert mm.load("organs_coronal", root=built_root).masks.kinds == ("tumour",)


def test_images_without_a_mask_have_none(own_root):
    for path in (own_root / "glaucoma" / "masks").glob("000002_*"):
        path.unlink()
    masks = mm.load("glaucoma", root=own_root).masks
    assert masks[2] == {}
    assert masks[-1].keys() == {"cup", "disc"}


def test_the_masks_of_a_subset_are_its_own(built_root):
    dataset = mm.load("bus", root=built_root)
    before = dataset.masks[7]["mask"]
    assert np.array_equal(dataset.subset([9, 7]).masks[1]["mask"], before)
    with pytest.raises(SampleIndexError):
        dataset.subset([9, 7]).masks[2]


def test_a_dataset_without_masks_says_so(built_root):
    with pytest.raises(UsageError, match="pbc has no masks: .*masks is not there"):
        _ = mm.load("pbc", root=built_root).masks


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"II*\0nothing"), "000003.tiff: does not read"),
        (lambda path: path.write_bytes(path.read_bytes()[:999]), "000003.tiff: does not read"),
        (lambda path: Image.new("L", (9, 7)).save(path), "000003.tiff: is 9x7 pixels, the images 224x224"),
        (lambda path: path.unlink(), "000003.tiff: does not read"),
    ],
    ids=["no image", "cut", "other size", "gone"],
)
def test_a_damaged_mask_is_told(own_root, damage, message):
    masks = mm.load("bus", root=own_root).masks
    damage(own_root / "bus" / "masks" / "000003.tiff")
    with pytest.raises(DamagedStoreError, match=message):
        masks[3]


def test_without_pillow_it_says_what_to_install(built_root, monkeypatch):
    for name in ("PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, name, None)
    dataset = mm.load("bus", root=built_root, pil=True)
    assert dataset.masks.kinds == ("first", "mask")
    for use in (lambda: dataset.masks[0], lambda: dataset[0]):
        with pytest.raises(MissingDependencyError, match=r"this needs PIL, .* pip install 'medimeta\[build\]'"):
            use()


def test_annotations_are_the_rows_of_the_samples(built_root):
    with (built_root / "dr_regular" / "annotations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    dataset = mm.load("dr_regular", root=built_root, split="test").subset([3, 0, 1])
    columns = dataset.annotations()
    assert list(columns) == list(rows[0])
    for place, index in enumerate(dataset.indices):
        assert {column: cells[place] for column, cells in columns.items()} == rows[index]


def test_labels_agree_with_the_annotations(built_root):
    dataset = mm.load("dr_regular/Clarity", root=built_root, split="val")
    assert dataset.annotations()["tasks/Clarity"] == [str(label) for label in dataset.labels]


def test_annotations_of_no_samples_have_all_columns(built_root):
    dataset = mm.load("bus", root=built_root)
    empty = dataset.subset([]).annotations()
    assert list(empty) == list(dataset.annotations())
    assert set(map(len, empty.values())) == {0}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: lines[:-1], "has 29 rows for 30 samples"),
        (
            lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
            "sample 0: filepath should be images/000000.tiff, is",
        ),
    ],
)
def test_annotations_that_are_not_the_samples_are_told(own_root, damage, message):
    path = own_root / "bus" / "annotations.csv"
    path.write_text("".join(damage(path.read_text().splitlines(keepends=True))))
    with pytest.raises(DamagedStoreError, match=message):
        mm.load("bus", root=own_root).annotations()
