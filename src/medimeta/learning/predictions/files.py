"""Read and write predictions, as npz or CSV by the name of the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from medimeta._files import as_path, write_whole
from medimeta.catalogue.catalogue import check_split
from medimeta.catalogue.schema import TaskCard, normalised
from medimeta.errors import PredictionsError, PredictionsNotFoundError, UsageError, problems_error
from medimeta.learning.predictions.csv_files import csv_bytes, read_csv
from medimeta.learning.predictions.npz_files import from_arrays, npz_bytes, read_arrays, told
from medimeta.learning.predictions.predictions import Predictions
from medimeta.store.info import known_task

SUFFIXES = (".npz", ".csv")

WAY_OUT = "docs/metrics.md says what the file may hold."


def write_predictions(
    path: str | os.PathLike[str],
    predictions: Mapping[str, Predictions],
    *,
    root: str | os.PathLike[str] | None = None,
) -> None:
    """Write predictions, whole or not at all.

    Parameters
    ----------
    path : path
        ``*.npz``, or ``*.csv``, which leaves out the fingerprint of the data.
    predictions : mapping of str to Predictions
        By split.
    root : path, optional
        Where a task lies that is not in the catalogue.

    Raises
    ------
    UsageError
        The name ends otherwise, or the predictions are not of one task.
    PredictionsError
        The file cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> path = getfixture("tmp_path") / "mine.csv"
    >>> mine = Predictions("bus/malignancy", "test", None, np.array([4, 9]), np.array([0, 1]), np.array([0.25, 0.75]))
    >>> write_predictions(path, {"test": mine})
    >>> print(path.read_text(), end="")
    split,filepath,label,malignant finding
    test,images/000004.tiff,0,0.25
    test,images/000009.tiff,1,0.75
    >>> read_predictions(path, "bus/malignancy")["test"].scores
    array([0.25, 0.75])
    """
    file = _checked(path)
    if file.suffix.lower() == ".npz":
        data = npz_bytes(predictions)
    else:
        if len({each.task for each in predictions.values()}) != 1:
            raise UsageError("predictions of a file are of one task, and of at least one split.")
        data = csv_bytes(predictions, known_task(next(iter(predictions.values())).task, root))
    try:
        write_whole(file, data)
    except OSError as error:
        raise PredictionsError(f"{file}: cannot be written ({error.strerror}).") from None


def read_predictions(
    path: str | os.PathLike[str],
    task: TaskCard | str | None = None,
    *,
    split: str = "test",
    root: str | os.PathLike[str] | None = None,
    one_vs_rest: bool = False,
) -> dict[str, Predictions]:
    """Read predictions of this package or of any other framework. Nothing is unpickled.

    Parameters
    ----------
    path : path
        ``*.npz`` or ``*.csv``.
    task : TaskCard or str, optional
        The task, where the file does not name it.
    split : str
        The split that the samples are of, where the file does not say it.
    root : path, optional
        Where a task lies that is not in the catalogue.
    one_vs_rest : bool
        Whether the scores of several classes are those of each against the rest, which need not sum to 1.

    Returns
    -------
    dict of str to Predictions
        By split.

    Raises
    ------
    PredictionsError
        The file is not there, does not read, or is of another task; everything that is wrong in it is listed, with the
        row or line.
    UsageError
        Neither the file nor the call names the task, or the file's name ends otherwise.
    UnknownNameError
        There is no such task or split.
    """
    file = _checked(path)
    check_split(split)
    if not file.is_file():
        raise PredictionsNotFoundError(f"{file}: there is no such file.")
    card = None if task is None else task if isinstance(task, TaskCard) else known_task(task, root)
    problems: list[str] = []
    if file.suffix.lower() == ".npz":
        arrays = read_arrays(file)
        named = told(arrays, "task")
        if named is not None and card is not None and normalised(named) != normalised(card.id):
            raise PredictionsError(f"{file}: holds predictions of {named!r}, not of {card.id!r}.")
        found = from_arrays(arrays, card or _task(file, named, root), split, problems, one_vs_rest=one_vs_rest)
    else:
        found = read_csv(file, card or _task(file, None, root), split, problems, one_vs_rest=one_vs_rest)
    if problems:
        raise problems_error(PredictionsError, f"{file}: cannot be used.", problems, WAY_OUT)
    return found


def _task(file: Path, named: str | None, root: str | os.PathLike[str] | None) -> TaskCard:
    if named is None:
        raise UsageError(f"{file}: does not say which task it is of. Name the task as 'dataset/task'.")
    return known_task(named, root)


def _checked(path: str | os.PathLike[str]) -> Path:
    file = as_path(path, "path")
    if file.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{file}: predictions are kept in files named {' or '.join('*' + name for name in SUFFIXES)}.")
    return file
