"""Archives are unpacked whole, within bounds, and nowhere but into their folder, or refused with a message."""

import errno
import gzip
import hashlib
import io
import random
import resource
import shutil
import stat
import struct
import tarfile
import threading
import unicodedata
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hub.releases import members, pack_tar, pack_zip

import medimeta.hub.extraction as extraction
import medimeta.hub.members as member_names
import medimeta.hub.zips as zips
from medimeta.errors import DownloadError, ReleaseMismatchError, StoreError, UnsafeArchiveError
from medimeta.hub.members import Names, OddMemberError
from medimeta.hub.telling import Stopped, Teller
from medimeta.hub.unpack import unpack, unpacked_bytes

TARS = ("tar", "tar.gz", "tar.bz2", "tar.xz")
ZIPS = {
    "stored": zipfile.ZIP_STORED,
    "deflated": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}
PACKINGS = (*TARS, *ZIPS)
LIMIT = 10**8
FILES = {
    "images.hdf5": random.Random(0).randbytes(3000),
    "info.yaml": b"id: bus\n",
    "splits/val.txt": b"",
    f"task_labels/{'a' * 120}.npy": b"x" * 700,
    "z/empty.txt": b"",
}


@pytest.fixture
def dataset(tmp_path):
    """A folder of a few files, two of them empty."""
    for name, data in FILES.items():
        (tmp_path / "bus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bus" / name).write_bytes(data)
    return tmp_path / "bus"


def pack(folder, path, packing, top=None):
    return pack_zip(folder, path, top, ZIPS[packing]) if packing in ZIPS else pack_tar(folder, path, top)


def packed(folder, packing, top=None):
    """Pack a folder beside it, under a name that says nothing of its kind."""
    made = pack(folder, folder.parent / f"made.{packing}", packing, top)
    return made.rename(folder.parent / "archive")


def zipped(path, *entries):
    """Write a zip of names, or of ZipInfos, each with its bytes."""
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


