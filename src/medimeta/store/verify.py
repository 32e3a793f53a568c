"""Check a stored dataset against its own description, and report every problem at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medimeta.catalogue.schema import SPLITS, TaskCard
from medimeta.errors import DamagedStoreError, MedimetaError, bullet_list
from medimeta.store import layout
from medimeta.store.manifest import digest_file
from medimeta.store.reader import StoredDataset, find_dataset
from medimeta.store.splits import shared_problems
from medimeta.store.table import label_cell


@dataclass(frozen=True)
class VerifyReport:
    """What verification found.

    Attributes
    ----------
    dataset : str
        Id of the dataset.
    folder : Path
        Where it lies.
    samples : int
        How many samples it has; 0 where that cannot be read.
    deep : bool
        Whether file contents were hashed.
    problems : tuple of str
        Everything that is wrong; empty where the dataset is whole.
    remarks : tuple of str
        What a user should know but is no problem.
    """

    dataset: str
    folder: Path
    samples: int
    deep: bool
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def text(self) -> str:
        """Return the report for people."""
        state = "whole" if self.ok else "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        hashed = ", every file hashed" if self.deep and self.ok else ""
        lines = [f"{self.dataset}: {state}, {self.samples:,} samples{hashed}: {self.folder}"]
        return "\n".join(
            [
                *lines,
                *(f"  - {problem}" for problem in self.problems),
                *(f"  ({note})" for note in self.remarks),
            ]
        )

    def as_dict(self) -> dict[str, object]:
        """Return the report as plain values, ready for JSON."""
        return {
            "dataset": self.dataset,
            "folder": str(self.folder),
            "ok": self.ok,
            "samples": self.samples,
            "deep": self.deep,
            "problems": list(self.problems),
            "remarks": list(self.remarks),
        }

    def raise_for_problems(self) -> None:
        """Raise DamagedStoreError with all problems, if there are any."""
        if self.problems:
            raise DamagedStoreError(f"{self.folder}: is not whole:\n{bullet_list(self.problems)}")


def verify(name: str, root: str | os.PathLike[str] | None = None, *, deep: bool = False) -> VerifyReport:
    """Check a stored dataset.

    Parameters
    ----------
    name : str
        Id of the dataset.
    root : path, optional
        Root folder; else ``$MEDIMETA_ROOT``, else ``./data``.
    deep : bool
        Also hash the files and compare them with the manifest.

    Returns
    -------
    VerifyReport
        Every problem found.

    Raises
    ------
    UnknownNameError, DatasetNotFoundError
        There is nothing to check.
    """
    return verify_folder(find_dataset(name, layout.default_root(root)), deep=deep)


def verify_folder(folder: Path, *, deep: bool = False) -> VerifyReport:
    """Check the dataset in one folder; see `verify`."""
    try:
        stored = StoredDataset(folder)
    except MedimetaError as error:
        return VerifyReport(folder.name, folder, 0, deep, (str(error),))
    problems: list[str] = []
    remarks: list[str] = []

    def attempt(check: Callable[[], Iterator[str]]) -> None:
        try:
            problems.extend(check())
        except MedimetaError as error:
            problems.append(str(error))

    for task in stored.info.tasks:
        attempt(lambda task=task: _label_problems(stored, task))  # type: ignore[misc]
    attempt(lambda: _split_problems(stored))
    attempt(lambda: _annotation_problems(stored))
    attempt(lambda: _manifest_problems(stored, deep, remarks))
    return VerifyReport(stored.info.id, folder, len(stored), deep, tuple(dict.fromkeys(problems)), tuple(remarks))


def _label_problems(stored: StoredDataset, task: TaskCard) -> Iterator[str]:
    stored.labels(task)  # raises with the problem
    return iter(())


def _split_problems(stored: StoredDataset) -> Iterator[str]:
    for original, folder in ((False, layout.SPLITS_FOLDER), (True, layout.ORIGINAL_SPLITS_FOLDER)):
        splits = stored.read_splits(original=original)
        if not original:
            yield from (f"{folder}/{split}.txt: is missing" for split in SPLITS if split not in splits)
        yield from shared_problems(splits, folder, len(stored))
        named = np.concatenate([np.empty(0, dtype=np.int64), *splits.values()])
        missing = np.setdiff1d(np.arange(len(stored)), named)
        if missing.size:
            yield f"{folder}: {missing.size} samples are in no split, the first is sample {missing[0]}"


def _annotation_problems(stored: StoredDataset) -> Iterator[str]:
    tasks = stored.info.tasks
    labels = {task.name: stored.labels(task) for task in tasks}
    splits = np.full(len(stored), "", dtype="U5")
    for split, places in stored.read_splits().items():
        splits[places] = split
    rows = 0
    told = 0
    for row, values in enumerate(stored.annotations()):
        rows += 1
        if row >= len(stored):
            continue
        for column, expected in _expected_cells(row, str(splits[row]), labels):
            got = values.get(column)
            if got is not None and _same(got, expected):
                continue
            told += 1
            if told <= 5:
                yield f"{layout.ANNOTATIONS}, sample {row}: {column} should be {expected}, is {got}"
    if told > 5:
        yield f"{layout.ANNOTATIONS}: {told - 5} more cells differ"
    if rows != len(stored):
        yield f"{layout.ANNOTATIONS}: has {rows} rows for {len(stored)} samples"


def _expected_cells(row: int, split: str, labels: dict[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    yield "filepath", layout.image_name(row)
    yield "split", split
    for task, values in labels.items():
        yield f"tasks/{task}", label_cell(values[row])


def _same(got: str, expected: str) -> bool:
    """Compare cells; others may write a label list with other spacing, or a whole number as a float."""
    if got == expected:
        return True
    try:
        return bool(json.loads(got) == json.loads(expected))
    except ValueError:
        return False


def _manifest_problems(stored: StoredDataset, deep: bool, remarks: list[str]) -> Iterator[str]:
    manifest = stored.manifest
    if manifest is None:
        remarks.append("there is no manifest: made by others, so there is nothing to compare the files with")
        return
    if manifest.partial:
        remarks.append("built from a part of the original: " + "; ".join(manifest.departures))
    if manifest.samples != len(stored):
        yield f"{layout.MANIFEST}: says {manifest.samples} samples, but there are {len(stored)}"
    for name, expected in manifest.files.items():
        path = stored.folder / name
        if not path.is_file():
            yield f"{name}: is missing"
        elif path.stat().st_size != expected.bytes:
            yield f"{name}: is {path.stat().st_size:,} bytes long, the manifest says {expected.bytes:,}"
        # Small files are hashed always: labels and splits are what a number depends on.
        elif (deep or expected.bytes <= 1 << 20) and digest_file(path).sha256 != expected.sha256:
            yield f"{name}: has changed since it was built (its SHA-256 is not the manifest's)"
