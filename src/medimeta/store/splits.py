"""Split files: which samples are in train, val and test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medimeta.errors import DamagedStoreError
from medimeta.store import layout

Places = npt.NDArray[np.int64]

_LINE = b"images/000000.tiff\n"
_DIGITS = range(7, 13)


def read_split(path: Path, count: int) -> Places:
    """Read a split file of a dataset of `count` samples; return their indices, ascending.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    DamagedStoreError
        A line names no sample, or one that the dataset does not have, or one for the second time.
    """
    try:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedStoreError(f"{path}: does not read ({error.strerror}).") from error
    indices = _plain(text)
    if indices is None:
        indices = _any(path, text)
    if indices.size and indices.max() >= count:
        raise DamagedStoreError(f"{path}: names sample {indices.max()}, but there are {count} samples.")
    if (np.diff(indices) <= 0).any():
        indices = np.sort(indices)
    twice = np.flatnonzero(np.diff(indices) == 0)
    if twice.size:
        more = f", and {twice.size - 1} more twice or more often" if twice.size > 1 else ""
        raise DamagedStoreError(f"{path}: names sample {indices[twice[0]]} twice{more}.")
    return indices


def shared_problems(splits: Mapping[str, Places], folder: str, count: int) -> Iterator[str]:
    """Say which of `count` samples two splits have in common."""
    times = np.zeros(count, dtype=np.int8)
    for places in splits.values():
        times[places] += 1
    if times.max(initial=0) <= 1:
        return
    for (one, first), (other, second) in combinations(splits.items(), 2):
        shared = np.intersect1d(first, second)
        if shared.size:
            more = f", and so are {shared.size - 1} others" if shared.size > 1 else ""
            yield f"{folder}: sample {shared[0]} is in more than one split, in {one} and in {other}{more}"


def _plain(text: bytes) -> Places | None:
    """Parse what this package and release 1.0 write, all lines at once; None where the text has another form."""
    lines = np.frombuffer(text.removesuffix(b"\n") + b"\n" if text else b"", dtype=np.uint8)
    if lines.size % len(_LINE):
        return None
    indices = np.zeros(lines.size // len(_LINE), dtype=np.int64)
    for place, column in enumerate(lines.reshape(-1, len(_LINE)).T):
        if place not in _DIGITS:
            if (column != _LINE[place]).any():
                return None
            continue
        digits = column - np.uint8(ord("0"))  # what is below 0 comes out above 9
        if digits.max(initial=0) > 9:
            return None
        indices *= 10
        indices += digits
    return indices


def _any(path: Path, text: bytes) -> Places:
    """Parse lines of any length, with CRLF, backslashes, or names that end in .tif."""
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DamagedStoreError(f"{path}: is not text ({error.reason}).") from None
    indices = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                indices.append(layout.image_index(line))
        except ValueError as error:
            raise DamagedStoreError(f"{path}, line {number}: {error}.") from None
    return np.array(indices, dtype=np.int64)