def tarred(path, *entries):
    """Write a tarball of names, or of TarInfos, each with its bytes."""
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as file:
        for name, data in entries:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def entry(name, kind=tarfile.REGTYPE, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def zip_entry(name, mode=0, **fields):
    info = zipfile.ZipInfo("x")
    info.filename = name  # as it is: the constructor cuts and changes names
    info.external_attr = mode << 16
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def read(archive, into, limit=LIMIT):
    """Unpack, and return the bytes of the dataset's files by name."""
    found = unpack(archive, into, limit, Teller("bus"))
    on_disk = {path.relative_to(found.folder).as_posix(): path.read_bytes() for path in members(found.folder)}
    assert list(found.files) == sorted(on_disk)
    for name, data in on_disk.items():
        assert found.files[name].bytes == len(data)
        assert found.files[name].sha256 == hashlib.sha256(data).hexdigest()
    return on_disk


def refusal(archive, limit=LIMIT, kind=UnsafeArchiveError):
    """Return the message of the error; whatever it is, nothing is left, and nothing was written elsewhere."""
    shutil.rmtree(archive.parent / "into", ignore_errors=True)
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(kind) as caught:
        unpack(archive, archive.parent / "into", limit, Teller("bus"))
    assert sorted(archive.parent.rglob("*")) == before
    assert str(caught.value).startswith(f"{archive}: ")
    return str(caught.value)


@pytest.mark.parametrize("top", [None, "", "release/1.0/bus"], ids=["folder", "no-folder", "deeper"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_every_kind_is_told_by_its_content_and_unpacked_to_the_same_bytes(dataset, packing, top):
    assert read(packed(dataset, packing, top), dataset.parent / "into") == FILES


def test_a_released_dataset_is_unpacked_file_by_file(releases, tmp_path):
    for archive in releases.folder.iterdir():
        folder = releases.root / archive.name.split(".")[0]
        expected = {path.relative_to(folder).as_posix(): path.read_bytes() for path in members(folder)}
        assert read(archive, tmp_path / "into") == expected


def test_what_was_there_before_is_gone(dataset):
    (dataset.parent / "into" / "old").mkdir(parents=True)
    assert read(packed(dataset, "tar"), dataset.parent / "into") == FILES
    assert not (dataset.parent / "into" / "old").exists()


# --- names


BAD_NAMES = {
    "/etc/passwd": "leads out of the archive",
    "../escaped": "leads out of the archive",
    "bus/images/../../../escaped": "leads out of the archive",
    "..\\escaped": "leads out of the archive",
    "C:/escaped": "leads out of the archive",
    ".\\C:escaped": "leads out of the archive",
    "\\escaped": "leads out of the archive",
    "bus/info.yaml": "is there twice",
    "bus/./INFO.yaml": "is there twice",
    "bus/info.yaml/a": "lies in a folder that is also a file",
    "bus": "is both a file and a folder",
}


@pytest.mark.parametrize(("name", "said"), BAD_NAMES.items(), ids=BAD_NAMES)
@pytest.mark.parametrize("write", [zipped, tarred])
def test_names_that_lead_out_or_are_there_twice_are_refused(tmp_path, write, name, said):
    odd = zip_entry(name) if write is zipped else name
    assert said in refusal(write(tmp_path / "archive", ("bus/info.yaml", b"id: bus"), (odd, b"x")))


def test_a_name_with_a_nul_is_refused(tmp_path):
    path = zipped(tmp_path / "archive", ("bus/info.yaml", b"id: bus"), ("bus/a.txt?.tiff", b"x"))
    path.write_bytes(path.read_bytes().replace(b"a.txt?", b"a.txt\0"))
    assert "holds a NUL" in refusal(path)


def test_a_name_that_is_not_unicode_is_refused(tmp_path):
    assert "is not Unicode" in refusal(tarred(tmp_path / "archive", ("info.yaml", b""), ("a\udcff.txt", b"")))


def test_a_zip_tells_all_that_is_wrong_at_once(tmp_path):
    found = refusal(zipped(tmp_path / "archive", ("../a", b""), ("info.yaml", b""), ("/b", b""), ("info.yaml", b"")))
    assert all(f"the member {name!r}" in found for name in ("../a", "/b", "info.yaml"))


def test_separators_of_windows_are_those_of_folders(tmp_path):
    path = zipped(tmp_path / "archive", (zip_entry("bus\\info.yaml"), b"1"), (zip_entry("bus\\splits\\val.txt"), b"2"))
    assert read(path, tmp_path / "into") == {"info.yaml": b"1", "splits/val.txt": b"2"}


PART = st.sampled_from(["a", "A", "b", "info.yaml", "..", ".", "", "C:", "é", "e\u0301", "._x", "__MACOSX"])
NAME = st.lists(PART, min_size=1, max_size=4).flatmap(
    lambda parts: st.sampled_from(["/", "\\"]).map(lambda separator: separator.join(parts))
)


@given(st.lists(st.tuples(NAME, st.booleans()), max_size=8))
def test_whatever_is_admitted_stays_inside_and_has_a_place_of_its_own(entries):
    """The law: files lie below the folder, no two at one place, even where case is ignored, none where a folder is."""
    names, files = Names(), []
    for name, folder in entries:
        try:
            admitted = names.admit(name, folder=folder)
        except OddMemberError:
            continue
        if admitted:
            parts = Path(admitted).parts
            assert not {"..", "/"} & set(parts)
            assert ":" not in parts[0]
            if not folder:
                files.append(Path(unicodedata.normalize("NFC", admitted).casefold()))
    assert len(set(files)) == len(files)
    assert not {parent for file in files for parent in file.parents} & set(files)


def test_what_packers_and_file_managers_leave_behind_is_left_out(tmp_path):
    junk = [
        "__MACOSX/bus/._info.yaml",
        "bus/._info.yaml",
        "bus/.DS_Store",
        "bus/images/Thumbs.db",
        "__MACOSX/info.yaml",
    ]
    entries = [("bus/info.yaml", b"1"), *((name, b"x") for name in junk)]
    for write in (zipped, tarred):
        assert read(write(tmp_path / "archive", *entries), tmp_path / "into") == {"info.yaml": b"1"}


# --- kinds of members


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"M"])
def test_links_and_devices_of_tarballs_are_refused(tmp_path, kind):
    path = tarred(tmp_path / "archive", ("info.yaml", b""), (entry("images", kind, linkname="/etc"), b""))
    assert "the member 'images' is a link or a device" in refusal(path)


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_of_zips_are_refused(tmp_path, mode):
    path = zipped(tmp_path / "archive", ("info.yaml", b""), (zip_entry("images", mode | 0o777), b"/etc"))
    assert "the member 'images' is a link or a device" in refusal(path)


def test_files_stored_with_holes_are_refused(tmp_path):
    header = entry("images.hdf5", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT)
    path = tmp_path / "archive"
    path.write_bytes(entry("info.yaml").tobuf() + header + bytes(1024))
    assert "stored with holes" in refusal(path)


def test_encrypted_members_are_refused_before_anything_is_written(tmp_path):
    path = zipped(tmp_path / "archive", ("info.yaml", b""), ("images.hdf5", b"secret"))
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert "the member 'images.hdf5' is encrypted" in refusal(path)


def test_a_folder_that_holds_bytes_is_refused(tmp_path):
    path = zipped(tmp_path / "archive", ("info.yaml", b""), (zip_entry("images/"), b"bytes"))
    assert "is a folder, but holds 5 bytes" in refusal(path)


@pytest.mark.parametrize("packing", ["zip", "tar"])
def test_files_get_the_rights_of_any_new_file(tmp_path, packing):
    path, mode = tmp_path / "archive", 0o4000
    if packing == "zip":
        zipped(path, (zip_entry("info.yaml", stat.S_IFREG | mode), b""))
    else:
        tarred(path, (entry("info.yaml", mode=mode), b""))
    found = unpack(path, tmp_path / "into", LIMIT, Teller("bus"))
    (tmp_path / "new").touch()
    assert (found.folder / "info.yaml").stat().st_mode == (tmp_path / "new").stat().st_mode


# --- bounds


@pytest.mark.parametrize("packing", PACKINGS)
def test_no_more_than_the_limit_is_unpacked(dataset, packing):
    archive, total = packed(dataset, packing), sum(map(len, FILES.values()))
    assert read(archive, dataset.parent / "into", total) == FILES
    assert "that this dataset may take" in refusal(archive, total - 1)


def test_a_member_that_has_more_than_it_says_is_cut_off(tmp_path):
    """Its header lies: a zip says 1000 bytes, and has a million."""
    path, real, said = zipped(tmp_path / "archive", ("info.yaml", bytes(10**6))), struct.pack("<L", 10**6), 1000
    path.write_bytes(path.read_bytes().replace(real, struct.pack("<L", said)))
    assert unpacked_bytes(path) == said
    assert "damaged" in refusal(path, 10**5)


def test_the_files_are_counted_while_they_are_written_too(tmp_path):
    out = extraction.Extraction(tmp_path / "archive", tmp_path, LIMIT, Teller("bus"))
    with pytest.raises(UnsafeArchiveError, match="has more than the 5 bytes"):
        out.write("a", 5, [b"1234", b"5678"])
    assert (tmp_path / "a").read_bytes() == b"1234"
    with pytest.raises(UnsafeArchiveError, match="has 4 of the 5 bytes"):
        out.write("b", 5, [b"1234"])


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(member_names, "MAX_MEMBERS", 2)
    entries = [("info.yaml", b""), ("a", b""), ("__MACOSX/b", b"")]
    for write in (zipped, tarred):
        assert "more than 2 members" in refusal(write(tmp_path / "archive", *entries))


def test_a_list_of_members_that_does_not_fit_into_memory_is_not_read(tmp_path, monkeypatch):
    path = zipped(tmp_path / "archive", ("info.yaml", b""))
    monkeypatch.setattr(zips, "MAX_DIRECTORY", 40)
    assert "list of members is longer than 40 bytes" in refusal(path)


def test_a_long_name_is_not_read_whatever_its_length(tmp_path):
    """tarfile would read it whole: a name of 64 MB, packed into 64 kB."""
    path = tmp_path / "archive"
    with tarfile.open(path, "w:gz") as file:
        info = entry("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=2**26)
        file.addfile(info, io.BytesIO(b"a" * 2**26))
        file.addfile(entry("info.yaml"))
    assert "between two members" in refusal(path)


# --- damage


def damaged(whole, seed):
    """Yield an archive cut short, and with bytes that are others."""
    rng = random.Random(seed)
    for length in rng.sample(range(len(whole)), 60):
        yield whole[:length]
    for _ in range(240):
        changed = bytearray(whole)
        for place in rng.sample(range(len(whole)), rng.choice([1, 1, 2, 5])):
            changed[place] = rng.choice([0x00, 0xFF, changed[place] ^ 1])
        yield bytes(changed)


@pytest.mark.parametrize("packing", PACKINGS)
def test_damage_is_told_whatever_it_is_and_no_file_is_silently_missing(dataset, packing):
    """The law: an error of ours, or all files as they were. A plain tarball has no checksum of what is in its files."""
    archive, into = packed(dataset, packing), dataset.parent / "into"
    whole = archive.read_bytes()
    for case, data in enumerate(damaged(whole, seed=1)):
        archive.write_bytes(data)
        try:
            found = read(archive, into)
        except (UnsafeArchiveError, ReleaseMismatchError):
            continue
        if packing == "tar":
            assert [len(found[name]) for name in sorted(found)] == [len(FILES[name]) for name in sorted(FILES)], case
        else:
            assert found == FILES, case


def test_a_tarball_that_ends_between_two_members_is_not_whole(dataset):
    archive = packed(dataset, "tar")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: whole.index(b"bus/splits")])
    assert "cut short or damaged" in refusal(archive)


