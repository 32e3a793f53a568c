"""A folder and a zip are one view: sorted names, whole bytes, and nothing from outside."""

import os
import pickle
import zipfile

import pytest

from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError
from medimeta.sources import archive as archives
from medimeta.sources.find import open_archive

TREE = {"benign/b 10.png": b"ten", "benign/b 2.png": b"two", "Malignant/m.png": b"m", "read me.txt": b"", "a/b/c": b"c"}
JUNK = {
    "__MACOSX/benign/._b 2.png": b"x",
    "benign/._b 2.png": b"x",
    "benign/Thumbs.db": b"x",
    "benign/desktop.INI": b"x",
}


@pytest.fixture(params=["zip", "folder"])
def packed(request, zipped, extracted):
    return zipped if request.param == "zip" else extracted


def test_names_are_sorted_as_plain_strings_and_bytes_are_whole(packed):
    archive = open_archive(packed(dict(reversed(TREE.items()))))
    assert archive.members == ("Malignant/m.png", "a/b/c", "benign/b 10.png", "benign/b 2.png", "read me.txt")
    assert {name: archive.read(name) for name in archive.members} == TREE
    assert archive.folders() == ("Malignant", "a", "benign")
    assert archive.files("benign") == ("b 10.png", "b 2.png")
    assert archive.files("a") == ()


def test_what_packers_and_file_managers_leave_behind_is_not_shown(packed):
    assert open_archive(packed(TREE | JUNK)).members == open_archive(packed(TREE, "clean")).members


def test_a_view_of_a_folder_inside_hides_the_rest(packed):
    inside = open_archive(packed(TREE)).within("benign/")
    assert inside.members == ("b 10.png", "b 2.png")
    assert inside.read("b 2.png") == b"two"
    assert str(inside.path) in inside.where("b 2.png")
    assert inside.where("b 2.png").endswith("benign/b 2.png")


def test_an_archive_pickles_as_its_path(packed):
    archive = open_archive(packed(TREE)).within("benign/")
    archive.read("b 2.png")
    copy = pickle.loads(pickle.dumps(archive))
    assert len(pickle.dumps(archive)) < 300
    assert copy.members == archive.members
    assert copy.read("b 10.png") == b"ten"


def test_a_member_that_is_not_there_is_named(packed):
    with pytest.raises(SourceNotFoundError, match="nosuch.png"):
        open_archive(packed(TREE)).read("benign/nosuch.png")


def test_a_member_larger_than_any_original_has_is_refused_before_it_is_read(packed, monkeypatch):
    archive = open_archive(packed({"a/big": bytes(1001), "a/small": bytes(1000)}))
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 1000)
    assert len(archive.read("a/small")) == 1000
    with pytest.raises(DamagedSourceError, match="a/big: is 1,001 bytes long, more than the 1,000"):
        archive.read("a/big")


def test_a_zip_with_more_members_than_any_original_has_is_refused(zipped, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 4)
    with pytest.raises(DamagedSourceError, match="has 5 members, more than the 4"):
        open_archive(zipped(TREE))


def test_nothing_at_the_path_is_told(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"nosuch\.zip: there is no such file or folder"):
        open_archive(tmp_path / "nosuch.zip")


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "C:\\evil", "..\\evil", "\\\\host\\evil"]
)
def test_a_member_that_leads_out_of_the_archive_is_refused(zipped, name):
    with pytest.raises(DamagedSourceError, match="leads out of the archive") as caught:
        open_archive(zipped({"benign/a": b"a", name: b"x"}))
    assert repr(name) in str(caught.value)


def test_names_with_the_separators_of_windows_are_read(zipped):
    archive = open_archive(zipped({"top\\benign\\a.png": b"a", "top\\benign\\": b""}))
    assert archive.read("top/benign/a.png") == b"a"
    assert [name for name in archive.members if name.endswith(".png")] == ["top/benign/a.png"]


