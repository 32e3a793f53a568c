"""Which samples are to be read: checked in one place, and brought into the order of the file."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medimeta.errors import SampleIndexError, UsageError

Indices = Sequence[int] | npt.NDArray[np.integer[Any]]


class Stretch(NamedTuple):
    """Samples that are neighbours both in the file and in the batch.

    Attributes
    ----------
    first : int
        Index of the first sample.
    place : int
        Its place in the batch.
    length : int
        How many samples there are.
    """

    first: int
    place: int
    length: int


def check_indices(indices: Indices, count: int, where: str | os.PathLike[str]) -> npt.NDArray[np.int64]:
    """Return indices as an array, where they are whole numbers from 0 to ``count - 1``; they may repeat.

    Parameters
    ----------
    indices : sequence of int
        What the caller passed; an empty sequence of any kind is fine, a mask is not.
    count : int
        How many samples there are.
    where : str or path
        The file or dataset, for the message.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    SampleIndexError
        An index is negative or too large. It is an IndexError.
    UsageError
        The indices are no sequence of whole numbers.

    Examples
    --------
    >>> check_indices([2, 0, 2], 3, "images.hdf5")
    array([2, 0, 2])
    """
    try:
        found = np.asarray(indices)
    except (ValueError, TypeError, RuntimeError):  # nested lists of other lengths; tensors that are not on the CPU
        found = np.asarray(None)
    if found.ndim == 1 and found.dtype.kind == "O" and all(type(index) is int for index in found):
        for index in found:  # NumPy keeps as objects what exceeds 64 bits
            if not 0 <= index < count:
                raise _out_of_range(index, count, where)
        found = found.astype(np.int64)
    if found.ndim != 1 or (found.dtype.kind not in "iu" and (found.size or found.dtype.kind == "b")):
        raise UsageError(
            f"{os.fspath(where)}: indices must be a sequence of whole numbers, "
            f"got {_description(indices, found)}.{_way_out(found)}"
        )
    if found.size and (found.min() < 0 or found.max() >= count):
        raise _out_of_range(int(found[(found < 0) | (found >= count)][0]), count, where)
    return found.astype(np.int64, copy=False)


def stretches(wanted: npt.NDArray[np.int64], order: npt.NDArray[np.int64]) -> Iterator[Stretch]:
    """Return what can be read at once, in the order of the file.

    Parameters
    ----------
    wanted : ndarray of int64, shape (n,)
        Index of the sample at each place of the batch.
    order : ndarray of int64, shape (m,)
        The places to be read, sorted by their samples.

    Examples
    --------
    >>> wanted = np.array([7, 3, 4, 8])
    >>> list(stretches(wanted, np.argsort(wanted)))
    [Stretch(first=3, place=1, length=2), Stretch(first=7, place=0, length=1), Stretch(first=8, place=3, length=1)]
    """
    if len(order) == 1:  # one image costs less to read than to cut up
        return iter([Stretch(int(wanted[order[0]]), int(order[0]), 1)])
    # Slices and lists, not np.diff and np.concatenate: of a few dozen images their overhead would be seen.
    indices = wanted[order]
    apart = (indices[1:] - indices[:-1] != 1) | (order[1:] - order[:-1] != 1)
    starts = [0, *(np.flatnonzero(apart) + 1).tolist()]
    stops = [*starts[1:], len(order)]
    lengths = [stop - start for start, stop in zip(starts, stops, strict=True)]
    return map(Stretch, indices[starts].tolist(), order[starts].tolist(), lengths)


def _out_of_range(index: int, count: int, where: str | os.PathLike[str]) -> SampleIndexError:
    whole = f"; there are {count}, counted from 0" if count else "; there is none"
    return SampleIndexError(f"{os.fspath(where)}: sample {index} is out of range{whole}.")


def _description(indices: object, found: npt.NDArray[Any]) -> str:
    shown = reprlib.repr(indices)
    return f"{found.dtype} of shape {found.shape}: {shown}" if found.ndim else shown


def _way_out(found: npt.NDArray[Any]) -> str:
    if found.dtype.kind == "b" and found.ndim == 1:
        return " Of a mask, pass np.flatnonzero(mask)."
    if found.ndim == 0 and found.dtype.kind in "iu":
        return f" For one sample, pass [{found}]."
    return ""