def test_the_header_of_an_empty_last_file_is_not_taken_for_the_end(dataset):
    archive = packed(dataset, "tar")
    whole = bytearray(archive.read_bytes())
    whole[whole.index(b"bus/z/empty.txt") + 148] ^= 1  # its checksum; what follows are zeros
    archive.write_bytes(whole)
    assert "cut short or damaged" in refusal(archive)


def test_what_follows_the_end_is_told(dataset):
    for packing in ("tar", "stored"):
        archive = packed(dataset, packing)
        archive.write_bytes(archive.read_bytes() + b"garbage" * 100)
        assert "something follows" in refusal(archive)


def test_members_that_a_damaged_length_swallows_are_missed(tmp_path):
    """The comment of the first member becomes as long as the entry of the second; zipfile takes it without a word."""
    path = zipped(tmp_path / "archive", ("info.yaml", b"1"), ("splits/val.txt", b"2"))
    data = bytearray(path.read_bytes())
    first, second = data.index(b"PK\1\2"), data.rindex(b"PK\1\2")
    struct.pack_into("<H", data, first + 32, data.index(b"PK\5\6") - second)
    path.write_bytes(data)
    assert "it says 2 members, 1 can be read" in refusal(path)


def test_zips_with_64_bit_records_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = zipped(tmp_path / "archive", ("info.yaml", b"1"), ("splits/val.txt", b"2"))
    data = bytearray(path.read_bytes())
    struct.pack_into("<HH", data, data.rindex(b"PK\5\6") + 8, 0xFFFF, 0xFFFF)  # as for 65,535 members and more
    path.write_bytes(data)
    assert read(path, tmp_path / "into") == {"info.yaml": b"1", "splits/val.txt": b"2"}
    struct.pack_into("<QQ", data, data.rindex(b"PK\6\6") + 24, 3, 3)
    path.write_bytes(data)
    assert "it says 3 members, 2 can be read" in refusal(path)


