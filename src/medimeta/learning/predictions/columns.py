"""From the columns of a file to predictions: what is the same for npz and CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.learning.metrics.checks import as_scores, label_problems, most_off, score_problems
from medimeta.learning.predictions.predictions import Floats, Integers, Predictions
from medimeta.store.layout import image_index, image_name

Columns = Mapping[str, npt.NDArray[Any]]
RowName = Callable[[int], str]

INDEX, FILEPATH, LABEL, SUBJECT, SCORES = "index", "filepath", "label", "subject", "scores"
RESERVED = (INDEX, FILEPATH, LABEL, SUBJECT, SCORES, "split", "task", "data")

SHOWN = 5  # rows that a problem names


def assemble(
    card: TaskCard,
    split: str,
    data: str | None,
    columns: Columns,
    row: RowName,
    problems: list[str],
    *,
    one_vs_rest: bool,
) -> Predictions | None:
    """Make predictions of columns; what is wrong with them is added to `problems`.

    Parameters
    ----------
    card : TaskCard
        The task.
    split, data : str
        As in `Predictions`.
    columns : mapping of str to ndarray
        ``index`` or ``filepath``, ``label``, ``subject``, and ``scores`` or a column for each label.
    row : callable
        What a row is called in messages, by its number from 0.
    problems : list of str
        Problems so far.
    one_vs_rest : bool
        As of `medimeta.evaluate`.

    Returns
    -------
    Predictions or None
        None where there were problems.
    """
    before = len(problems)
    scores = _scores(card, columns, row, problems, one_vs_rest=one_vs_rest)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        problems.append(f"all columns must be of the same number of samples, got {told}")
    if not any(lengths.values()):
        problems.append("there are no samples")
    flat = [name for name in (INDEX, FILEPATH, SUBJECT) if name in columns and columns[name].ndim > 1]
    if flat:
        problems.append(f"{_some(flat)} must have one value a sample")
        return None
    samples = _samples(columns, row, problems)
    labels = _labels(card, columns[LABEL], row, problems) if LABEL in columns else None
    subjects = _subjects(columns[SUBJECT]) if SUBJECT in columns else None
    if samples is None and labels is None and not {INDEX, FILEPATH, LABEL} & set(columns):
        problems.append(
            f"there is neither {INDEX!r} nor {FILEPATH!r} to tell which samples these are, nor {LABEL!r} to do without"
        )
    if len(problems) > before or scores is None:
        return None
    return Predictions(card.id, split, data, samples, labels, scores, subjects)


def score_names(card: TaskCard) -> tuple[str, ...]:
    """Return the names of the columns of scores: of a binary task, that of the positive label."""
    return card.classes[1:] if card.target is TaskTarget.BINARY else card.classes


def _scores(card: TaskCard, columns: Columns, row: RowName, problems: list[str], *, one_vs_rest: bool) -> Floats | None:
    names = score_names(card)
    given = [name for name in card.classes if name in columns and name not in RESERVED]
    unknown = [name for name in columns if name not in given and name not in RESERVED]
    if unknown:
        problems.append(
            f"unknown columns {_some(map(repr, unknown))}; beside {INDEX} or {FILEPATH}, {LABEL} and {SUBJECT} "
            f"there are scores of {', '.join(map(repr, names))}"
        )
    if SCORES in columns and given:
        problems.append(f"scores come twice, as {SCORES!r} and as {_some(map(repr, given))}")
        return None
    if SCORES not in columns:
        missing = [name for name in names if name not in given]
        if missing:
            problems.append(f"there are no scores of {_some(map(repr, missing))}")
            return None
        shapes = {name: columns[name].shape for name in given if columns[name].ndim != 1}
        if shapes or len({len(columns[name]) for name in given}) > 1:
            problems.extend(f"scores of {name!r} must be one a sample, got {shape}" for name, shape in shapes.items())
            return None
        if len(given) > len(names):
            _check_complement(columns[given[0]], columns[given[1]], row, problems)
    raw = columns[SCORES] if SCORES in columns else np.stack([columns[name] for name in names], axis=1)
    if raw.dtype.kind not in "fiub" or raw.ndim == 0:
        problems.append(f"scores must be numbers, got {raw.dtype} {raw.shape}")
        return None
    scores = as_scores(card, raw.astype(np.float64))
    wrong = np.flatnonzero(~np.isfinite(scores).all(axis=tuple(range(1, scores.ndim))))
    if wrong.size:
        problems.append(f"scores are not finite (NaN or infinite) in {rows_named(wrong, row)}")
        return None
    problems += score_problems(card, scores, len(scores), one_vs_rest=one_vs_rest, row=row)
    return scores


def _check_complement(
    negative: npt.NDArray[Any], positive: npt.NDArray[Any], row: RowName, problems: list[str]
) -> None:
    if negative.dtype.kind in "fiub" and positive.dtype.kind in "fiub":
        wrong = np.flatnonzero(np.abs(negative + positive - 1.0) > most_off(2))
        if wrong.size:
            problems.append(f"the scores of both labels do not add up to 1 in {rows_named(wrong, row)}")


def _samples(columns: Columns, row: RowName, problems: list[str]) -> Integers | None:
    found = []
    if INDEX in columns:
        indices = columns[INDEX]
        if indices.dtype.kind not in "iu" or (indices.size and indices.min() < 0):
            problems.append(f"{INDEX} must be whole numbers, 0 or more; got {indices.dtype}")
        else:
            found.append(indices.astype(np.int64))
    if FILEPATH in columns:
        wrong: list[int] = []
        parsed: list[int] = []
        for place, name in enumerate(columns[FILEPATH].tolist()):
            try:
                parsed.append(image_index(str(name)))
            except ValueError:
                wrong.append(place)
        if wrong:
            first = columns[FILEPATH][wrong[0]]
            problems.append(
                f"{FILEPATH} must be names such as {image_name(0)}; {str(first)!r} and others are not, "
                f"in {rows_named(wrong, row)}"
            )
        else:
            found.append(np.array(parsed, dtype=np.int64))
    if not found:
        return None
    if len(found) == 2 and len(found[0]) == len(found[1]) and (found[0] != found[1]).any():
        problems.append(f"{INDEX} and {FILEPATH} differ in {rows_named(np.flatnonzero(found[0] != found[1]), row)}")
    _check_duplicates(found[0], row, problems)
    return found[0]


def _check_duplicates(samples: Integers, row: RowName, problems: list[str]) -> None:
    order = np.argsort(samples, kind="stable")
    again = np.flatnonzero(np.diff(samples[order]) == 0)
    if again.size:
        pairs = [
            f"{image_name(samples[order[at]])} in {row(order[at])} and {row(order[at + 1])}" for at in again[:SHOWN]
        ]
        more = f", and {again.size - SHOWN:,} more" if again.size > SHOWN else ""
        problems.append(f"samples come twice: {'; '.join(pairs)}{more}")


def _labels(card: TaskCard, given: npt.NDArray[Any], row: RowName, problems: list[str]) -> Integers | None:
    """Return labels as stored; single labels may be given in words."""
    if given.dtype.kind in "US" and card.target is not TaskTarget.MULTILABEL:
        keys = {str(key): key for key in card.keys}
        keys = {name: key for key, name in card.labels.items()} | keys  # a number is always the stored one
        texts = [text.strip() for text in given.astype(str).reshape(-1).tolist()]
        wrong = [place for place, text in enumerate(texts) if text not in keys]
        if wrong:
            known = ", ".join(f"{key} ({name})" for key, name in card.labels.items())
            problems.append(
                f"labels are unknown, {texts[wrong[0]]!r} the first, in {rows_named(wrong, row)}; the task has {known}"
            )
            return None
        given = np.array([keys[text] for text in texts], dtype=np.int64)
    found = label_problems(card, given)
    problems += found
    return None if found else given.astype(np.int64)


def _subjects(given: npt.NDArray[Any]) -> Integers:
    """Return the numbers of subjects; names are counted by first appearance, and no name is a subject of its own."""
    if given.dtype.kind in "iu":
        return given.astype(np.int64)
    numbers: dict[Any, int] = {}
    keys = (
        (place,) if text in ("", "nan") else text for place, text in enumerate(given.astype(str).reshape(-1).tolist())
    )
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def rows_named(rows: Any, row: RowName) -> str:
    """Name rows, the first few in full."""
    return _some([row(int(place)) for place in rows])


def _some(names: Any) -> str:
    listed = list(names)
    more = f" and {len(listed) - SHOWN:,} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more
