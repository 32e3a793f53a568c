"""A tarball is read once, whole and within bounds, or it is said what is wrong with it."""

import gzip
import io
import tarfile
import zipfile

import pytest

from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError
from medimeta.sources import tarballs as module
from medimeta.sources.find import open_archive
from medimeta.sources.tarballs import stream_tarball, tarball_names, tarballs

FILES = {"images/b.png": b"b" * 700, "images/a.png": bytes(range(256)) * 4, "images/empty.png": b""}
NAME = "images_001.tar.gz"


def member(name, size=0, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def tar(files=FILES, more=(), **options):
    """Pack files in their order, then members without data."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", **options) as packed:
        for name, data in files.items():
            packed.addfile(member(name, len(data)), io.BytesIO(data))
        for info in more:
            packed.addfile(info)
    return file.getvalue()


def packed(files=FILES, more=(), **options):
    return gzip.compress(tar(files, more, **options), mtime=0)


@pytest.fixture
def source(tmp_path):
    """Lay a file into a folder and open that."""

    def lay(data, name=NAME):
        (tmp_path / "tree").mkdir(exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(data)
        return open_archive(tmp_path / "tree")

    return lay


def read(source):
    return list(stream_tarball(source, NAME))


def outcome(source):
    """Read a tarball both ways; return what is said against it, or nothing."""
    said = []
    for way in (read, lambda source: tarball_names(source, NAME)):
        with pytest.raises(DamagedSourceError) as caught:
            way(source)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert NAME in said[0]
    return said[0]


def test_tarballs_are_found_by_their_names_and_sorted(zipped):
    names = ["x/images_010.TAR.GZ", "images_002.tgz", "x/images_001.tar.gz"]
    others = ["x/._images_001.tar.gz", "__MACOSX/images_001.tar.gz", "images.tar", "notes.gz"]
    assert tarballs(open_archive(zipped(dict.fromkeys([*names, *others], b"")))) == tuple(sorted(names))


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_come_in_the_order_in_which_they_are_stored(source, kind):
    files = FILES | {"images/" + "long" * 60 + ".png": b"x", "images/ä.png": b"y"}
    if kind == tarfile.USTAR_FORMAT:
        files = FILES
    tree = source(packed(files, format=kind))
    assert read(tree) == list(files.items())
    assert tarball_names(tree, NAME) == list(files)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_tarball_in_a_zip_reads_as_one_in_a_folder(tmp_path, compression):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", compression) as file:
        file.writestr(f"CXR8/{NAME}", packed())
    assert list(stream_tarball(open_archive(tmp_path / "a.zip"), f"CXR8/{NAME}")) == list(FILES.items())


def test_folders_dots_in_front_and_separators_of_windows_do_not_matter(source):
    files = {"./images/a.png": b"a", "images\\b.png": b"b"}
    tree = source(packed(files, [member("images", kind=tarfile.DIRTYPE)]))
    assert read(tree) == [("images/a.png", b"a"), ("images/b.png", b"b")]


def test_what_packers_and_file_managers_leave_behind_is_skipped(source):
    junk = dict.fromkeys(["images/._a.png", "./__MACOSX/images/a.png", "images/Thumbs.db"], b"x")
    assert read(source(packed(junk | FILES))) == list(FILES.items())
    assert tarball_names(source(packed(junk | FILES)), NAME) == list(FILES)


def test_a_tarball_of_several_compressed_pieces_is_read_to_its_end(source):
    whole = tar()
    assert read(source(gzip.compress(whole[:1000]) + gzip.compress(whole[1000:]))) == list(FILES.items())


def test_a_tarball_that_is_not_there_is_named(source):
    with pytest.raises(SourceNotFoundError, match="nosuch"):
        list(stream_tarball(source(packed()), "nosuch.tar.gz"))


def test_a_tarball_that_stops_anywhere_is_told(source):
    whole = packed()
    for length in range(len(whole)):
        assert "is cut short or damaged" in outcome(source(whole[:length])), length


def test_whatever_byte_is_wrong_the_error_is_ours_and_no_wrong_byte_is_passed_on(source):
    whole = packed()
    for place in range(len(whole)):
        for value in (0x00, 0xFF, whole[place] ^ 0x01):
            tree = source(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                found = read(tree)
            except SourceError:
                continue
            assert found == list(FILES.items()), (place, value)  # the time and the like in gzip's own head


def test_whatever_byte_of_the_tar_itself_is_wrong_the_error_is_ours(source):
    whole = tar(FILES, format=tarfile.PAX_FORMAT)[:3072]
    for place in range(0, len(whole), 5):
        for value in (0x00, 0xFF):
            damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
            try:
                read(source(gzip.compress(damaged, 1)))
            except SourceError:
                continue


def test_a_wrong_checksum_is_told(source):
    whole = bytearray(packed())
    whole[-8] ^= 1
    assert "CRC check failed" in outcome(source(bytes(whole)))


def test_what_follows_the_tarball_is_told(source):
    assert "cut short or damaged" in outcome(source(packed() + b"garbage"))
    assert read(source(packed() + bytes(100))) == list(FILES.items())  # as written by tape drives


def test_a_header_that_does_not_read_is_not_taken_for_the_end(source):
    whole = bytearray(tar())
    whole[1024 + 512 + 148] ^= 1  # the checksum of the second file's header
    assert "a member's header does not read" in outcome(source(gzip.compress(bytes(whole))))


def test_a_file_that_stops_short_within_a_whole_stream_is_told(source):
    assert "cut short or damaged (unexpected end of data)" in outcome(source(gzip.compress(tar()[:700])))


@pytest.mark.parametrize(
    "data",
    [b"", b"no gzip at all", gzip.compress(b"no tar"), gzip.compress(b"x" * 5000)],
    ids=["nothing", "no gzip", "no tar", "no header"],  # a gzip tells the time, and an id must not
)
def test_what_is_no_tarball_is_told(source, data):
    assert "cut short or damaged" in outcome(source(data))


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "b.png"),
        (tarfile.LNKTYPE, "images/b.png"),
        (tarfile.CHRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_are_refused(source, kind, link):
    said = outcome(source(packed(more=[member("images/link.png", kind=kind, link=link)])))
    assert "the member 'images/link.png' is a link or a device" in said


@pytest.mark.parametrize("name", ["../a.png", "images/../../a.png", "/etc/a.png", "..\\a.png", "C:\\a.png", "C:/a.png"])
def test_names_that_lead_out_are_refused(source, name):
    assert f"the member {name!r} leads out of the archive" in outcome(source(packed({name: b"x"})))


def test_a_name_that_is_not_unicode_is_refused(source):
    said = outcome(source(packed({"images/\udce4.png": b"x"}, format=tarfile.GNU_FORMAT)))
    assert "the name of the member 'images/\\udce4.png' is not Unicode" in said
    said.encode()


def test_a_file_larger_than_any_original_has_is_refused_before_it_is_read(source, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)
    assert "the member 'images/a.png' is 1,024 bytes long; expected no more than the 1,000" in outcome(source(packed()))


@pytest.mark.parametrize("size", [-512, 2**40])
def test_a_length_that_cannot_be_is_refused(source, size):
    header = bytearray(member("images/a.png").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (size % 256**12).to_bytes(12, "big") if size < 0 else b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert f"is {size:,} bytes long" in outcome(source(gzip.compress(bytes(header) + bytes(10240))))


def test_more_files_than_any_original_has_are_refused(source, monkeypatch):
    monkeypatch.setattr(module, "MAX_MEMBERS", 2)
    assert "has more than 2 members" in outcome(source(packed()))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_name_of_any_length_does_not_fill_the_memory(source, monkeypatch, kind):
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr(module, "BUFFER", 512)
    header = member("././@LongLink", 10**9, kind).tobuf(tarfile.GNU_FORMAT)
    said = outcome(source(gzip.compress(header + b"x" * 100_000)))
    assert "holds more than 1,000 bytes between two files" in said


def test_many_small_files_are_within_bounds_together(source, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr(module, "BUFFER", 4096)
    files = {f"{number}.png": bytes(999) for number in range(60)}
    tree = source(packed(files))
    assert read(tree) == list(files.items())
    assert tarball_names(tree, NAME) == list(files)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_zip_around_the_tarball_is_told(tmp_path, compression):
    files = {"images/a.png": bytes(range(256)) * 8}
    whole = packed(files)
    path = tmp_path / "CXR8.zip"
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr(NAME, whole)
    data = path.read_bytes()
    start = data.index(NAME.encode()) + len(NAME)
    harmless = 0
    for place in range(start, data.index(b"PK\x01\x02"), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :])
        try:
            found = read(open_archive(path))
        except DamagedSourceError:
            continue
        assert found == list(files.items()), place  # a bit that fills the last byte up
        harmless += 1
    assert harmless <= 1


def test_a_wrong_checksum_of_the_zip_alone_is_told(tmp_path):
    path = tmp_path / "CXR8.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(NAME, packed())
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 16] ^= 1
    path.write_bytes(data)
    assert "Bad CRC-32" in outcome(open_archive(path))


def test_what_the_reader_does_with_the_files_is_not_taken_for_damage(source):
    def fail():
        for _ in stream_tarball(source(packed()), NAME):
            raise EOFError("the reader's own")

    with pytest.raises(EOFError, match="the reader's own"):
        fail()


def test_reading_may_stop_early(source):
    stream = stream_tarball(source(packed()), NAME)
    assert next(stream)[0] == "images/b.png"
    stream.close()