# --- what is no archive, or holds no dataset


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "starts like a 7z archive"),
        (b"Rar!\x1a\x07\x01\x00", "starts like a RAR archive"),
        (b"\x28\xb5\x2f\xfd\x04", "starts like a Zstandard archive"),
        (b"\x89HDF\r\n\x1a\n", "starts like an HDF5 file"),
        (b"\n<!DOCTYPE html><title>Login", "starts like a web page or a message"),
        (b'{"message": "not found"}', "starts like a web page or a message"),
        (b"id,name\n1,a\n", "starts like no archive"),
        (b"PK\x03\x04", "cut short or damaged"),
    ],
)
def test_what_is_no_archive_is_told_by_its_start(tmp_path, data, said):
    path = tmp_path / "bus.zip"
    path.write_bytes(data)
    message = refusal(path)
    assert said in message
    assert message.endswith((".", "'"))
    with pytest.raises(UnsafeArchiveError):
        unpacked_bytes(path)


def test_a_packed_file_that_is_no_tarball_is_told(tmp_path):
    path = tmp_path / "images.hdf5.gz"
    path.write_bytes(gzip.compress(b"\x89HDF" * 1000))
    assert "no tar archive" in refusal(path)


def test_an_archive_that_cannot_be_read_is_told(tmp_path):
    for path in (tmp_path / "missing.zip", tmp_path):
        with pytest.raises(DownloadError, match="cannot be read"):
            unpack(path, tmp_path / "into", LIMIT, Teller("bus"))


@pytest.mark.parametrize("write", [zipped, tarred])
def test_an_archive_without_a_dataset_says_what_is_there(tmp_path, write):
    path = write(tmp_path / "archive", ("readme.txt", b""), ("images/1.png", b""), ("images/2.png", b""))
    assert "no info.yaml in it. At its top there is images/, readme.txt." in refusal(path, kind=ReleaseMismatchError)
    assert "At its top there is nothing" in refusal(write(path), kind=ReleaseMismatchError)