@pytest.mark.parametrize("length", [0, 1, 30, -1, -22])
def test_a_truncated_zip_is_told_with_its_length(zipped, length):
    path = zipped(TREE)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(
        DamagedSourceError, match=rf"is not a whole zip file \(.*; {path.stat().st_size:,} bytes\).*again"
    ):
        open_archive(path)


def test_a_flipped_bit_in_compressed_data_is_found(zipped):
    path = zipped({"a/one": b"1" * 500, "a/two": os.urandom(500)})
    data = bytearray(path.read_bytes())
    data[data.index(b"a/two") + 100] ^= 1
    path.write_bytes(data)
    archive = open_archive(path)
    assert archive.read("a/one") == b"1" * 500
    with pytest.raises(DamagedSourceError, match="the member 'a/two' is damaged .*Fetch the archive again"):
        archive.read("a/two")


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [(6, 1, "password required"), (8, 99, "compression method is not supported")],
    ids=["encrypted", "unknown compression"],
)
def test_a_member_that_cannot_be_unpacked_says_why(zipped, offset, value, reason):
    path = zipped({"a/one": b"1"})
    data = bytearray(path.read_bytes())
    data[offset] = data[data.index(b"PK\x01\x02") + offset + 2] = value  # in the local header and in the directory
    path.write_bytes(data)
    with pytest.raises(DamagedSourceError, match=f"'a/one' cannot be read .*{reason}"):
        open_archive(path).read("a/one")


def test_whatever_byte_of_a_zip_is_wrong_the_error_is_ours(zipped, tmp_path):
    whole = zipped({"benign/a.png": b"x" * 50, "malignant/bé.png": b"y" * 50}).read_bytes()
    strange = {}
    for place in range(len(whole)):
        for value in (0x00, 0xFF, whole[place] ^ 0x80):
            path = tmp_path / f"{place} {value}.zip"
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                archive = open_archive(path)
                for member in archive.members:
                    archive.read(member)
            except SourceError:
                continue
            except Exception as error:  # noqa: BLE001 - what must not happen
                strange.setdefault(type(error).__name__, (place, value, str(error)))
    assert strange == {}


def test_a_zip_that_was_fetched_again_is_read_anew(zipped):
    old = open_archive(zipped({"a/one": b"old"}))
    assert old.read("a/one") == b"old"
    new = open_archive(zipped({"b": b"b", "a/one": b"new and longer"}))
    assert new.members == ("a/one", "b")
    assert new.read("a/one") == b"new and longer"


def test_a_link_within_the_folder_is_read(extracted):
    folder = extracted(TREE)
    (folder / "benign" / "link").symlink_to("b 2.png")
    assert open_archive(folder).read("benign/link") == b"two"


def test_a_link_that_leads_out_of_the_folder_is_refused(extracted, tmp_path):
    folder = extracted(TREE)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "benign" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(DamagedSourceError, match="link: is a link that leads out of"):
        open_archive(folder).read("benign/link")


@pytest.mark.parametrize("target", ["link", "nosuch"], ids=["to itself", "to nothing"])
def test_a_link_that_leads_nowhere_is_told(extracted, target):
    folder = extracted(TREE)
    (folder / "benign" / "link").symlink_to(target)
    with pytest.raises(SourceError, match="link"):
        open_archive(folder).read("benign/link")


def test_a_folder_that_cannot_be_read_is_told(extracted, monkeypatch):
    folder = extracted(TREE)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("benign"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(SourceError, match=r"benign: the folder cannot be read \(Permission denied\)"):
        open_archive(folder).members  # noqa: B018


def test_a_name_that_is_twice_in_a_zip_is_one_member(tmp_path):
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/one", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/one", b"second")
    assert open_archive(path).members == ("a/one",)
    assert open_archive(path).read("a/one") == b"second"  # as unpacking would leave it


def test_another_kind_of_archive_is_not_called_a_cut_download(tmp_path):
    path = tmp_path / "download.tar.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00" + bytes(100))
    with pytest.raises(DamagedSourceError, match=r"is not a zip file\. Give the zip as downloaded, or the folder"):
        open_archive(path)
