"""Decode the pixels of a DICOM file, whole and within bounds, or say which file does not decode."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta._optional import require
from medimeta.errors import DamagedSourceError
from medimeta.sources.images import MAX_PIXELS

DEFLATED = "1.2.840.10008.1.2.1.99"  # the one transfer syntax that would be unpacked before its size is known
_PREAMBLE = 128
_MAGIC = b"DICM"


def decode_dicom(data: bytes, where: str) -> npt.NDArray[Any]:
    """Decode the only frame of a grey DICOM image.

    Parameters
    ----------
    data : bytes
        A DICOM file (PS3.10: a preamble, ``DICM``, meta information, data set).
    where : str
        The file's place, for messages.

    Returns
    -------
    ndarray of integers, shape (rows, columns)
        The stored values, in the type of the file: no rescaling, no window.

    Raises
    ------
    DamagedSourceError
        The bytes are no DICOM file, have no pixels or more than one frame or channel, stop short, or would be larger
        than any original is.
    """
    pydicom = require("pydicom")
    if data[_PREAMBLE : _PREAMBLE + len(_MAGIC)] != _MAGIC:
        raise DamagedSourceError(f"{where}: is not a DICOM file ({len(data):,} bytes).")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values and surplus bytes, which do not change the pixels
            if _transfer_syntax(pydicom, data) == DEFLATED:
                raise DamagedSourceError(f"{where}: is compressed as a whole; expected a plain DICOM file.")
            dataset = pydicom.dcmread(io.BytesIO(data))
            _check(dataset, where)
            pixels: npt.NDArray[Any] = np.asarray(dataset.pixel_array)
    except DamagedSourceError:
        raise
    except Exception as error:  # pydicom lets pass whatever a damaged file makes its parsers run into
        raise DamagedSourceError(f"{where}: does not decode ({error}; {len(data):,} bytes).") from error
    return pixels


def _transfer_syntax(pydicom: Any, data: bytes) -> str:
    """Return how the data set is encoded, reading the meta information alone, which is group 2."""
    reader = require("pydicom.filereader")
    file = io.BytesIO(data)
    file.seek(_PREAMBLE + len(_MAGIC))
    meta = reader.read_dataset(
        file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, *_: pydicom.tag.Tag(tag).group != 2
    )
    return str(meta.get("TransferSyntaxUID", ""))


def _check(dataset: Any, where: str) -> None:
    if "PixelData" not in dataset:
        raise DamagedSourceError(f"{where}: is a DICOM file without pixels. Check that this is the original download.")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    frames, channels = int(dataset.get("NumberOfFrames") or 1), int(dataset.get("SamplesPerPixel") or 1)
    if frames != 1 or channels != 1:
        raise DamagedSourceError(f"{where}: has {frames} frames and {channels} channels; expected a single grey image.")
    if rows * columns > MAX_PIXELS:
        raise DamagedSourceError(
            f"{where}: is {columns}x{rows} pixels, more than the {MAX_PIXELS:,} that an original may have."
        )
