"""Volumes read plane by plane, from disk and from archives, in one copy; what is no volume is named."""

import tracemalloc
import zipfile

import nibabel
import numpy as np
import pytest

from medimeta.errors import DamagedSourceError, SourceNotFoundError
from medimeta.sources import zipped as zipped_module
from medimeta.sources.find import open_archive
from medimeta.sources.nifti import VolumeHeader, open_volume, read_header

SHAPE = (7, 5, 4)
STORED = np.random.default_rng(0).integers(-900, 900, SHAPE).astype(np.int16)
SIZES = (0.5, 0.75, 2.0)


def encoded(stored=STORED, order="<", slope=1.0, intercept=0.0, sizes=SIZES, offset=352, **fields) -> bytes:
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_shape(stored.shape)
    header.set_data_dtype(stored.dtype)
    header.set_zooms((*sizes, *[1.0] * (stored.ndim - 3))[: stored.ndim])
    header["scl_slope"], header["scl_inter"], header["vox_offset"] = slope, intercept, offset
    for name, value in fields.items():
        header[name] = value
    stored = stored.astype(stored.dtype.newbyteorder(order))
    return bytes(header.binaryblock) + bytes(offset - 348) + stored.tobytes(order="F")


@pytest.fixture(params=["folder", "zip"])
def archive(request, zipped, extracted):
    """Open an archive of one volume, in either form."""
    write = extracted if request.param == "folder" else zipped
    return lambda data: open_archive(write({"a/v.nii": data}))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int32, np.float32, np.float64])
def test_planes_are_those_of_the_file(archive, order, dtype):
    stored = STORED.astype(dtype)
    volume = open_volume(archive(encoded(stored, order)), "a/v.nii")
    assert (volume.header.shape, volume.header.voxel_sizes) == (SHAPE, SIZES)
    assert volume.header.dtype == stored.dtype.newbyteorder(order)
    for axis in range(3):
        for index in range(SHAPE[axis]):
            plane = volume.plane(axis, index)
            assert plane.dtype == np.float64
            assert np.array_equal(plane, np.take(stored, index, axis).astype(float))


def test_slope_and_intercept_are_applied_as_nibabel_does(archive, tmp_path):
    data = encoded(slope=0.5, intercept=-1024)
    (tmp_path / "v.nii").write_bytes(data)
    expected = nibabel.load(tmp_path / "v.nii").get_fdata()
    volume = open_volume(archive(data), "a/v.nii")
    for axis in range(3):
        assert np.array_equal(volume.plane(axis, 1), np.take(expected, 1, axis))


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_a_slope_that_is_none_leaves_voxels_as_they_are(archive, slope):
    volume = open_volume(archive(encoded(slope=slope, intercept=7)), "a/v.nii")
    assert np.array_equal(volume.plane(0, 0), STORED[0])


def test_voxels_may_begin_later_and_be_followed_by_more(archive):
    volume = open_volume(archive(encoded(offset=1000) + bytes(99)), "a/v.nii")
    assert np.array_equal(volume.plane(2, 3), STORED[:, :, 3])


def test_a_fourth_axis_of_one_does_not_matter(archive):
    volume = open_volume(archive(encoded(STORED[..., None])), "a/v.nii")
    assert volume.header.shape == SHAPE
    assert np.array_equal(volume.plane(1, 2), STORED[:, 2])


def test_transposing_swaps_shape_sizes_and_voxels(archive):
    volume = open_volume(archive(encoded()), "a/v.nii").transposed((0, 2, 1))
    assert (volume.header.shape, volume.header.voxel_sizes) == ((7, 4, 5), (0.5, 2.0, 0.75))
    assert np.array_equal(volume.plane(2, 3), STORED[:, 3, :])
    assert np.array_equal(volume.plane(0, 6), STORED[6].T)


@pytest.mark.parametrize(("axis", "index"), [(0, 7), (2, 4), (1, -1)])
def test_a_plane_that_is_not_there_is_named(archive, axis, index):
    with pytest.raises(DamagedSourceError, match=rf"v\.nii: has {SHAPE[axis]} planes along axis {axis}; there is no"):
        open_volume(archive(encoded()), "a/v.nii").plane(axis, index)


def test_a_header_reads_without_the_voxels(archive, monkeypatch):
    source = archive(encoded())
    monkeypatch.setattr(type(source), "_read", lambda *_: pytest.fail("the whole member was read"))
    assert read_header(source, "a/v.nii") == VolumeHeader(SHAPE, SIZES, np.dtype("<i2"), 352)


