"""The original is found in whatever form people keep it, and what is missing is said."""

import os
import shutil

import pytest

from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError
from medimeta.sources.find import Original, Part, find_original

ORIGINAL = Original("the BUSI dataset", (Part(("Dataset_BUSI.zip",), frozenset({"benign", "malignant", "normal"})),))
MEMBERS = {"benign/a.png": b"a", "malignant/b.png": b"b", "normal/c.png": b"c"}


def below(prefix, members=MEMBERS):
    return {prefix + name: data for name, data in members.items()}


def check(archive):
    assert archive.folders() == ("benign", "malignant", "normal")
    assert archive.read("malignant/b.png") == b"b"


@pytest.mark.parametrize("prefix", ["", "Dataset_BUSI_with_GT/", "my copy/Dataset_BUSI_with_GT/", "a/b/c/"])
def test_the_tree_is_found_at_every_level(zipped, extracted, prefix):
    check(find_original(zipped(below(prefix)), ORIGINAL))
    check(find_original(zipped(below(prefix), "Dataset_BUSI.zip").parent, ORIGINAL))
    check(find_original(extracted(below(prefix)), ORIGINAL))
    check(find_original(str(extracted(below(prefix))), ORIGINAL))


def test_a_tree_too_deep_is_not_searched_for(zipped, extracted):
    for path in (zipped(below("a/b/c/d/")), extracted(below("a/b/c/d/"))):
        with pytest.raises(SourceNotFoundError):
            find_original(path, ORIGINAL)


@pytest.mark.parametrize("name", ["Dataset_BUSI.zip", "dataset_busi.ZIP", "renamed (1).zip"])
@pytest.mark.parametrize("place", ["", "downloads/"])
def test_an_archive_is_found_by_what_it_holds(zipped, tmp_path, name, place):
    (tmp_path / "top" / place).mkdir(parents=True)
    shutil.move(zipped(below("x/")), tmp_path / "top" / place / name)
    check(find_original(tmp_path / "top", ORIGINAL))


def test_names_of_folders_may_be_in_any_case(zipped):
    archive = find_original(zipped({name.title(): data for name, data in MEMBERS.items()}), ORIGINAL)
    assert archive.folders() == ("Benign", "Malignant", "Normal")


def test_the_shallowest_tree_is_taken(zipped, extracted):
    members = below("top/") | below("top/copy of it/", dict.fromkeys(MEMBERS, b"other"))
    for path in (zipped(members), extracted(members)):
        assert find_original(path, ORIGINAL).read("benign/a.png") == b"a"


def test_a_folder_of_the_same_names_left_by_a_mac_is_not_taken(zipped, extracted):
    for packed in (zipped, extracted):
        left = below("__MACOSX/", dict.fromkeys(MEMBERS, b"of a mac"))
        check(find_original(packed(left | below("x/y/")), ORIGINAL))


def test_other_files_beside_it_do_not_matter(zipped, tmp_path):
    (tmp_path / "a broken.zip").write_bytes(b"PK\x03\x04 cut short")
    (tmp_path / "b notes.zip.txt").write_text("no zip")
    zipped({"readme.txt": b""}, "c other.zip")
    zipped(below("x/"), "d renamed.zip")
    check(find_original(tmp_path, ORIGINAL))


def test_the_archive_of_the_right_name_comes_before_others_that_hold_the_same(zipped, tmp_path):
    zipped(below("x/", dict.fromkeys(MEMBERS, b"other")), "A copy.zip")
    zipped(below("x/"), "dataset_busi.zip")
    check(find_original(tmp_path, ORIGINAL))


def test_the_archive_itself_must_be_whole(zipped):
    path = zipped(below("x/"), "Dataset_BUSI.zip")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DamagedSourceError, match="is not a whole zip file"):
        find_original(path.parent, ORIGINAL)


@pytest.mark.parametrize("missing", sorted(MEMBERS))
def test_a_tree_that_lacks_a_folder_is_not_taken(zipped, extracted, missing):
    members = {name: data for name, data in MEMBERS.items() if name != missing}
    expected = r"Expected the archive Dataset_BUSI\.zip or benign, malignant, normal side by side\.$"
    for path, here in (
        (zipped(members), r"download\.zip: the BUSI dataset is not in this archive"),
        (extracted(members), r"tree: the BUSI dataset is not here, nor in the folders below"),
    ):
        for allow_partial in (False, True):  # without a name, part of the children tells nothing
            with pytest.raises(SourceNotFoundError, match=rf"{here}\. {expected}"):
                find_original(path, ORIGINAL, allow_partial=allow_partial)


def test_a_path_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(SourceNotFoundError, match="there is no such file or folder. Check the path given as source"):
        find_original(tmp_path / "nosuch", ORIGINAL)


@pytest.mark.parametrize("path", [os.devnull, "x" * 300], ids=["a device", "a name too long"])
def test_a_path_that_cannot_be_a_download_is_told(path):
    with pytest.raises(SourceError):
        find_original(path, ORIGINAL)


def test_a_link_to_itself_beside_the_tree_does_not_matter(extracted):
    folder = extracted(below("x/"))
    (folder / "loop").symlink_to("loop")
    check(find_original(folder, ORIGINAL))


def test_a_folder_that_may_not_be_entered_does_not_matter(extracted, monkeypatch):
    folder = extracted(below("x/") | {"private/a": b""})
    real = os.scandir

    def scandir(path):
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    check(find_original(folder, ORIGINAL))
