"""Datasets and tasks by name: those of the catalogue, and people's own data below a root."""

from __future__ import annotations

import os

from medimeta.catalogue.schema import DatasetCard, TaskCard
from medimeta.store.info import known_dataset, known_task


def dataset(name: str, root: str | os.PathLike[str] | None = None) -> DatasetCard:
    """Return the card of a dataset of the catalogue or, else, of one that lies below the root, such as own data.

    Parameters
    ----------
    name : str
        Id; spaces, ``_`` and ``-`` are the same and case is ignored.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``. It is looked at only for names that the catalogue lacks.

    Raises
    ------
    UnknownNameError
        Neither has such a dataset; names near it are offered.
    DamagedStoreError
        It lies below the root, but its ``info.yaml`` does not read.

    Examples
    --------
    >>> dataset("DR-regular").domain
    'Retinal fundus'
    """
    return known_dataset(name, root)


def task(name: str, root: str | os.PathLike[str] | None = None) -> TaskCard:
    """Return the card of a task of the catalogue or, else, of a dataset that lies below the root.

    Parameters
    ----------
    name : str
        ``dataset/task``; a dataset alone means its primary task.
    root : path, optional
        As in `dataset`.

    Raises
    ------
    UnknownNameError
        There is no such dataset or task; names near it are offered.
    DamagedStoreError
        It lies below the root, but its ``info.yaml`` does not read.

    Examples
    --------
    >>> task("oct/disease class").classes
    ('CNV', 'DME', 'DRUSEN', 'NORMAL')
    """
    return known_task(name, root)
