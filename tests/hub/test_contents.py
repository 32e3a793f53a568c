"""What was unpacked is the dataset of the card, whole, or refused with all that is wrong; its manifest says whence."""

import json
import shutil

import h5py
import numpy as np
import pytest
import yaml
from tests.hub.releases import pack_zip
from tests.interop.conftest import write_release

import medimeta as mm
from medimeta.errors import ReleaseMismatchError, StoreError
from medimeta.hub.contents import check_contents, expected_bytes, most_bytes, write_download_manifest
from medimeta.hub.telling import Teller
from medimeta.hub.unpack import unpack
from medimeta.store.manifest import DownloadOrigin, digest_files, read_manifest
from medimeta.store.reader import open_dataset

ORIGIN = DownloadOrigin(
    record="10.5281/zenodo.7884735",
    url="https://zenodo.org/api/records/7884735/files/bus.zip/content",
    archive="bus.zip",
    bytes=51430,
    checksum="md5:efdebdeaa634c4889f6b9f10249de4f8",
    date="2026-11-27",
)


@pytest.fixture
def bus(releases, tmp_path):
    """A copy of the released bus dataset, to be changed."""
    return shutil.copytree(releases.root / "bus", tmp_path / "bus")


def change_info(folder, **fields):
    raw = yaml.safe_load((folder / "info.yaml").read_text())
    (folder / "info.yaml").write_text(yaml.safe_dump(raw | fields, sort_keys=False))


def change_task(folder, index, **fields):
    tasks = yaml.safe_load((folder / "info.yaml").read_text())["tasks"]
    tasks[index] |= fields
    change_info(folder, tasks=tasks)


def problems(folder, dataset="bus"):
    with pytest.raises(ReleaseMismatchError) as caught:
        check_contents(folder, mm.dataset(dataset))
    assert str(folder) in str(caught.value)
    return list(caught.value.problems)


def record(folder, departures=(), dataset="bus"):
    return write_download_manifest(folder, mm.dataset(dataset), digest_files(folder, {}), ORIGIN, departures)


# --- against the card


def test_what_departs_from_the_catalogue_is_told_in_sentences(bus):
    assert check_contents(bus, mm.dataset("bus")) == (
        "holds 15 samples, the catalogue says 780",
        "its splits hold train 10, val 1, test 4, the catalogue says train 546, val 78, test 156",
        "its original splits hold train 15, val 0, test 0, the catalogue says train 780, val 0, test 0",
        "its images have 32 x 32 pixels, those of the release 224 x 224",
    )


def test_a_dataset_as_the_catalogue_has_it_departs_in_nothing(tmp_path, change_card):
    """A folder as others write it: no manifest, no file for an original split without samples, bare annotations."""
    release = write_release(tmp_path / "grey", "grey")
    with h5py.File(release.folder / "images.hdf5", "w") as file:
        file.create_dataset("images", data=np.zeros((40, 224, 224), np.uint8))
    change_info(release.folder, id="bus", input_size=[1, 224, 224])
    tasks = tuple(task.model_copy(update={"dataset": "bus"}) for task in open_dataset("grey", tmp_path).info.tasks)
    counts = {"total": 40, "train": 28, "val": 4, "test": 8}, {"total": 40, "train": 35, "val": 0, "test": 5}
    samples, original = (type(mm.dataset("bus").samples)(**each) for each in counts)
    change_card("bus", domain="Nowhere", tasks=tasks, samples=samples, original_samples=original)
    lacking = "its annotations.csv lacks the columns split, tasks/kind, tasks/is bad, tasks/marks, tasks/grade"
    assert check_contents(release.folder, mm.dataset("bus")) == (lacking,)
    text = (release.folder / "annotations.csv").read_text().replace("filepath", "filepath,split")
    (release.folder / "annotations.csv").write_text(text)  # no cells: every row differs
    assert "should be" in problems(release.folder)[0]


def test_other_names_are_told_and_allowed(bus):
    change_info(bus, domain="Sonography")
    change_task(bus, 0, labels={0: "normal", 1: "bengin", 2: "malign"})
    found = check_contents(bus, mm.dataset("bus"))
    assert "its domain is 'Sonography', the catalogue says 'Breast ultrasound'" in found
    label = "label 1 of its task 'case category' is 'bengin', the catalogue says 'benign', and 1 more"
    assert label in found


