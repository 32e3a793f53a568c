"""Volumes in NIfTI-1 files: the header by itself, and planes of the voxels, with one copy of them in memory at most.

nibabel reads the header; the voxels are mapped where the file lies on disk, and read once where it lies in an archive.
Array axes are those of the file, without any turn to an anatomical frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta._optional import require
from medimeta.errors import DamagedSourceError
from medimeta.sources.archive import Archive

HEADER_BYTES = 348
AXES = 3
_MAGIC = b"n+1"  # header and voxels in one file
_NUMBERS = "iuf"  # kinds of voxels: integers and floats; no colours, no complex numbers

Plane = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VolumeHeader:
    """What the header of a volume says.

    Attributes
    ----------
    shape : (int, int, int)
        Voxels along each axis.
    voxel_sizes : (float, float, float)
        Sizes of a voxel along each axis, in mm, as stored: 1 where whoever wrote the file did not know.
    dtype : numpy.dtype
        Type of the stored voxels, with its byte order.
    offset : int
        Where the voxels begin in the file.
    slope, intercept : float
        A value is ``stored * slope + intercept``.
    """

    shape: tuple[int, int, int]
    voxel_sizes: tuple[float, float, float]
    dtype: np.dtype[Any]
    offset: int
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def voxel_bytes(self) -> int:
        """Length of all voxels in bytes."""
        return self.shape[0] * self.shape[1] * self.shape[2] * self.dtype.itemsize

    def transposed(self, axes: Sequence[int]) -> VolumeHeader:
        """Return the header of the volume whose axis ``i`` is axis ``axes[i]`` of this one."""
        first, second, third = axes
        return replace(
            self,
            shape=(self.shape[first], self.shape[second], self.shape[third]),
            voxel_sizes=(self.voxel_sizes[first], self.voxel_sizes[second], self.voxel_sizes[third]),
        )


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume whose voxels can be read plane by plane. Drop it to free them.

    Attributes
    ----------
    header : VolumeHeader
        What its header says.
    voxels : ndarray, shape of the header
        The stored voxels, read only: not scaled by slope and intercept.
    where : str
        The volume's place, for messages.
    """

    header: VolumeHeader
    voxels: npt.NDArray[Any]
    where: str

    def transposed(self, axes: Sequence[int]) -> Volume:
        """Return the same voxels with other axes; see `VolumeHeader.transposed`. Nothing is copied."""
        return Volume(self.header.transposed(axes), self.voxels.transpose(axes), self.where)

    def plane(self, axis: int, index: int) -> Plane:
        """Return the plane at a place along an axis; the other two axes keep their order.

        Returns
        -------
        ndarray of float64
            The values, with slope and intercept, in memory of its own.

        Raises
        ------
        DamagedSourceError
            The volume ends before that place.
        """
        if not 0 <= index < self.header.shape[axis]:
            raise DamagedSourceError(
                f"{self.where}: has {self.header.shape[axis]} planes along axis {axis}; there is no plane {index}."
            )
        stored = self.voxels[(slice(None),) * axis + (index,)]
        plane: Plane = np.array(stored, np.float64) * self.header.slope + self.header.intercept
        return plane


def read_header(source: Archive, member: str) -> VolumeHeader:
    """Read the header of a volume, and nothing else of it.

    Raises
    ------
    SourceNotFoundError
        There is no such member.
    DamagedSourceError
        The file is not NIfTI-1 with three axes of plain numbers, or shorter than its header says.
    """
    nibabel = require("nibabel")
    where = source.where(member)
    size = source.size(member)
    try:
        stored = nibabel.nifti1.Nifti1Header(source.head(member, HEADER_BYTES), check=False)
        if int(stored["sizeof_hdr"]) != HEADER_BYTES or stored["magic"].item() != _MAGIC:
            raise ValueError("it has no header of one")
        header = _header(stored, where)
    except DamagedSourceError:
        raise
    except Exception as error:  # of many kinds: nibabel reads nonsense without a check of ours
        raise DamagedSourceError(f"{where}: is not a NIfTI-1 volume ({error}; {size:,} bytes).") from error
    if size < header.offset + header.voxel_bytes:
        raise _cut_short(where, size, header)
    return header


def _header(stored: Any, where: str) -> VolumeHeader:
    shape = tuple(int(extent) for extent in stored.get_data_shape())
    if len(shape) < AXES or min(shape) < 1 or any(extent != 1 for extent in shape[AXES:]):
        raise DamagedSourceError(f"{where}: has shape {'x'.join(map(str, shape))}; expected a volume with three axes.")
    dtype = stored.get_data_dtype()
    if dtype.kind not in _NUMBERS:
        raise DamagedSourceError(f"{where}: has voxels of type {dtype}; expected integers or floats.")
    offset = int(stored.get_data_offset())
    if offset < HEADER_BYTES:
        raise ValueError(f"voxels cannot begin at byte {offset}")
    slope, intercept = stored.get_slope_inter()
    sizes = [float(size) for size in stored.get_zooms()]
    return VolumeHeader(
        (shape[0], shape[1], shape[2]),
        (sizes[0], sizes[1], sizes[2]),
        dtype,
        offset,
        1.0 if slope is None else slope,
        0.0 if intercept is None else intercept,
    )


def open_volume(source: Archive, member: str) -> Volume:
    """Open a volume: mapped where it is a file on disk, else read into memory, once and without a second copy.

    Raises
    ------
    SourceNotFoundError, DamagedSourceError
        See `read_header` and `Archive.read`.
    """
    header = read_header(source, member)
    where = source.where(member)
    path = source.file(member)
    if path is not None:
        voxels = np.memmap(path, header.dtype, "r", header.offset, header.shape, "F")
        return Volume(header, voxels, where)
    data = source.read(member)
    if len(data) < header.offset + header.voxel_bytes:
        raise _cut_short(where, len(data), header)
    flat = np.frombuffer(data, header.dtype, header.voxel_bytes // header.dtype.itemsize, header.offset)
    return Volume(header, flat.reshape(header.shape, order="F"), where)


def _cut_short(where: str, size: int, header: VolumeHeader) -> DamagedSourceError:
    wanted = header.offset + header.voxel_bytes
    return DamagedSourceError(
        f"{where}: is cut short: {size:,} bytes, but its header tells of {wanted:,}. Fetch it again."
    )
