"""Labels and splits: every form that others write, and every mistake in them told when they are loaded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import medimeta as mm
from medimeta.errors import DamagedStoreError
from medimeta.store.layout import image_name, split_text
from medimeta.store.reader import StoredDataset
from medimeta.store.splits import _any, _plain, read_split, shared_problems


@given(st.sets(st.integers(0, 999_999), max_size=30))
def test_both_ways_of_parsing_give_the_same(indices):
    text = split_text(sorted(indices)).encode()
    assert _plain(text).tolist() == sorted(indices) == _any("file", text).tolist()
    if indices:
        assert _plain(text + b"\n").tolist() == sorted(indices)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"\n", []),
        (b"images/000002.tiff\nimages/000000.tiff", [0, 2]),
        (b"images/000001.tiff\r\nimages/000003.tiff\r\n", [1, 3]),
        (b"\xef\xbb\xbfimages/000001.tiff\n\n", [1]),
        (b"images\\000001.tiff\n  images/0000004.tif \n", [1, 4]),
    ],
)
def test_split_files_of_others_are_read(tmp_path, text, expected):
    (tmp_path / "train.txt").write_bytes(text)
    found = read_split(tmp_path / "train.txt", 5)
    assert found.dtype == np.int64
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "images/000001.tiff\nimages/٠٠٠٠٠٢.tiff",
            "train.txt, line 2: expected a name such as images/000000.tiff, got",
        ),
        ("images/00000a.tiff", "train.txt, line 1: expected a name such as"),
        ("images/000001.png", "train.txt, line 1: expected a name such as"),
        ("images/000001.tiffimages/000002.tiff", "train.txt, line 1: expected a name such as"),
        ("images/" + "9" * 5000 + ".tiff", "train.txt, line 1: expected a name such as"),
        ("images/000005.tiff", "names sample 5, but there are 5 samples"),
        ("images/999999999999999999.tiff", "names sample 999999999999999999, but there are 5 samples"),
        (f"{image_name(1)}\n{image_name(0)}\n{image_name(1)}", "train.txt: names sample 1 twice."),
        (f"{image_name(3)}\n" * 3, "train.txt: names sample 3 twice, and 1 more"),
    ],
)
def test_split_files_that_cannot_be_are_told(tmp_path, text, message):
    (tmp_path / "train.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DamagedStoreError) as told:
        read_split(tmp_path / "train.txt", 5)
    assert message in str(told.value)


def test_a_split_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DamagedStoreError, match="train.txt: is not text"):
        read_split(tmp_path / "train.txt", 5)
    (tmp_path / "val.txt").mkdir()
    with pytest.raises(DamagedStoreError, match="val.txt: does not read"):
        read_split(tmp_path / "val.txt", 5)


def test_what_splits_share_is_told_pair_by_pair():
    splits = {"train": np.array([0, 1, 2]), "val": np.array([1, 2, 3]), "test": np.array([4, 0])}
    assert list(shared_problems(splits, "splits", 5)) == [
        "splits: sample 1 is in more than one split, in train and in val, and so are 1 others",
        "splits: sample 0 is in more than one split, in train and in test",
    ]


def test_splits_that_overlap_are_told_when_any_of_them_is_loaded(bus):
    val, test = bus / "splits" / "val.txt", bus / "splits" / "test.txt"
    test.write_text(test.read_text() + "\n" + val.read_text().split("\n")[0])
    for split in ("val", "train"):
        with pytest.raises(
            DamagedStoreError, match="has splits that overlap.\n  - splits: sample .* in val and in test"
        ):
            mm.load("bus/malignancy", root=bus.parent, split=split)


def test_a_split_file_is_missed_only_where_it_is_asked_for(bus):
    (bus / "splits" / "val.txt").unlink()
    stored = StoredDataset(bus)
    assert len(stored.split("train"))
    assert stored.split("val", original=True).tolist() == []
    with pytest.raises(DamagedStoreError, match="val.txt: is missing"):
        stored.split("train", "val")
    assert "splits/val.txt: is missing" in mm.verify("bus", bus.parent).problems


def test_labels_that_the_card_does_not_know_are_told_with_their_first_sample(built_root, tmp_path):
    for task, bad, place in (("bus/malignancy", 7, 3), ("dr_regular/Clarity", 2, 4), ("cxr/disease labels", -1, 5)):
        name, _, task = task.partition("/")
        stored = StoredDataset(built_root / name)
        labels = stored.labels(task).copy()
        labels.reshape(len(labels), -1)[place, -1] = bad
        stored.folder = tmp_path / name  # its labels are looked for there
        (stored.folder / "task_labels").mkdir(parents=True)
        np.save(stored.folder / "task_labels" / f"{task}.npy", labels)
        with pytest.raises(
            DamagedStoreError, match=rf"holds \[{bad}\], which .* the first is that of sample {place}\."
        ):
            stored.labels(task)
