"""DICOM files decode whole and within bounds, or are named."""

import io
import zlib

import numpy as np
import pydicom
import pytest

from medimeta.errors import DamagedSourceError
from medimeta.sources import dicom
from medimeta.sources.dicom import decode_dicom

UID = pydicom.uid
PIXELS = np.random.default_rng(0).integers(0, 65536, (9, 7), dtype=np.uint16)


def encoded(pixels=PIXELS, syntax=UID.ExplicitVRLittleEndian, data=None, **attributes) -> bytes:
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID.SecondaryCaptureImageStorage, "1.2.3.4"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelData = (pixels.tobytes() + b"\0" * (pixels.nbytes % 2)) if data is None else data
    dataset["PixelData"].VR = "OW"
    for name, value in attributes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("syntax", [UID.ExplicitVRLittleEndian, UID.ImplicitVRLittleEndian])
def test_pixels_decode_as_they_are_stored(dtype, syntax):
    pixels = PIXELS.astype(dtype)
    decoded = decode_dicom(encoded(pixels, syntax), "here")
    assert decoded.dtype == dtype
    assert np.array_equal(decoded, pixels)


def test_big_endian_pixels_decode():
    data = encoded(PIXELS, UID.ExplicitVRBigEndian, PIXELS.astype(">u2").tobytes())
    assert np.array_equal(decode_dicom(data, "here"), PIXELS)


def test_bytes_after_the_pixels_are_tolerated_in_silence():
    data = encoded(data=PIXELS.tobytes() + b"\0\0\0\0")
    assert np.array_equal(decode_dicom(data, "here"), PIXELS)


@pytest.mark.parametrize(
    "data", [b"", b"DICM", b"a table, perhaps" * 100, bytes(132)], ids=["empty", "short", "text", "zeros"]
)
def test_what_is_no_dicom_file_is_named(data):
    with pytest.raises(DamagedSourceError, match=rf"a/1-1\.dcm: is not a DICOM file \({len(data):,} bytes\)"):
        decode_dicom(data, "a/1-1.dcm")


def test_a_file_without_pixels_is_named():
    with pytest.raises(DamagedSourceError, match="1-1.dcm: is a DICOM file without pixels"):
        decode_dicom(encoded(PixelData=None), "1-1.dcm")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_that_stops_short_is_named(share):
    data = encoded()
    data = data[: int(share * len(data))]
    with pytest.raises(DamagedSourceError, match=r"1-1\.dcm: "):
        decode_dicom(data, "1-1.dcm")


def test_a_file_too_large_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(pydicom.dataset.Dataset, "pixel_array", property(lambda self: pytest.fail("was decoded")))
    with pytest.raises(DamagedSourceError, match="1-1.dcm: is 60000x50000 pixels, more than the 100,000,000 that"):
        decode_dicom(encoded(Rows=50_000, Columns=60_000), "1-1.dcm")


def test_the_bound_of_pixels_is_inclusive(monkeypatch):
    monkeypatch.setattr(dicom, "MAX_PIXELS", PIXELS.size)
    assert decode_dicom(encoded(), "here").shape == PIXELS.shape
    monkeypatch.setattr(dicom, "MAX_PIXELS", PIXELS.size - 1)
    with pytest.raises(DamagedSourceError):
        decode_dicom(encoded(), "here")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"NumberOfFrames": 2}, "has 2 frames and 1 channels; expected a single grey image"),
        ({"SamplesPerPixel": 3}, "has 1 frames and 3 channels; expected a single grey image"),
        ({"Rows": None}, "does not decode"),
        ({"BitsAllocated": 12}, "does not decode"),
    ],
)
def test_what_is_not_one_grey_image_is_named(attributes, message):
    with pytest.raises(DamagedSourceError, match=f"1-1.dcm: {message}"):
        decode_dicom(encoded(**attributes), "1-1.dcm")


def test_a_deflated_file_is_refused_before_it_is_inflated(monkeypatch):
    data = encoded(syntax=UID.DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr(zlib, "decompress", lambda *_: pytest.fail("was inflated"))
    with pytest.raises(DamagedSourceError, match="1-1.dcm: is compressed as a whole; expected a plain DICOM file"):
        decode_dicom(data, "1-1.dcm")


def test_pixels_in_a_compression_that_cannot_be_read_are_named():
    data = encoded(data=pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 no picture"]), syntax=UID.JPEG2000Lossless)
    with pytest.raises(DamagedSourceError, match="1-1.dcm: does not decode"):
        decode_dicom(data, "1-1.dcm")


def test_whatever_byte_is_wrong_the_error_is_ours():
    whole = encoded()
    strange = {}
    for place in range(len(whole)):
        for value in (0x00, 0xFF):
            try:
                decode_dicom(whole[:place] + bytes([value]) + whole[place + 1 :], "1-1.dcm")
            except DamagedSourceError:
                continue
            except Exception as error:  # noqa: BLE001 - what must not happen
                strange.setdefault(type(error).__name__, (place, value, str(error)))
    assert strange == {}
