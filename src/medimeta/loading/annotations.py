"""Columns of ``annotations.csv`` for chosen samples."""

from __future__ import annotations

from medimeta.errors import DamagedStoreError
from medimeta.loading.selection import Indices
from medimeta.store import layout
from medimeta.store.reader import StoredDataset

Columns = dict[str, list[str]]


def read_columns(stored: StoredDataset, indices: Indices) -> Columns:
    """Read what is annotated of some samples.

    Parameters
    ----------
    stored : StoredDataset
        The dataset on disk.
    indices : ndarray of int64, shape (n,)
        The samples.

    Returns
    -------
    dict of str to list of str
        Column to the cells of the samples, in their order, as text; empty where a sample has no value.

    Raises
    ------
    DamagedStoreError
        The table is missing, does not read, or its rows are not the samples in index order.
    """
    path = stored.folder / layout.ANNOTATIONS
    rows = list(stored.annotations())
    if len(rows) != len(stored):
        raise DamagedStoreError(
            f"{path}: has {len(rows):,} rows for {len(stored):,} samples. Build or download the dataset again."
        )
    for index in indices.tolist():
        if (name := rows[index].get("filepath")) is not None and name != layout.image_name(index):
            raise DamagedStoreError(
                f"{path}, sample {index}: filepath should be {layout.image_name(index)}, is {name}. "
                f"Build or download the dataset again."
            )
    columns = list(rows[0]) if rows else []
    return {column: [rows[index][column] or "" for index in indices.tolist()] for column in columns}
