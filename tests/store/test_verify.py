"""Verification finds every kind of damage, and reports all of it at once."""

import json
import shutil

import numpy as np
import pytest
import yaml

import medimeta as mm
from medimeta.errors import DamagedStoreError
from medimeta.store.manifest import DownloadOrigin, read_manifest, write_manifest


def problems(folder, **arguments):
    return "\n".join(mm.verify(folder.name, folder.parent, **arguments).problems)


def test_a_whole_dataset_has_no_problem(bus, of_others):
    assert mm.verify("bus", bus.parent, deep=True).ok
    report = mm.verify("pbc", of_others.parent)
    assert report.ok
    assert "no manifest" in report.remarks[0]


def damage_label_value(folder):
    labels = np.load(folder / "task_labels" / "malignancy.npy")
    np.save(folder / "task_labels" / "malignancy.npy", np.where(np.arange(len(labels)) == 3, 7, labels))


def damage_label_shape(folder):
    np.save(folder / "task_labels" / "malignancy.npy", np.zeros(4, np.int64))


def damage_label_pickle(folder):
    np.save(folder / "task_labels" / "malignancy.npy", np.array([{}], dtype=object), allow_pickle=True)


def damage_label_missing(folder):
    (folder / "task_labels" / "malignancy.npy").unlink()


def damage_split_twice(folder):
    val, test = folder / "splits" / "val.txt", folder / "splits" / "test.txt"
    test.write_text(test.read_text() + "\n" + val.read_text().split("\n")[0])


def damage_split_incomplete(folder):
    lines = (folder / "splits" / "train.txt").read_text().split("\n")
    (folder / "splits" / "train.txt").write_text("\n".join(lines[1:]))


def damage_split_name(folder):
    (folder / "splits" / "val.txt").write_text("pictures/1.png")


def damage_split_range(folder):
    (folder / "splits" / "val.txt").write_text("images/999999.tiff")


def damage_annotations(folder):
    path = folder / "annotations.csv"
    path.write_text(path.read_text().replace("images/000004.tiff,", "images/000005.tiff,"))


def damage_annotation_rows(folder):
    path = folder / "annotations.csv"
    path.write_text("\n".join(path.read_text().split("\n")[:-3]) + "\n")


def damage_info(folder):
    raw = yaml.safe_load((folder / "info.yaml").read_text())
    raw["tasks"][0]["task_target"] = "GUESSING"
    (folder / "info.yaml").write_text(yaml.safe_dump(raw))


def damage_info_shape(folder):
    raw = yaml.safe_load((folder / "info.yaml").read_text())
    raw["input_size"] = [3, 224, 224]
    (folder / "info.yaml").write_text(yaml.safe_dump(raw))


def damage_manifest(folder):
    (folder / "manifest.json").write_text("{}")


