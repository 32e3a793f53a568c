"""Predictions as CSV: a row a sample, with ``index`` or ``filepath``, ``label``, and the score of each label by name.

``split`` and ``subject`` may be there, too. Labels are stored integers or label names, of multi-label tasks JSON lists
of 0 and 1, as in ``annotations.csv``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import SPLITS, TaskCard, TaskTarget
from medimeta.errors import PredictionsError, UsageError
from medimeta.learning.predictions.columns import (
    FILEPATH,
    INDEX,
    LABEL,
    RESERVED,
    SCORES,
    SUBJECT,
    assemble,
    rows_named,
    score_names,
)
from medimeta.learning.predictions.predictions import Predictions
from medimeta.store.layout import image_name
from medimeta.store.table import label_cell

SPLIT = "split"
_TEXTS = (FILEPATH, LABEL, SUBJECT, SPLIT)


def csv_bytes(predictions: Mapping[str, Predictions], card: TaskCard) -> bytes:
    """Return the text of a CSV file.

    Raises
    ------
    UsageError
        A label is called as a column is.
    """
    names = score_names(card)
    if taken := sorted(set(names) & set(RESERVED)):
        raise UsageError(f"{card.id}: has a label called {taken[0]!r}, as a column is; write *.npz instead.")
    subjects = any(each.subjects is not None for each in predictions.values())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([SPLIT, FILEPATH, LABEL, *([SUBJECT] if subjects else []), *names])
    for split, each in predictions.items():
        if each.samples is None or each.labels is None:
            raise UsageError("a CSV file of predictions needs the samples and their labels.")
        scores = each.scores.reshape(len(each), -1).tolist()
        for row, (sample, label) in enumerate(zip(each.samples.tolist(), each.labels, strict=True)):
            subject = [] if not subjects else ["" if each.subjects is None else int(each.subjects[row])]
            writer.writerow([split, image_name(sample), label_cell(label), *subject, *scores[row]])
    return text.getvalue().encode()


def read_csv(
    path: Path, card: TaskCard, split: str, problems: list[str], *, one_vs_rest: bool
) -> dict[str, Predictions]:
    """Read a CSV file; what is wrong in it is added to `problems`.

    Parameters
    ----------
    path : Path
        The file.
    card : TaskCard
        The task.
    split : str
        Of all rows, where there is no column that says it.
    problems : list of str
        Problems so far.
    one_vs_rest : bool
        As of `medimeta.evaluate`.

    Raises
    ------
    PredictionsError
        It is no CSV file.
    """
    head, lines, rows = _rows(path, problems)
    if not head or problems:
        return {}
    cells = {name: [row[place] for row in rows] for place, name in enumerate(head)}
    splits = [cell.strip() for cell in cells.pop(SPLIT, [split] * len(rows))]
    strange = [row for row, name in enumerate(splits) if name not in SPLITS]
    if strange:
        problems.append(
            f"splits are {', '.join(SPLITS)}, got {splits[strange[0]]!r} and such "
            f"in {rows_named(strange, lambda row: f'line {lines[row]}')}"
        )
        return {}
    found = {}
    for part in [name for name in SPLITS if name in set(splits)] or [split]:
        places = [row for row, name in enumerate(splits) if name == part]

        def line(row: int, places: list[int] = places) -> str:
            return f"line {lines[places[row]]}"

        columns: dict[str, npt.NDArray[Any]] = {}
        own: list[str] = []
        for name, column in cells.items():
            values = _column(card, name, [column[place] for place in places], line, own)
            if values is not None:
                columns[name] = values
        if not own:
            made = assemble(card, part, None, columns, line, own, one_vs_rest=one_vs_rest)
            if made is not None:
                found[part] = made
        problems += own
    return found


def _rows(path: Path, problems: list[str]) -> tuple[list[str], list[int], list[list[str]]]:
    """Return the head, and of each further row the line and the cells."""
    lines, rows = [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            head = [name.strip() for name in next(reader, [])]
            for row in reader:
                if row:
                    lines.append(reader.line_num)
                    rows.append(row)
    except OSError as error:
        raise PredictionsError(f"{path}: does not read ({error.strerror}).") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise PredictionsError(f"{path}: is no CSV file ({error}).") from None
    if not head:
        problems.append("the file is empty")
    problems += [f"two columns are called {name!r}" for name in dict.fromkeys(head) if head.count(name) > 1]
    if SCORES in head or "task" in head or "data" in head:
        problems.append(
            f"columns {SCORES!r}, 'task' and 'data' are of npz files; in a CSV each label has its own column"
        )
    problems += [
        f"line {line}: has {len(row)} cells, the head has {len(head)}"
        for line, row in zip(lines, rows, strict=True)
        if len(row) != len(head)
    ]
    return head, lines, rows


def _column(card: TaskCard, name: str, cells: Sequence[str], line: Any, problems: list[str]) -> npt.NDArray[Any] | None:
    if name == LABEL and card.target is TaskTarget.MULTILABEL:
        return _lists(card, cells, line, problems)
    if name in _TEXTS or name not in (INDEX, *card.classes):  # what is unknown is told later
        return np.array(cells, dtype=np.str_)
    kind: Any = np.int64 if name == INDEX else np.float64
    try:
        return np.array(list(map(int if name == INDEX else float, cells)), dtype=kind)
    except (ValueError, OverflowError):
        wrong = [row for row, cell in enumerate(cells) if not _is_number(cell, kind)]
        what = "whole numbers" if name == INDEX else "numbers"
        problems.append(f"{name!r} must be {what}, got {cells[wrong[0]]!r} and such in {rows_named(wrong, line)}")
        return None


def _lists(card: TaskCard, cells: Sequence[str], line: Any, problems: list[str]) -> npt.NDArray[Any] | None:
    wrong, found = [], []
    for row, cell in enumerate(cells):
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            value = None
        right = isinstance(value, list) and len(value) == len(card.labels) and all(each in (0, 1) for each in value)
        if right:
            found.append(value)
        else:
            wrong.append(row)
    if wrong:
        problems.append(
            f"{LABEL!r} must be JSON lists of {len(card.labels)} numbers 0 or 1, got {cells[wrong[0]]!r} and such "
            f"in {rows_named(wrong, line)}"
        )
        return None
    return np.array(found, dtype=np.int64).reshape(len(cells), len(card.labels))


def _is_number(cell: str, kind: Any) -> bool:
    try:
        kind(int(cell) if kind is np.int64 else float(cell))
    except (ValueError, OverflowError):
        return False
    return True