def test_another_spelling_of_a_task_is_told_and_allowed(bus):
    change_task(bus, 1, task_name="Malignancy")
    (bus / "task_labels" / "malignancy.npy").rename(bus / "task_labels" / "Malignancy.npy")
    text = (bus / "annotations.csv").read_text().replace("tasks/malignancy", "tasks/Malignancy")
    (bus / "annotations.csv").write_text(text)
    assert "its task 'Malignancy' is called 'malignancy' in the catalogue" in check_contents(bus, mm.dataset("bus"))


def test_another_dataset_is_named_once(bus):
    assert problems(bus, "pbc") == ["info.yaml: is that of 'bus', expected 'pbc'"]


def other_channels(folder):
    change_info(folder, input_size=[3, 32, 32])
    with h5py.File(folder / "images.hdf5", "w") as file:
        file.create_dataset("images", data=np.zeros((15, 32, 32, 3), np.uint8))


def other_task(folder):
    change_task(folder, 1, task_name="mood")
    (folder / "task_labels" / "malignancy.npy").rename(folder / "task_labels" / "mood.npy")


def other_target(folder):
    change_task(folder, 0, task_target="ORDINAL_REGRESSION")


def other_keys(folder):
    change_task(folder, 0, labels={0: "normal", 1: "benign", 2: "malignant", 3: "unknown"})


def other_total(folder):
    change_info(folder, total_num_samples=16)


def other_split_count(folder):
    change_info(folder, splits_num_samples={"train": 9, "val": 1, "test": 4})


def other_original_split_count(folder):
    change_info(folder, original_splits_num_samples={"train": 14, "val": 1, "test": 0})


def no_tiff(folder):
    (folder / "images" / "000003.tiff").unlink()


def more_tiff(folder):
    (folder / "images" / "000015.tiff").write_bytes(b"")


def no_labels(folder):
    (folder / "task_labels" / "malignancy.npy").unlink()


def torn_split(folder):
    (folder / "splits" / "val.txt").write_text("")


def cut_images(folder):
    data = (folder / "images.hdf5").read_bytes()
    (folder / "images.hdf5").write_bytes(data[:-1000])


