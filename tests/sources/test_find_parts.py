"""Originals that come in several parts are found part by part, and all parts that are missing are told."""

import shutil
import zipfile

import pytest

from medimeta.errors import DamagedSourceError, SourceNotFoundError
from medimeta.sources.find import Original, Part, find_original

TRAIN = Part(("Train.zip",), frozenset({"images", "tables"}), folder="Train", mount="train")
TEST = Part(("Test.zip",), frozenset({"images", "tables"}), folder="Test", mount="test")
TWINS = Original("the twins", (TRAIN, TEST))
TREES = {f"{part}/{folder}/{part}": part.encode() for part in ("Train", "Test") for folder in ("Images", "Tables")}

PICTURES = Part(("Task3_Input.zip",), folder="Task3_Input", mount="input", feeds=("one", "two"))
TABLE = Part(("Task3_Truth.zip",), frozenset({"truth.csv"}), mount="truth", required=True)
EXTRA = Part((), frozenset({"lesions.csv"}), mount="extra", feeds=("two",))
TASK = Original("task 3", (PICTURES, TABLE, EXTRA))
FILES = {"Task3_Input/1.jpg": b"1", "Task3_Truth/truth.csv": b"t", "lesions.csv": b"l"}


def of(folder, members):
    """Select what lies in a folder, with the folder."""
    return {name: data for name, data in members.items() if name.startswith(f"{folder}/")}


def check(archive):
    assert archive.folders() == ("test", "train")
    assert archive.read("train/Images/Train") == b"Train"
    assert archive.read("test/Tables/Test") == b"Test"


def check_task(archive):
    assert archive.folders() == ("extra", "input", "truth")
    assert archive.files("input") == ("1.jpg",)
    assert [archive.read(name) for name in ("extra/lesions.csv", "input/1.jpg", "truth/truth.csv")] == [
        b"l",
        b"1",
        b"t",
    ]


@pytest.mark.parametrize("above", ["", "Chaksu/", "my copy/Chaksu/"])
def test_parts_that_hold_the_same_are_told_apart_by_their_folders(zipped, extracted, above):
    members = {above + name: data for name, data in TREES.items()}
    check(find_original(extracted(members), TWINS))
    check(find_original(zipped(members), TWINS))


def test_parts_are_found_in_their_own_archives(zipped, tmp_path):
    zipped(of("Train", TREES), "Train.zip")
    zipped(
        {name.removeprefix("Test/"): data for name, data in of("Test", TREES).items()}, "test.ZIP"
    )  # no folder in it
    check(find_original(tmp_path, TWINS))


def test_one_part_may_be_extracted_and_the_other_not(zipped, extracted, tmp_path):
    zipped(of("Train", TREES), "Train.zip")
    extracted(of("Test", TREES), "extracted")
    check(find_original(tmp_path, TWINS))


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "packed"])
@pytest.mark.parametrize("above", ["", "downloads/", "a/b/c/"])
def test_archives_are_found_within_an_archive(zipped, tmp_path, kind, above):
    with zipfile.ZipFile(tmp_path / "all.zip", "w", kind) as outer:
        for part in ("Train", "Test"):
            outer.write(zipped(of(part, TREES), f"{part}.zip"), f"{above}{part.upper()}.zip")
            (tmp_path / f"{part}.zip").unlink()
    check(find_original(tmp_path / "all.zip", TWINS))
    check(find_original(tmp_path, TWINS))


def test_an_archive_within_an_archive_must_be_whole(zipped, tmp_path):
    path = zipped(of("Train", TREES), "Train.zip")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as outer:
        outer.writestr("Train.zip", path.read_bytes()[:-30])
    with pytest.raises(DamagedSourceError, match=r"all\.zip: Train\.zip: is not a whole zip file"):
        find_original(tmp_path / "all.zip", TWINS)


def test_a_part_without_children_is_the_folder_of_its_name(zipped, extracted):
    for packed in (zipped, extracted):
        check_task(find_original(packed(FILES), TASK))
        check_task(find_original(packed({f"x/{name}": data for name, data in FILES.items()}), TASK))


@pytest.mark.parametrize("name", ["TASK3 INPUT", "task3-input", "Task3Input"])
def test_case_blanks_and_signs_in_the_name_of_a_folder_do_not_matter(extracted, name):
    check_task(
        find_original(extracted({file.replace("Task3_Input", name): data for file, data in FILES.items()}), TASK)
    )


