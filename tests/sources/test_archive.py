"""A folder, a zip, a zip in it and several archives are one view: sorted names, whole bytes, nothing from outside."""

import hashlib
import os
import pickle
import stat
import zipfile

import pytest

from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError, TableError
from medimeta.sources import archive as archives
from medimeta.sources import zipped as zips
from medimeta.sources.find import open_archive
from medimeta.sources.mounted import MountedArchive
from medimeta.sources.zipped import ZipArchive

TREE = {"benign/b 10.png": b"ten", "benign/b 2.png": b"two", "Malignant/m.png": b"m", "read me.txt": b"", "a/b/c": b"c"}
JUNK = {
    "__MACOSX/benign/._b 2.png": b"x",
    "benign/._b 2.png": b"x",
    "benign/Thumbs.db": b"x",
    "benign/desktop.INI": b"x",
}


FORMS = ("zip", "folder", "zip stored in a zip", "zip packed in a zip", "mounted")


@pytest.fixture(params=FORMS)
def opened(request, zipped, extracted, tmp_path):
    """Open a tree that is given as name to bytes, in each of the forms."""

    def open_it(members, name="tree"):
        if request.param == "folder":
            return open_archive(extracted(members, name))
        path = zipped(members, f"{name}.zip")
        if request.param == "zip":
            return open_archive(path)
        if request.param == "mounted":
            return MountedArchive(tmp_path, {"in": open_archive(path), "other": open_archive(path)}).within("in/")
        outer = tmp_path / f"outer {name}.zip"
        with zipfile.ZipFile(outer, "w") as file:
            kind = zipfile.ZIP_STORED if "stored" in request.param else zipfile.ZIP_DEFLATED
            file.write(path, f"downloads/{path.name}", kind)
        return ZipArchive(outer, f"downloads/{path.name}")

    return open_it


def test_names_are_sorted_as_plain_strings_and_bytes_are_whole(opened):
    archive = opened(dict(reversed(TREE.items())))
    assert archive.members == ("Malignant/m.png", "a/b/c", "benign/b 10.png", "benign/b 2.png", "read me.txt")
    assert {name: archive.read(name) for name in archive.members} == TREE
    assert {name: archive.size(name) for name in archive.members} == {name: len(data) for name, data in TREE.items()}
    assert archive.folders() == ("Malignant", "a", "benign")
    assert archive.files("benign") == ("b 10.png", "b 2.png")
    assert archive.files("a") == ()
    assert "benign/b 2.png" in archive
    assert "benign" not in archive


def test_what_packers_and_file_managers_leave_behind_is_not_shown(opened):
    assert opened(TREE | JUNK).members == opened(TREE, "clean").members


def test_a_view_of_a_folder_inside_hides_the_rest(opened):
    inside = opened(TREE).within("benign/")
    assert inside.members == ("b 10.png", "b 2.png")
    assert inside.read("b 2.png") == b"two"
    assert inside.where("b 2.png").endswith("benign/b 2.png")


def test_the_place_of_a_member_names_the_file_that_the_user_has(zipped, extracted, tmp_path):
    path, folder = zipped(TREE), extracted(TREE)
    assert open_archive(path).where("a/b/c") == f"{path}: a/b/c"
    assert open_archive(folder).within("a/").where("b/c") == f"{folder}: a/b/c"
    assert ZipArchive(path, "in/part.zip").where("a/b/c") == f"{path}: in/part.zip: a/b/c"
    mounted = MountedArchive(tmp_path, {"in": open_archive(path).within("a/")})
    assert mounted.where("in/b/c") == f"{path}: a/b/c"
    assert mounted.where("") == mounted.where("out/x") == str(tmp_path)


def test_an_archive_pickles_as_its_path(opened):
    archive = opened(TREE).within("benign/")
    archive.read("b 2.png")
    copy = pickle.loads(pickle.dumps(archive))
    assert len(pickle.dumps(archive)) < 500
    assert copy == archive
    assert hash(copy) == hash(archive)
    assert copy != archive.within("x/")
    assert copy.members == archive.members
    assert copy.read("b 10.png") == b"ten"


def test_a_member_that_is_not_there_is_named(opened):
    archive = opened(TREE)

    def through_open(member):
        with archive.open(member):
            pass

    for ask in (archive.read, archive.size, archive.digest, lambda member: archive.head(member, 1), through_open):
        with pytest.raises(SourceNotFoundError, match="nosuch.png"):
            ask("benign/nosuch.png")


def test_members_are_streamed_at_any_length(opened, monkeypatch):
    data = os.urandom(100_000)
    archive = opened({"a/big": data, "a/small": b"12"})
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 1000)
    monkeypatch.setattr(archives, "PIECE", 999)
    with archive.open("a/big") as stream:
        assert b"".join(iter(lambda: stream.read(1234), b"")) == data
    assert archive.digest("a/big") == hashlib.sha256(data).hexdigest()
    assert (archive.head("a/big", 10), archive.head("a/small", 10)) == (data[:10], b"12")


def test_what_goes_wrong_with_what_was_read_is_not_called_damage(opened):
    archive = opened(TREE)
    with pytest.raises(TableError, match="^line 7$"), archive.open("a/b/c"):
        raise TableError("line 7")  # a ValueError too, as zipfile raises them


