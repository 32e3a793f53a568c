"""A dataset that is loaded, downloaded first where it is not there."""

from __future__ import annotations

import os

from medimeta._optional import require
from medimeta.errors import DatasetNotFoundError
from medimeta.store import layout
from medimeta.store.reader import find_dataset


def fetch_missing(name: str, root: str | os.PathLike[str] | None = None) -> None:
    """Download the dataset of a task where it is not below the root; ask nobody where it is.

    Parameters
    ----------
    name : str
        ``dataset/task``, or a dataset.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.

    Raises
    ------
    UnknownNameError
        There is no such dataset or task.
    DownloadError, StoreError
        See `medimeta.download`.

    Examples
    --------
    >>> fetch_missing("bus/malignancy", getfixture("bus_root"))  # is there
    """
    try:
        find_dataset(name.partition("/")[0], layout.default_root(root))
    except DatasetNotFoundError:
        require("medimeta.hub.download").download(name, root)
