"""A zip in a zip is read in place, or from memory where it is packed once more."""

import struct
import zipfile

import pytest

from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError
from medimeta.sources import zipped as zips
from medimeta.sources.find import open_archive
from medimeta.sources.zipped import ZipArchive

TREE = {f"{name}/{name}.png": name.encode() * 1000 for name in "abcdef"}


@pytest.fixture
def nested(zipped, tmp_path):
    """Put a zip of a tree into another, and return the outer one's path."""

    def write(kind, members=TREE, name="inner.zip", inner=None):
        inner = zipped(members, "inner.zip").read_bytes() if inner is None else inner
        with zipfile.ZipFile(tmp_path / "outer.zip", "w", kind) as file:
            file.writestr("first.txt", "moves the inner zip away from the start")
            file.writestr(name, inner)
        return tmp_path / "outer.zip"

    return write


both_kinds = pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "packed"])


@both_kinds
def test_members_are_read_in_any_order(nested, kind):
    archive = ZipArchive(nested(kind), "inner.zip")
    for name in reversed(archive.members):
        assert archive.read(name) == TREE[name]
        assert archive.head(name, 3) == TREE[name][:3]


def test_a_stored_zip_is_read_in_place_however_large_it_is(nested, monkeypatch):
    path = nested(zipfile.ZIP_STORED)
    monkeypatch.setattr(zips, "MAX_PACKED_ZIP", 0)

    def seek(*_):
        raise AssertionError("zipfile would read the inner zip from its start for every member")

    monkeypatch.setattr(zipfile.ZipExtFile, "seek", seek)
    archive = ZipArchive(path, "inner.zip")
    assert [archive.read(name) for name in reversed(TREE)] == list(reversed(TREE.values()))


def test_a_zip_that_is_packed_once_more_and_large_is_refused(nested, monkeypatch):
    path = nested(zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zips, "MAX_PACKED_ZIP", 1000)
    with pytest.raises(
        DamagedSourceError,
        match=r"outer\.zip: the zip 'inner\.zip' in it is compressed once more, and with [\d,]+ bytes larger than "
        r"the 1,000 .* Extract the outer zip first\.",
    ):
        ZipArchive(path, "inner.zip").members  # noqa: B018


def test_extra_fields_in_front_of_a_stored_zip_are_passed_over(zipped, tmp_path):
    info = zipfile.ZipInfo("inner.zip")
    info.extra = struct.pack("<HH7s", 0xCAFE, 7, b"padding")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.writestr(info, zipped(TREE).read_bytes())
    assert ZipArchive(tmp_path / "outer.zip", "inner.zip").read("c/c.png") == TREE["c/c.png"]


@both_kinds
def test_a_zip_that_is_not_in_the_other_is_named(nested, kind):
    with pytest.raises(SourceNotFoundError, match=r"outer\.zip: has no member 'other\.zip'"):
        ZipArchive(nested(kind), "other.zip").members  # noqa: B018


def test_an_outer_zip_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"nosuch\.zip: there is no such file"):
        ZipArchive(tmp_path / "nosuch.zip", "inner.zip").members  # noqa: B018


@both_kinds
def test_a_zip_that_was_cut_before_it_was_packed_is_told_with_its_own_length(nested, zipped, kind):
    cut = zipped(TREE).read_bytes()[:500]
    path = nested(kind, inner=cut)
    with pytest.raises(DamagedSourceError, match=r"outer\.zip: inner\.zip: is not a whole zip file \(.*; 500 bytes\)"):
        ZipArchive(path, "inner.zip").members  # noqa: B018


@both_kinds
def test_a_zip_under_a_password_is_told(nested, kind):
    path = nested(kind)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        name = data.rindex(b"inner.zip", 0, None if offset == 8 else data.rindex(b"inner.zip"))
        data[data.rindex(mark, 0, name) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(DamagedSourceError, match=r"outer\.zip: .*inner\.zip'?:? cannot be read .*password required"):
        ZipArchive(path, "inner.zip").members  # noqa: B018


@both_kinds
def test_whatever_byte_is_wrong_the_error_is_ours_and_the_bytes_are_whole(nested, zipped, tmp_path, kind):
    members = {"a.png": b"x" * 50, "bé.png": b"y" * 50}
    whole = nested(kind, members).read_bytes()
    strange = {}
    for place in range(len(whole)):
        for value in (0x00, 0xFF, whole[place] ^ 0x80):
            path = tmp_path / f"{place} {value}.zip"
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                archive = ZipArchive(path, "inner.zip")
                wrong = [name for name in archive.members if archive.read(name) not in members.values()]
            except SourceError:
                continue
            except Exception as error:  # noqa: BLE001 - what must not happen
                strange.setdefault(type(error).__name__, (place, value, str(error)))
            else:
                if wrong:
                    strange.setdefault("wrong bytes", (place, value, wrong))
    assert strange == {}


@both_kinds
def test_an_outer_zip_that_was_fetched_again_is_read_anew(nested, kind):
    assert ZipArchive(nested(kind), "inner.zip").read("a/a.png") == TREE["a/a.png"]
    path = nested(kind, {"a/a.png": b"new"})
    assert ZipArchive(path, "inner.zip").members == ("a/a.png",)
    assert ZipArchive(path, "inner.zip").read("a/a.png") == b"new"
    assert open_archive(path).members == ("first.txt", "inner.zip")
