"""What lies in a folder of results: finished records, cells that failed, and what cannot be used."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta.benchmark.record import RUN_AGAIN, Record, examine_record, predictions_problem
from medimeta.errors import PredictionsError, ResultsNotFoundError
from medimeta.learning.predictions.npz_files import check_size

FAILED = ".failed.json"  # beside where the record would be


@dataclass(frozen=True)
class Failed:
    """A cell that failed when it was last tried: what it is called, and why."""

    cell: str
    error: str


@dataclass(frozen=True)
class Results:
    """The results below a folder.

    Attributes
    ----------
    out : Path
        The folder.
    records : tuple of Record
        Finished runs, by the paths of their files.
    paths : tuple of Path
        Of each record.
    failed : tuple of Failed
        Cells that have failed and not been run since.
    problems : tuple of str
        Files that cannot be used, and why.
    """

    out: Path
    records: tuple[Record, ...]
    paths: tuple[Path, ...]
    failed: tuple[Failed, ...]
    problems: tuple[str, ...]

    def path_of(self, record: Record) -> Path:
        """Return where a record lies."""
        return next(path for path, each in zip(self.paths, self.records, strict=True) if each is record)


def read_results(out: Path) -> Results:
    """Read every record below a folder; those that do not read are named, and the others still count.

    Raises
    ------
    ResultsNotFoundError
        There is no such folder, or nothing in it.
    """
    if not out.is_dir():
        raise ResultsNotFoundError(f"{out}: there is no such folder. Pass the folder given to benchmark as --out.")
    found: dict[Path, Record] = {}
    failed = []
    problems = []
    first: dict[tuple[str, ...], Path] = {}
    for path in sorted(out.glob("[!.]*/[!.]*.json")):
        told = path.relative_to(out).as_posix()
        record = _read_failed(path) if path.name.endswith(FAILED) else examine_record(path)
        if isinstance(record, Failed):
            failed.append(record)
        elif isinstance(record, str):
            problems.append(f"{told}: {record}")
        elif record is not None:
            key = (record.task, record.method, str(record.shots), record.config_sha256, record.data, record.weights)
            if key in first:
                problems.append(f"{told}: is the same run as {first[key].relative_to(out).as_posix()}, and left out.")
                continue
            first[key] = path
            found[path] = record
            if wrong := predictions_problem(path, record):
                problems.append(f"{path.parent.relative_to(out).as_posix()}/{wrong}")
    if not found and not failed and not problems:
        raise ResultsNotFoundError(f"{out}: there is no record here. Pass the folder given to benchmark as --out.")
    return Results(out, tuple(found.values()), tuple(found), tuple(failed), tuple(problems))


def _read_failed(path: Path) -> Failed | str:
    try:
        raw = json.loads(path.read_bytes())
        return Failed(str(raw["cell"]), str(raw["error"]))
    except (ValueError, OSError, KeyError, TypeError, RecursionError) as error:
        return f"tells of a cell that failed, but is damaged itself ({type(error).__name__}). {RUN_AGAIN}"


@dataclass(frozen=True)
class OneVsRest:
    """The test split of one run, class by class.

    Attributes
    ----------
    names : sequence of str
        The K classes; a binary task has one, its positive class.
    positive : ndarray of bool, shape (N, K)
        Which samples have the class.
    scores : ndarray of float, shape (N, K)
        Probabilities.
    exclusive : bool
        Whether a sample has exactly one of the classes.
    """

    names: Sequence[str]
    positive: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64]
    exclusive: bool

    def defined(self, column: int) -> bool:
        """Whether a class has both positives and negatives."""
        return 0 < int(self.positive[:, column].sum()) < len(self.positive)


def read_one_vs_rest(path: Path, record: Record) -> OneVsRest | str:
    """Read the test predictions of a supervised run, or say why they cannot be used.

    The record says which classes have samples, so that stored integers are told apart without the task's card.
    """
    if wrong := predictions_problem(path, record):
        return wrong
    try:
        with path.with_name(record.predictions).open("rb") as stream:
            check_size(stream)
            with np.load(stream, allow_pickle=False) as arrays:
                labels, scores = arrays["test_labels"], np.asarray(arrays["test_scores"], dtype=np.float64)
    except (
        PredictionsError,
        OSError,
        ValueError,
        KeyError,
        EOFError,
        SyntaxError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        return f"{record.predictions}: is damaged ({type(error).__name__}), so its run has no curves. {RUN_AGAIN}"
    made = _spread(record, labels, scores)
    return made or f"{record.predictions}: does not fit its record, so its run has no curves. {RUN_AGAIN}"


def _spread(record: Record, labels: npt.NDArray[Any], scores: npt.NDArray[np.float64]) -> OneVsRest | None:
    classes = record.test.get("per_class") or {}
    names = tuple(classes)
    if scores.ndim not in (1, 2) or labels.ndim not in (1, 2) or not len(scores) or len(labels) != len(scores):
        return None
    columns = scores.reshape(len(scores), -1)
    if columns.shape[1] != len(names) or labels.dtype.kind not in "iub" or not np.isfinite(columns).all():
        return None
    exclusive = labels.ndim == 1 and scores.ndim == 2 and len(names) > 1
    positive = labels.reshape(len(labels), -1) == 1
    if exclusive:
        counts = [int((each or {}).get("positives") or 0) for each in classes.values()]
        present = np.flatnonzero(counts)
        stored, indices = np.unique(labels, return_inverse=True)
        if len(stored) != len(present):
            return None
        positive = present[indices][:, None] == np.arange(len(names))
    return OneVsRest(names, positive, columns, exclusive) if positive.shape == columns.shape else None
