"""Check a stored dataset against its own description, and report every problem at once."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import SPLITS, TaskCard
from medimeta.errors import DamagedStoreError, MedimetaError, problems_error
from medimeta.store import layout
from medimeta.store.annotations import read_rows
from medimeta.store.manifest import DownloadOrigin, Manifest, digest_file, read_manifest
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
    download : DownloadOrigin or None
        Where it came from, where it was downloaded.
    way_out : str
        How to mend it, with the command; empty where nothing is wrong.
    """

    dataset: str
    folder: Path
    samples: int
    deep: bool
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())
    download: DownloadOrigin | None = None
    way_out: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def fetch_anew(self) -> bool:
        """Whether it was downloaded and is damaged, so that another download mends it."""
        return self.download is not None and not self.ok

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
                *([f"  {self.way_out}"] if self.way_out else []),
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
            "download": None if self.download is None else self.download.model_dump(),
            "fetch_anew": self.fetch_anew,
            "way_out": self.way_out,
        }

    def raise_for_problems(self) -> None:
        """Raise DamagedStoreError with all problems, if there are any."""
        if self.problems:
            raise problems_error(DamagedStoreError, f"{self.folder}: is not whole:", self.problems, self.way_out)


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
    place = layout.default_root(root)
    return verify_folder(find_dataset(name, place), place, deep=deep)


def fetch_anew(datasets: Sequence[str], root: Path) -> str:
    """Return the command that downloads datasets again, in place of those that are there.

    Examples
    --------
    >>> fetch_anew(["bus", "pbc"], Path("data"))
    'medimeta download bus pbc --overwrite --root data'
    """
    return f"medimeta download {shlex.join(datasets)} --overwrite --root {shlex.quote(str(root))}"


def verify_folder(folder: Path, root: Path | None = None, *, deep: bool = False) -> VerifyReport:
    """Check the dataset in one folder; see `verify`. Without its root, nothing is said of a way out."""
    report = _checked(folder, deep)
    return report if report.ok or root is None else replace(report, way_out=_way_out(folder, root))


def _checked(folder: Path, deep: bool) -> VerifyReport:
    manifest = _readable_manifest(folder)
    download = None if manifest is None else manifest.download
    try:
        stored = StoredDataset(folder)
    except MedimetaError as error:
        return VerifyReport(folder.name, folder, 0, deep, (str(error),), download=download)
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
    attempt(lambda: _annotation_problems(stored, manifest, remarks))
    attempt(lambda: _manifest_problems(stored, deep, remarks))
    found = tuple(dict.fromkeys(problems))
    return VerifyReport(stored.info.id, folder, len(stored), deep, found, tuple(remarks), download)


def _readable_manifest(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except MedimetaError:  # told as a problem elsewhere
        return None


def _way_out(folder: Path, root: Path) -> str:
    """Say how a damaged dataset is mended: as it came, where that can be told."""
    manifest = _readable_manifest(folder)
    dataset = folder.name if manifest is None else manifest.dataset
    own = all(card.id != dataset for card in default_catalogue().datasets())
    place = f"--source PATH --overwrite --root {shlex.quote(str(root))}"
    build = f"medimeta build {'CARD.yaml' if own else dataset} {place}"
    if manifest is not None and manifest.download is None:
        return f"Build it again: {build}"
    if own:
        return f"Get it again from where it came, or build it again: {build}"
    fetch = fetch_anew([dataset], root)
    return f"Fetch it anew: {fetch}" if manifest is not None else f"Fetch it anew: {fetch}, or build it again: {build}"


def absent_columns(stored: StoredDataset) -> list[str]:
    """Return the columns of ``annotations.csv`` that it lacks; what they say is in the files of splits and labels."""
    head = next(read_rows(stored.folder / layout.ANNOTATIONS), [])
    wanted = ["split", *(f"tasks/{task.name}" for task in stored.info.tasks)]
    return [column for column in wanted if column not in head]


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


def _annotation_problems(stored: StoredDataset, manifest: Manifest | None, remarks: list[str]) -> Iterator[str]:
    if absent := absent_columns(stored):
        lacks = f"{layout.ANNOTATIONS}: lacks the columns {', '.join(absent)}"
        if manifest is None or manifest.recipe is None:  # made by others, who may leave them out
            remarks.append(lacks)
        else:
            yield lacks
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
            if column in absent or (got is not None and _same(got, expected)):
                continue
            told += 1
            if told <= 5:
                yield f"{layout.ANNOTATIONS}, sample {row}: {column} should be {expected or 'empty'}, is {got}"
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
    if (download := manifest.download) is not None:
        remarks.append(f"downloaded on {download.date} from {download.url}, of {download.record}")
    if manifest.partial:
        how = "departs from the catalogue" if manifest.recipe is None else "built from a part of the original"
        remarks.append(f"{how}: {'; '.join(manifest.departures)}")
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
            came = "built" if manifest.download is None else "downloaded"
            yield f"{name}: has changed since it was {came} (its SHA-256 is not the manifest's)"