def test_members_are_found_by_the_last_parts_of_their_names(opened):
    archive = opened({"x/y/A.PNG": b"", "b/a.png": b"", "x/a.png": b"", "c.csv": b"", "x/y/z/B/A.png": b""})
    assert archive.by_tail(1) == {"a.png": "b/a.png", "c.csv": "c.csv"}  # the shallowest, then the first by name
    assert archive.by_tail(2) == {"b/a.png": "b/a.png", "x/a.png": "x/a.png", "y/a.png": "x/y/A.PNG", "c.csv": "c.csv"}


def test_only_what_lies_on_disk_is_a_file(extracted, zipped, tmp_path):
    folder, path = open_archive(extracted(TREE)), zipped(TREE)
    assert folder.within("a/").file("b/c") == folder.path / "a/b/c"
    mounted = MountedArchive(tmp_path, {"in": folder.within("a/"), "zip": open_archive(path)})
    assert mounted.file("in/b/c") == folder.path / "a/b/c"
    assert mounted.file("zip/a/b/c") is mounted.file("out/a") is open_archive(path).file("a/b/c") is None
    with pytest.raises(SourceNotFoundError, match="nosuch"):
        folder.file("nosuch")


def test_a_member_larger_than_any_original_has_is_refused_before_it_is_read(opened, monkeypatch):
    archive = opened({"a/big": bytes(1001), "a/small": bytes(1000)})
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 1000)
    assert len(archive.read("a/small")) == 1000
    with pytest.raises(DamagedSourceError, match="a/big: is 1,001 bytes long, more than the 1,000"):
        archive.read("a/big")


def test_a_zip_with_more_members_than_any_original_has_is_refused(zipped, monkeypatch):
    monkeypatch.setattr(zips, "MAX_MEMBERS", 4)
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
    assert archive.members == ("top/benign/a.png",)


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
    with pytest.raises(DamagedSourceError, match="a/two: is damaged .*Fetch the archive again"):
        archive.digest("a/two")


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
    with pytest.raises(DamagedSourceError, match=f"a/one: cannot be read .*{reason}"):
        open_archive(path).head("a/one", 1)


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
                    archive.digest(member)
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


def test_the_state_of_a_zip_changes_when_it_is_fetched_again(zipped):
    states = [open_archive(zipped(TREE | {"more": bytes(size)})).state(["a/b/c"]) for size in (1, 2)]
    assert states[0] != states[1]
    path = zipped(TREE)
    assert open_archive(path).state(["a/b/c"]) == open_archive(path).state([])  # a zip changes as a whole
    assert ZipArchive(path, "in.zip").state([]) != ZipArchive(path).state([])


def test_the_state_of_a_folder_is_that_of_the_files_that_are_members(extracted):
    folder = extracted(TREE)
    archive = open_archive(folder).within("benign/")
    names = ["b 2.png", "b 10.png"]
    before = archive.state(names)
    (folder / "read me.txt").write_text("changed")
    assert open_archive(folder).within("benign/").state(names) == before
    os.utime(folder / "benign" / names[0], ns=(0, 0))
    touched = archive.state(names)
    (folder / "benign" / names[1]).write_bytes(b"longer than it was")
    grown = archive.state(names)
    (folder / "benign" / names[0]).unlink()
    assert len({before, touched, grown, archive.state(names)}) == 4


def test_a_link_within_the_folder_is_read(extracted):
    folder = extracted(TREE)
    (folder / "benign" / "link").symlink_to("b 2.png")
    assert open_archive(folder).read("benign/link") == b"two"


def test_a_link_that_leads_out_of_the_folder_is_refused(extracted, tmp_path):
    folder = extracted(TREE)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "benign" / "link").symlink_to(tmp_path / "secret")
    archive = open_archive(folder)
    for ask in (archive.read, archive.size, archive.digest, archive.file):
        with pytest.raises(DamagedSourceError, match="link: is a link that leads out of"):
            ask("benign/link")


@pytest.mark.parametrize("target", ["link", "nosuch"], ids=["to itself", "to nothing"])
def test_a_link_that_leads_nowhere_is_told(extracted, target):
    folder = extracted(TREE)
    (folder / "benign" / "link").symlink_to(target)
    with pytest.raises(SourceError, match="link"):
        open_archive(folder).read("benign/link")


def test_a_file_that_cannot_be_opened_is_told(extracted):
    archive = open_archive(extracted(TREE))
    for ask in (archive.read, archive.digest):
        with pytest.raises(SourceError, match=r"benign: cannot be read \("):
            ask("benign")  # a folder


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


def test_a_link_in_a_zip_is_refused_when_it_is_read(tmp_path):
    path = tmp_path / "links.zip"
    info = zipfile.ZipInfo("a/link.png")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(info, "../../etc/passwd")
        file.writestr("a/image.png", b"image")
    archive = open_archive(path)
    assert archive.read("a/image.png") == b"image"
    with pytest.raises(DamagedSourceError, match=r"links.zip: the member 'a/link.png' is a link. Do not trust it"):
        archive.read("a/link.png")