def test_a_zip_without_a_dataset_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(extraction.Extraction, "write", lambda *_: pytest.fail("it was written"))
    refusal(zipped(tmp_path / "archive", ("images/1.png", b"")), kind=ReleaseMismatchError)


def test_a_disk_that_fails_is_not_taken_for_a_damaged_archive(tmp_path):
    with pytest.raises(DownloadError, match="cannot be read") as caught, extraction.reading(tmp_path / "archive"):
        raise OSError(errno.EIO, "Input/output error")
    assert not isinstance(caught.value, UnsafeArchiveError)


@pytest.mark.parametrize("write", [zipped, tarred])
def test_an_archive_of_several_datasets_names_them(tmp_path, write):
    path = write(tmp_path / "archive", ("all/bus/info.yaml", b""), ("all/pbc/info.yaml", b""))
    assert "holds 2 datasets: all/bus, all/pbc" in refusal(path, kind=ReleaseMismatchError)
    write(path, ("bus/info.yaml", b"1"), ("bus/older/info.yaml", b"2"), ("readme.txt", b""))
    assert read(path, tmp_path / "into") == {"info.yaml": b"1", "older/info.yaml": b"2"}


def test_the_bytes_to_come_are_what_the_archive_says(dataset):
    total = sum(map(len, FILES.values()))
    assert unpacked_bytes(packed(dataset, "deflated")) == total
    archive = packed(dataset, "tar")
    assert unpacked_bytes(archive) == archive.stat().st_size
    assert unpacked_bytes(packed(dataset, "tar.xz")) is None


# --- the disk, progress, stopping


@pytest.mark.parametrize("packing", ["stored", "tar.gz"])
def test_a_full_disk_is_an_error_of_the_store_and_leaves_nothing(dataset, packing):
    """A limit on the size of files stands for it: writing fails midway, for real."""
    (dataset / "images.hdf5").write_bytes(bytes(3 * extraction.BLOCK))
    archive, before = packed(dataset, packing), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (extraction.BLOCK, before[1]))
    try:
        with pytest.raises(StoreError, match=r"into/bus/images.hdf5: cannot be written \(File too large\)"):
            unpack(archive, dataset.parent / "into", LIMIT, Teller("bus"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (dataset.parent / "into").exists()


def test_large_files_are_brought_to_the_disk(dataset, monkeypatch):
    monkeypatch.setattr(extraction, "STEP", 1000)
    assert read(packed(dataset, "deflated"), dataset.parent / "into") == FILES


@pytest.mark.parametrize("packing", PACKINGS)
def test_the_steps_rise_to_the_whole(dataset, packing, monkeypatch):
    monkeypatch.setattr(extraction, "TELL", 1)
    monkeypatch.setattr(extraction, "BLOCK", 1000)
    monkeypatch.setattr(zips, "BLOCK", 1000)
    archive, steps = packed(dataset, packing), []
    unpack(archive, dataset.parent / "into", LIMIT, Teller("bus", steps.append))
    done = [step.done for step in steps]
    total = archive.stat().st_size if packing in TARS else sum(map(len, FILES.values()))
    assert len(done) > 2
    assert done == sorted(done)
    assert done[-1] == total
    assert {(step.phase, step.total) for step in steps} == {("unpacking", total)}


@pytest.mark.parametrize("packing", PACKINGS)
def test_it_stops_between_two_blocks(dataset, packing, monkeypatch):
    monkeypatch.setattr(extraction, "TELL", 1)
    stop, archive = threading.Event(), packed(dataset, packing)
    with pytest.raises(Stopped):
        unpack(archive, dataset.parent / "into", LIMIT, Teller("bus", lambda _: stop.set(), stop))
    assert len(members(dataset.parent / "into")) <= 2


def test_it_stops_within_a_large_file(dataset):
    (dataset / "images.hdf5").write_bytes(bytes(3 * extraction.BLOCK))
    stop, archive = threading.Event(), packed(dataset, "stored")
    stop.set()
    with pytest.raises(Stopped):
        unpack(archive, dataset.parent / "into", LIMIT, Teller("bus", None, stop))
    assert (dataset.parent / "into" / "bus" / "images.hdf5").stat().st_size == extraction.BLOCK
