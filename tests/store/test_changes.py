"""A dataset that is replaced, changed or removed while it is open is told, and never read as if it were the same."""

import json
import multiprocessing
import os
import pickle
import shutil

import numpy as np
import pytest

import medimeta as mm
from medimeta.errors import ChangedStoreError, DamagedStoreError, StoreError
from medimeta.store.reader import StoredDataset, open_dataset


def replaced(folder):
    copy = shutil.copyfile(folder / "images.hdf5", folder / "new")
    copy.replace(folder / "images.hdf5")


def written_over(folder):
    path = folder / "images.hdf5"
    before = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    os.utime(path, ns=(before, before + 1_000_000))  # clocks of file systems may be too coarse for a test


def removed(folder):
    (folder / "images.hdf5").unlink()


def folder_removed(folder):
    shutil.rmtree(folder)


def longer(folder):
    with (folder / "images.hdf5").open("ab") as file:
        file.write(b"\0")


CHANGES = {
    replaced: "replaced",
    written_over: "changed",
    removed: "removed",
    folder_removed: "removed",
    longer: "changed",
}
USES = {
    "read": lambda stored: stored.images.read([3]),
    "map": lambda stored: stored.images.as_memory_map(),
    "labels": lambda stored: stored.labels("malignancy"),
    "split": lambda stored: stored.split("train"),
    "annotations": lambda stored: next(stored.annotations()),
    "fingerprint": lambda stored: stored.fingerprint(),
    "check": lambda stored: stored.images.check(),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("use", ["read", "map", "labels", "split", "check"])
def test_a_change_is_told_whatever_is_asked_for(bus, change, use):
    stored = open_dataset("bus", bus.parent)
    stored.images.read([3])
    again = pickle.loads(pickle.dumps(stored))
    change(bus)
    for dataset in (stored, again):
        with pytest.raises(
            ChangedStoreError, match=f"was {CHANGES[change]} since it was opened.*[Ll]oad the dataset again"
        ):
            USES[use](dataset)


@pytest.mark.parametrize("use", USES)
def test_a_dataset_that_was_built_again_at_its_place_is_told(bus, originals, use):
    stored = open_dataset("bus", bus.parent)
    again = pickle.loads(pickle.dumps(stored))
    mm.build("bus", originals, bus.parent, size=16, workers=1, allow_partial=True, overwrite=True)
    for dataset in (stored, again):
        with pytest.raises(ChangedStoreError, match="images.hdf5: was replaced"):
            USES[use](dataset)
    assert open_dataset("bus", bus.parent).images.read([3]).shape == (1, 16, 16)


def test_chunked_files_are_watched_too(of_others):
    stored = open_dataset("pbc", of_others.parent)
    stored.images.read([0])
    replaced(of_others)
    with pytest.raises(ChangedStoreError, match="was replaced"):
        stored.images.read([0])


def test_what_took_the_place_of_a_file_may_be_anything(bus):
    stored = pickle.loads(pickle.dumps(open_dataset("bus", bus.parent)))
    (bus / "new").write_bytes(b"short")
    (bus / "new").replace(bus / "images.hdf5")
    with pytest.raises(ChangedStoreError, match="was replaced"):
        stored.images.read([29])


def test_a_pickled_dataset_whose_description_went_with_it_is_told(bus):
    stored = pickle.loads(pickle.dumps(open_dataset("bus", bus.parent)))
    replaced(bus)
    with pytest.raises(ChangedStoreError, match="was replaced"):
        stored.info  # noqa: B018


def _told(stored, answers):
    try:
        stored.images.read([0])
        answers.put("read")
    except StoreError as error:
        answers.put(type(error).__name__)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_sees_that_the_file_is_another_one(bus):
    context = multiprocessing.get_context("fork")
    stored, answers = open_dataset("bus", bus.parent), context.SimpleQueue()
    stored.images.read([0])
    replaced(bus)
    child = context.Process(target=_told, args=(stored, answers))
    child.start()
    child.join(60)
    assert answers.get() == "ChangedStoreError"


def test_a_file_cut_short_while_in_use_is_told_and_does_not_end_the_process(bus):
    stored = open_dataset("bus", bus.parent)
    os.truncate(bus / "images.hdf5", stored.images.offset + 10 * 224 * 224)
    for index in (9, 20):  # what is left may not be what it was either
        with pytest.raises(DamagedStoreError, match="cut short: build or download the dataset again"):
            stored.images.read([index])


def test_a_folder_may_be_read_from_another_working_directory(bus, monkeypatch, tmp_path):
    monkeypatch.chdir(bus.parent)
    stored = open_dataset("bus", ".")
    monkeypatch.chdir(tmp_path)
    assert stored.images.read([0]).shape == (1, 224, 224)
    assert len(stored.labels("malignancy")) == 30


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"samples": 31}, "samples: it says 31, the files say 30"),
        ({"dataset": "pbc"}, "dataset: it says pbc, the files say bus"),
        ({"settings": {"size": 64}}, "size of images: it says 64, the files say 224"),
    ],
)
def test_a_manifest_of_other_files_is_told_before_the_first_read(bus, fields, message):
    raw = json.loads((bus / "manifest.json").read_text())
    (bus / "manifest.json").write_text(json.dumps(raw | fields))
    with pytest.raises(DamagedStoreError, match=f"manifest.json: does not fit the files beside it.\n  - {message}\n"):
        open_dataset("bus", bus.parent)
    assert len(mm.verify("bus", bus.parent).problems) <= 1  # verification reports by itself


def test_an_image_file_of_another_length_than_the_manifest_says_is_told_before_the_first_read(bus):
    longer(bus)
    with pytest.raises(DamagedStoreError, match=r"bytes of images.hdf5: it says \d+, the files say \d+"):
        mm.load("bus", root=bus.parent)


def test_the_fingerprint_is_of_labels_and_splits_as_they_are(bus):
    before = open_dataset("bus", bus.parent)
    assert before.fingerprint() == before.manifest.fingerprint()
    labels = np.load(bus / "task_labels" / "malignancy.npy")
    np.save(bus / "task_labels" / "malignancy.npy", 1 - labels)
    assert StoredDataset(bus).fingerprint() != before.manifest.fingerprint()