@pytest.mark.parametrize("times", [2, 3])
def test_a_folder_of_the_same_name_in_it_is_the_part(zipped, extracted, times):
    members = {name.replace("Task3_Input/", "Task3_Input/" * times): data for name, data in FILES.items()}
    for packed in (zipped, extracted):
        check_task(find_original(packed(members), TASK))


def test_an_archive_without_a_folder_in_it_is_the_part_by_its_own_name(zipped, tmp_path):
    zipped({"1.jpg": b"1"}, "Task3_Input.zip")
    zipped({"truth.csv": b"t"}, "Task3_Truth.zip")
    (tmp_path / "lesions.csv").write_bytes(b"l")
    check_task(find_original(tmp_path, TASK))


def test_a_folder_that_holds_just_the_archive_of_its_name_is_not_the_part(zipped, tmp_path):
    (tmp_path / "Task3_Input").mkdir()
    shutil.move(zipped({"1.jpg": b"1"}, "Task3_Input.zip"), tmp_path / "Task3_Input")
    zipped({"truth.csv": b"t", "lesions.csv": b"l"})
    assert find_original(tmp_path, TASK).read("input/1.jpg") == b"1"


def test_an_empty_folder_of_the_name_is_not_the_part(zipped, tmp_path):
    (tmp_path / "Task3_Input").mkdir()
    zipped(FILES)
    check_task(find_original(tmp_path, TASK))


def test_all_parts_that_are_missing_are_told(extracted):
    with pytest.raises(SourceNotFoundError) as caught:
        find_original(extracted(of("Task3_Input", FILES)), TASK)
    assert str(caught.value).endswith(
        "tree: parts of task 3 are not here, nor in the folders below. Expected:\n"
        "  - the archive Task3_Truth.zip or truth.csv\n"
        "  - lesions.csv"
    )


def test_where_no_part_is_there_all_are_told(zipped):
    with pytest.raises(SourceNotFoundError) as caught:
        find_original(zipped({"readme.txt": b""}), TWINS)
    assert str(caught.value).endswith(
        "download.zip: the twins is not in this archive. Expected:\n"
        "  - the archive Train.zip or the folder Train with images, tables side by side\n"
        "  - the archive Test.zip or the folder Test with images, tables side by side"
    )


def test_a_part_is_needed_by_the_datasets_that_it_feeds(extracted):
    folder = extracted({name: data for name, data in FILES.items() if name != "lesions.csv"})
    assert find_original(folder, TASK, ["one"]).folders() == ("input", "truth")
    assert find_original(folder, TASK, ["three"]).folders() == ("truth",)
    for datasets in (["two"], ["one", "two"], []):
        with pytest.raises(SourceNotFoundError, match="lesions"):
            find_original(folder, TASK, datasets)


def test_a_partial_build_does_without_some_parts_but_not_without_all(extracted):
    assert find_original(extracted(of("Train", TREES)), TWINS, allow_partial=True).folders() == ("train",)
    with pytest.raises(SourceNotFoundError, match=r"(?s)the twins is not here.*Train\.zip"):
        find_original(extracted({"readme.txt": b""}, "none"), TWINS, allow_partial=True)


def test_a_partial_build_does_not_do_without_what_is_required(extracted):
    folder = extracted({name: data for name, data in FILES.items() if name != "Task3_Truth/truth.csv"})
    with pytest.raises(SourceNotFoundError, match=r"(?s)parts of task 3 are not here.*Task3_Truth\.zip"):
        find_original(folder, TASK, allow_partial=True)


def test_a_partial_build_takes_a_named_folder_that_lacks_some_of_its_children(zipped, extracted):
    members = {name: data for name, data in TREES.items() if name != "Train/Tables/Train"}
    for packed in (zipped, extracted):
        with pytest.raises(SourceNotFoundError, match=r"(?s)parts of the twins are .*Train\.zip"):
            find_original(packed(members), TWINS)
        archive = find_original(packed(members), TWINS, allow_partial=True)
        assert archive.members == ("test/Images/Test", "test/Tables/Test", "train/Images/Train")


def test_a_whole_tree_comes_before_one_that_lacks_something_in_a_partial_build_too(zipped, extracted, tmp_path):
    extracted({"Train/Images/old": b"left over"}, "extracted halfway")
    extracted(of("Test", TREES), "extracted")
    zipped(of("Train", TREES), "Train.zip")
    check(find_original(tmp_path, TWINS, allow_partial=True))