@pytest.mark.parametrize(
    "data", [b"", b"n+1\0", bytes(400), b"organ 1 2 3 4 5 6 7\r\n" * 40], ids=["empty", "short", "zeros", "text"]
)
def test_what_is_no_volume_is_named(archive, data):
    with pytest.raises(DamagedSourceError, match=rf"v\.nii: is not a NIfTI-1 volume \(.*; {len(data)} bytes\)"):
        read_header(archive(data), "a/v.nii")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded(magic=b"ni1"), "is not a NIfTI-1 volume"),
        (encoded(datatype=3), "is not a NIfTI-1 volume"),
        (encoded(vox_offset=100), r"is not a NIfTI-1 volume \(voxels cannot begin at byte 100"),
        (encoded(vox_offset=np.inf), "is not a NIfTI-1 volume"),
        (encoded(scl_inter=np.inf), "is not a NIfTI-1 volume"),
        (encoded(STORED[..., 0]), "has shape 7x5; expected a volume with three axes"),
        (encoded(np.zeros((3, 3, 3, 2), np.uint8)), "has shape 3x3x3x2; expected a volume with three axes"),
        (encoded(dim=[3, 7, -5, 4, 1, 1, 1, 1]), "has shape 7x-5x4; expected a volume with three axes"),
        (encoded(STORED.astype(np.complex64)), "has voxels of type complex64; expected integers or floats"),
        (encoded(datatype=128), "has voxels of type .*; expected integers or floats"),
    ],
)
def test_what_is_no_volume_of_numbers_is_named(archive, data, message):
    with pytest.raises(DamagedSourceError, match=rf"v\.nii: {message}"):
        read_header(archive(data), "a/v.nii")


def test_a_volume_cut_short_is_named_at_its_header(archive):
    whole = encoded()
    message = rf"v\.nii: is cut short: {len(whole) - 1:,} bytes, but its header tells of {len(whole):,}\. Fetch it"
    for function in (read_header, open_volume):
        with pytest.raises(DamagedSourceError, match=message):
            function(archive(whole[:-1]), "a/v.nii")


def test_a_header_that_lies_about_the_size_takes_no_memory(archive):
    source = archive(encoded(dim=[3, 30_000, 30_000, 30_000, 1, 1, 1, 1]))
    with pytest.raises(DamagedSourceError, match="is cut short"):
        open_volume(source, "a/v.nii")


def test_a_volume_that_does_not_unpack_is_named(tmp_path):
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("v.nii", encoded() + bytes(9999))
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedSourceError, match=r"'v\.nii' is damaged \(Bad CRC-32"):
        open_volume(open_archive(path), "v.nii")


def test_a_volume_that_is_not_there_is_named(archive):
    with pytest.raises(SourceNotFoundError):
        read_header(archive(encoded()), "b/v.nii")


def test_larger_volumes_than_any_original_are_not_read_into_memory(zipped, monkeypatch):
    monkeypatch.setattr("medimeta.sources.archive.MAX_MEMBER_BYTES", STORED.nbytes + 351)
    with pytest.raises(DamagedSourceError, match="is 632 bytes long, more than the 631 that a member of an original"):
        open_volume(open_archive(zipped({"v.nii": encoded()})), "v.nii")


def test_a_volume_that_unpacks_to_less_than_it_should_is_named(zipped, monkeypatch):
    source = open_archive(zipped({"v.nii": encoded()}))
    monkeypatch.setattr(type(source), "_read", lambda self, name: encoded()[:-1])
    with pytest.raises(DamagedSourceError, match="v.nii: is cut short: 631 bytes, but its header tells of 632"):
        open_volume(source, "v.nii")


def test_whatever_byte_of_a_header_is_wrong_the_error_is_ours(tmp_path):
    whole = encoded()
    source = open_archive(tmp_path)
    path = tmp_path / "v.nii"
    strange = {}
    for place in range(348):
        for value in (0x00, 0xFF):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                open_volume(source, "v.nii").plane(0, 0)
            except DamagedSourceError:
                continue
            except Exception as error:  # noqa: BLE001 - what must not happen
                strange.setdefault(type(error).__name__, (place, value, str(error)))
    assert strange == {}


@pytest.mark.parametrize(("form", "copies"), [("folder", 0.2), ("zip", 1.3)])
def test_a_volume_is_in_memory_once_at_most(extracted, zipped, monkeypatch, form, copies):
    monkeypatch.setattr(zipped_module, "PIECE", 100_000)
    monkeypatch.setattr(zipped_module, "UNPACKED", 100_000)
    stored = np.random.default_rng(0).integers(0, 99, (200, 200, 100)).astype(np.int16)
    write = extracted if form == "folder" else zipped
    source = open_archive(write({"v.nii": encoded(stored)}))
    source.size("v.nii")
    tracemalloc.start()
    try:
        volume = open_volume(source, "v.nii")
        for axis in range(3):
            assert np.array_equal(volume.plane(axis, 50), np.take(stored, 50, axis))
        peak = tracemalloc.get_traced_memory()[1]
        del volume
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert peak < copies * stored.nbytes
    assert left < 0.1 * stored.nbytes