def damage_manifest_version(folder):
    raw = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(raw | {"format_version": 99}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_label_value, "holds [7], which bus/malignancy does not know"),
        (damage_label_shape, "expected integers of shape (30,), got int64 (4,)"),
        (damage_label_pickle, "does not read"),
        (damage_label_missing, "malignancy.npy: is missing"),
        (damage_split_twice, "is in more than one split"),
        (damage_split_incomplete, "1 samples are in no split"),
        (damage_split_name, "expected a name such as images/000000.tiff, got 'pictures/1.png'"),
        (damage_split_range, "names sample 999999, but there are 30 samples"),
        (damage_annotations, "sample 4: filepath should be images/000004.tiff, is images/000005.tiff"),
        (damage_annotation_rows, "has 28 rows for 30 samples"),
        (damage_info, "tasks.0.target"),
        (damage_info_shape, "says images of shape (224, 224, 3)"),
        (damage_manifest, "is not a manifest"),
        (damage_manifest_version, "Upgrade medimeta"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_damage_is_found(bus, damage, message):
    damage(bus)
    assert message in problems(bus)
    with pytest.raises(DamagedStoreError):
        mm.verify("bus", bus.parent).raise_for_problems()


def test_changed_small_files_are_found_without_deep(bus):
    path = bus / "annotations.csv"
    path.write_text(path.read_text().replace("benign (1).png", "benign (9).png", 1))
    assert "annotations.csv: has changed since it was built" in problems(bus)


def test_changed_pixels_are_found_by_deep(bus):
    with (bus / "images.hdf5").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    assert problems(bus) == ""
    assert "images.hdf5: has changed since it was built" in problems(bus, deep=True)


def test_all_problems_come_at_once(bus):
    damage_label_value(bus)
    damage_split_incomplete(bus)
    (bus / "masks" / "000000.tiff").unlink()
    found = problems(bus)
    assert all(part in found for part in ("holds [7]", "are in no split", "masks/000000.tiff: is missing"))


def downloaded(folder, **changes):
    """Give a dataset the manifest of one that was downloaded."""
    origin = DownloadOrigin(
        record="10.5281/zenodo.7884735",
        url=f"https://zenodo.org/{folder.name}.zip",
        archive=f"{folder.name}.zip",
        bytes=1,
        checksum="",
        date="2026-11-27",
    )
    manifest = read_manifest(folder).model_copy(update={"download": origin, "recipe": None, **changes})
    write_manifest(folder, manifest)
    return folder


def way_out(folder, root=None):
    report = mm.verify(folder.name, root or folder.parent, deep=True)
    assert report.text().endswith(report.way_out)
    assert report.as_dict()["way_out"] == report.way_out
    with pytest.raises(DamagedStoreError) as caught:
        report.raise_for_problems()
    assert str(caught.value).endswith(report.way_out)
    return report.way_out


def test_a_downloaded_dataset_says_whence_and_when(bus):
    report = mm.verify("bus", downloaded(bus).parent)
    assert (report.ok, report.way_out, report.fetch_anew) == (True, "", False)
    assert "downloaded on 2026-11-27 from https://zenodo.org/bus.zip, of 10.5281/zenodo.7884735" in report.text()
    assert report.as_dict()["download"]["url"] == "https://zenodo.org/bus.zip"


def test_damage_to_a_download_is_mended_by_fetching_it_anew(bus):
    root = downloaded(bus).parent.rename(bus.parent.with_name("my root"))
    damage_label_value(root / "bus")
    report = mm.verify("bus", root, deep=True)
    assert any("has changed since it was downloaded" in problem for problem in report.problems)
    assert way_out(root / "bus") == f"Fetch it anew: medimeta download bus --overwrite --root '{root}'"
    assert report.fetch_anew


def test_damage_to_a_build_is_mended_by_building_again(bus):
    damage_label_value(bus)
    command = f"medimeta build bus --source PATH --overwrite --root {bus.parent}"
    assert way_out(bus) == f"Build it again: {command}"
    assert mm.verify("bus", bus.parent).as_dict()["download"] is None
    damage_manifest(bus)  # now nobody knows how it came
    assert way_out(bus) == (
        f"Fetch it anew: medimeta download bus --overwrite --root {bus.parent}, or build it again: {command}"
    )


def test_own_data_are_no_dataset_of_the_record(bus):
    folder = bus.rename(bus.with_name("my_cells"))
    write_manifest(folder, read_manifest(folder).model_copy(update={"dataset": "my_cells"}))
    damage_label_value(folder)
    command = f"medimeta build CARD.yaml --source PATH --overwrite --root {folder.parent}"
    assert way_out(folder) == f"Build it again: {command}"
    (folder / "manifest.json").unlink()
    assert way_out(folder) == f"Get it again from where it came, or build it again: {command}"


def test_what_no_longer_opens_still_says_the_way_out(bus):
    (downloaded(bus) / "images.hdf5").write_bytes(b"cut")
    assert way_out(bus) == f"Fetch it anew: medimeta download bus --overwrite --root {bus.parent}"


def drop_column(folder, column):
    path = folder / "annotations.csv"
    path.write_text(path.read_text().replace(f"{column},", "another,", 1))


def test_columns_that_others_leave_out_are_a_remark_and_in_our_own_a_problem(bus):
    drop_column(bus, "tasks/malignancy")
    lacks = "annotations.csv: lacks the columns tasks/malignancy"
    assert lacks in problems(bus)
    copy = shutil.copytree(bus, bus.parent.parent / "other" / "bus")
    (copy / "manifest.json").unlink()
    report = mm.verify("bus", copy.parent)
    assert report.ok
    assert lacks in report.remarks
