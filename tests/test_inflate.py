"""Members of zips are read, in one go or in blocks, as ``zipfile`` would read them."""

import importlib
import importlib.util
import io
import os
import zipfile
import zlib

import pytest

from medimeta import _zlib
from medimeta._inflate import member_blocks, read_member

CONTENTS = {"empty": b"", "one byte": b"x", "text": b"abc" * 1000, "noise": os.urandom(100_000)}


@pytest.fixture(params=["as installed", "zlib alone"])
def either_library(request, monkeypatch):
    if request.param == "zlib alone":
        for name in _zlib.__all__:
            monkeypatch.setattr(_zlib, name, getattr(zlib, name))


def zip_of(content, **options):
    file = zipfile.ZipFile(io.BytesIO(), "w", **options)
    file.writestr("member", content)
    return file, file.getinfo("member")


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_compressed_member_is_what_zipfile_reads(either_library, content, level):
    file, info = zip_of(content, compression=zipfile.ZIP_DEFLATED, compresslevel=level)
    assert read_member(file, info) == content == file.read(info)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_packed_otherwise_is_left_to_zipfile(method):
    assert read_member(*zip_of(b"abc" * 100, compression=method)) == b"abc" * 100


@pytest.mark.parametrize("said", [0, 299, 301, 10**6])
def test_a_member_of_another_length_than_the_zip_says_is_refused(either_library, said):
    file, info = zip_of(b"abc" * 100, compression=zipfile.ZIP_DEFLATED)
    info.file_size = said
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32 for file 'member'"):
        read_member(file, info)


def test_no_more_is_inflated_than_the_zip_says(monkeypatch):
    lengths = []
    real = _zlib.decompressobj

    class Inflater:
        def __init__(self, *options):
            self.inner = real(*options)

        def decompress(self, data, most):
            unpacked = self.inner.decompress(data, most)
            lengths.append(len(unpacked))
            return unpacked

    monkeypatch.setattr(_zlib, "decompressobj", Inflater)
    file, info = zip_of(b"0" * 10_000_000, compression=zipfile.ZIP_DEFLATED)
    info.file_size = 10_000
    with pytest.raises(zipfile.BadZipFile):
        read_member(file, info)
    assert lengths == [10_001]


def test_a_member_that_says_to_be_packed_to_far_more_than_its_length_is_not_read(monkeypatch):
    file, info = zip_of(b"abc", compression=zipfile.ZIP_DEFLATED)
    info.compress_size = 10**12
    monkeypatch.setattr(file, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(zipfile.BadZipFile, match="1,000,000,000,000 packed bytes for 3"):
        read_member(file, info)


def test_damaged_data_is_a_damaged_zip(either_library):
    file, info = zip_of(CONTENTS["text"], compression=zipfile.ZIP_DEFLATED)
    start = info.header_offset + 30 + len(info.filename)
    file.fp.seek(start)
    file.fp.write(b"\xff" * 8)
    with pytest.raises(zipfile.BadZipFile):
        read_member(file, info)


def test_without_isal_the_names_are_those_of_zlib(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda _: None)
        importlib.reload(_zlib)
        assert (_zlib.crc32, _zlib.decompressobj, _zlib.error) == (zlib.crc32, zlib.decompressobj, zlib.error)
    importlib.reload(_zlib)
    assert _zlib.crc32(b"abc") == zlib.crc32(b"abc")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_blocks_together_are_what_zipfile_reads(either_library, content, method):
    file, info = zip_of(content, compression=method)
    blocks = list(member_blocks(file, info, 1000))
    assert b"".join(blocks) == content
    assert all(0 < len(block) <= 1000 for block in blocks)


def test_blocks_of_a_bomb_are_no_larger_than_asked_for(either_library):
    """It says one byte and inflates to ten million: whoever reads may stop at the first block."""
    file, info = zip_of(b"0" * 10_000_000, compression=zipfile.ZIP_DEFLATED)
    info.file_size = 1
    assert len(next(member_blocks(file, info, 1000))) == 1000


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_blocks_that_are_others_than_were_packed_are_told(either_library, method):
    file, info = zip_of(b"abc" * 1000, compression=method)
    info.CRC ^= 1
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32 for file 'member'"):
        list(member_blocks(file, info, 1000))
