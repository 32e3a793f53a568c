"""``annotations.csv``: a row for each sample, in index order."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medimeta.errors import DamagedStoreError
from medimeta.store import layout

_EMPTY = frozenset({"", "nan"})  # what csv and pandas write for nothing


def read_rows(path: Path) -> Iterator[list[str]]:
    """Yield the head and the rows of the file; lines without a cell are passed over.

    Raises
    ------
    DamagedStoreError
        The file is missing or does not read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from filter(None, csv.reader(file))
    except FileNotFoundError:
        raise DamagedStoreError(f"{path}: is missing. Build or download the dataset again.") from None
    except OSError as error:
        raise DamagedStoreError(f"{path}: does not read ({error.strerror}).") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DamagedStoreError(f"{path}: does not read ({error}).") from None


def read_column(path: Path, column: str, count: int) -> list[str] | None:
    """Return the cells of a column, one for each of `count` samples; None where there is no such column.

    Raises
    ------
    DamagedStoreError
        The file is missing or does not read, or its rows are not those of the samples.
    """
    rows = read_rows(path)
    head = next(rows, [])
    if column not in head:
        return None
    place, name = head.index(column), head.index("filepath") if "filepath" in head else None
    cells: list[str] = []
    for index, row in enumerate(rows):
        if len(row) <= place:
            raise DamagedStoreError(f"{path}: the row of sample {index} has {len(row)} cells of {len(head)}.")
        if name is not None and row[name] != layout.image_name(index) and _index(row[name]) != index:
            raise DamagedStoreError(f"{path}: expected the row of {layout.image_name(index)}, got that of {row[name]}.")
        cells.append(row[place])
    if len(cells) != count:
        raise DamagedStoreError(f"{path}: has {len(cells)} rows for {count} samples.")
    return cells


def subject_codes(cells: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the subjects' numbers, by first appearance; a sample whose cell is empty is a subject of its own.

    Examples
    --------
    >>> subject_codes(["P7", "P3", "", "P7", ""])
    array([0, 1, 2, 0, 3])
    """
    codes: dict[str | int, int] = {}
    names = (cell.strip() for cell in cells)
    keys = (place if name.casefold() in _EMPTY else name for place, name in enumerate(names))
    return np.fromiter((codes.setdefault(key, len(codes)) for key in keys), dtype=np.int64, count=len(cells))


def _index(name: str) -> int | None:
    try:
        return layout.image_index(name)
    except ValueError:
        return None