def no_images(folder):
    (folder / "images.hdf5").unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_channels, "images: have 3 channels, expected 1 channel"),
        (other_task, "task 'malignancy': is missing"),
        (other_task, "task 'mood': is none of bus"),
        (other_target, "task 'case category': is ordinal, expected multi-class"),
        (other_keys, "task 'case category': has the labels 0, 1, 2, 3, expected 0, 1, 2"),
        (other_total, "info.yaml: total_num_samples is 16, but there are 15"),
        (other_split_count, "info.yaml: splits_num_samples of train is 9, but there are 10"),
        (other_original_split_count, "info.yaml: original_splits_num_samples of val is 1, but there are 0"),
        (no_tiff, "images: 1 files are missing, the first is 000003.tiff"),
        (more_tiff, "images: 1 files are of no sample, the first is 000015.tiff"),
        (no_labels, "malignancy.npy: is missing"),
        (torn_split, "splits: 1 samples are in no split"),
        (cut_images, "images.hdf5: is not a whole HDF5 file"),
        (no_images, "images.hdf5"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_wrong_is_told(bus, change, said):
    change(bus)
    assert any(said in problem for problem in problems(bus))


def test_all_that_is_wrong_is_told_at_once(bus):
    for change in (other_target, other_split_count, no_tiff, no_labels):
        change(bus)
    assert len(problems(bus)) >= 4


# --- the manifest


def test_the_manifest_says_whence_it_came_and_what_departs(bus):
    departures = check_contents(bus, mm.dataset("bus"))
    manifest = record(bus, departures)
    assert manifest == read_manifest(bus)
    assert (manifest.dataset, manifest.recipe, manifest.recipe_version, manifest.sources) == ("bus", None, None, ())
    assert (manifest.partial, manifest.departures, manifest.samples) == (True, departures, 15)
    assert manifest.settings == {"size": 32}
    assert manifest.download == ORIGIN
    assert manifest.files == digest_files(bus, {})


def test_a_dataset_with_its_manifest_is_verified_deep_and_loads(bus):
    """What reads manifests copes with one that names no recipe."""
    record(bus, ("holds 15 samples, the catalogue says 780",))
    report = mm.verify("bus", bus.parent, deep=True)
    assert report.ok
    assert "https://zenodo.org/api/records/7884735/files/bus.zip/content" in report.text()
    assert "downloaded on 2026-11-27" in report.text()
    assert "departs from the catalogue: holds 15 samples, the catalogue says 780" in report.text()
    assert len(mm.load("bus/malignancy", root=bus.parent)) == 15
    assert open_dataset("bus", bus.parent).fingerprint() == open_dataset("bus", bus.parent).manifest.fingerprint()


def test_a_dataset_that_departs_in_nothing_is_not_partial(bus):
    manifest = record(bus)
    assert (manifest.partial, manifest.departures) == (False, ())


@pytest.fixture
def own(releases, tmp_path):
    """A copy of bus as this package built it, with its manifest: what a group may serve."""
    return shutil.copytree(releases.built / "bus", tmp_path / "root" / "bus")


def test_a_manifest_that_was_brought_keeps_what_it_says_of_the_build(releases, tmp_path, own):
    archive = pack_zip(own, tmp_path / "bus.zip")
    found = unpack(archive, tmp_path / "into", most_bytes(mm.dataset("bus")), Teller("bus"))
    before = read_manifest(found.folder)
    departures = check_contents(found.folder, mm.dataset("bus"))
    manifest = write_download_manifest(found.folder, mm.dataset("bus"), found.files, ORIGIN, departures)
    assert manifest == before.model_copy(update={"download": ORIGIN})
    assert manifest.recipe == "bus"
    assert mm.verify("bus", found.folder.parent, deep=True).ok


def test_files_that_are_not_those_of_the_brought_manifest_are_told(own):
    """Of images the quick check knows the length alone; here every digest counts."""
    with (own / "images.hdf5").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    (own / "images" / "000003.tiff").unlink()
    files = digest_files(own, {})
    with pytest.raises(ReleaseMismatchError) as caught:
        write_download_manifest(own, mm.dataset("bus"), files, ORIGIN, ())
    changed, missing = caught.value.problems
    assert missing == "images/000003.tiff: is missing"
    assert changed.startswith(f"images.hdf5: is another file (its SHA-256 is {files['images.hdf5'].sha256}, expected ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dataset": "pbc"}, "it is that of 'pbc', expected 'bus'"),
        ({"settings": {"size": 224}}, "images of 224 pixels"),
    ],
    ids=["dataset", "size"],
)
def test_a_brought_manifest_of_another_dataset_is_told(own, change, said):
    raw = json.loads((own / "manifest.json").read_text())
    (own / "manifest.json").write_text(json.dumps(raw | change))
    with pytest.raises(ReleaseMismatchError, match=said):
        record(own)


def test_a_brought_manifest_that_does_not_read_is_told(own):
    (own / "manifest.json").write_text("{}")
    assert any("is not a manifest" in problem for problem in problems(own))
    with pytest.raises(ReleaseMismatchError, match="is not a manifest"):
        record(own)


def test_a_manifest_that_cannot_be_written_is_an_error_of_the_store(bus):
    files = digest_files(bus, {})
    (bus / "manifest.json").symlink_to(bus / "nowhere" / "manifest.json")
    with pytest.raises(StoreError, match="cannot be written"):
        write_download_manifest(bus, mm.dataset("bus"), files, ORIGIN, ())


# --- room


@pytest.mark.parametrize("card", mm.datasets(), ids=lambda card: card.id)
def test_the_bound_lies_above_what_is_expected_and_above_larger_images(card):
    images = 2 * card.samples.total * card.channels
    assert images * 224**2 < expected_bytes(card) < 1.2 * images * 224**2
    assert images * 512**2 < most_bytes(card) < 30 * images * 224**2 + 2e9
