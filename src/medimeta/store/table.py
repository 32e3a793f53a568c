"""The rows of a dataset: labels, splits and annotations of every sample, in index order."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import TaskCard, TaskTarget
from medimeta.store.layout import image_name

LabelArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SampleTable:
    """Everything that is stored of the samples besides their pixels.

    Attributes
    ----------
    labels : mapping of str to ndarray of int64
        Task name to labels: shape ``(N,)``, or ``(N, L)`` of 0 and 1 for multi-label tasks.
    split, original_split, original_filepath : sequence of str
        One value a sample.
    extra : sequence of mapping
        Further annotations of each sample; a column that a sample lacks stays empty.
    """

    labels: Mapping[str, LabelArray]
    split: Sequence[str]
    original_split: Sequence[str]
    original_filepath: Sequence[str]
    extra: Sequence[Mapping[str, str]]

    def __len__(self) -> int:
        return len(self.split)

    def indices_by(self, column: Sequence[str]) -> dict[str, list[int]]:
        """Group the sample indices by the value of a column, such as `split`."""
        found: dict[str, list[int]] = {}
        for index, value in enumerate(column):
            found.setdefault(value, []).append(index)
        return found

    def csv_text(self, tasks: Sequence[TaskCard]) -> str:
        """Return the text of ``annotations.csv``.

        Columns are those of release 1.0: ``filepath``, ``split``, ``tasks/<task>`` as stored integers,
        ``original_filepath``, ``original_split``, ``<task>`` in words, then further annotations by name. Multi-label
        cells are JSON lists.
        """
        further = sorted({column for row in self.extra for column in row})
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            [
                "filepath",
                "split",
                *(f"tasks/{task.name}" for task in tasks),
                "original_filepath",
                "original_split",
            ]
            + [task.name for task in tasks]
            + further
        )
        for index in range(len(self)):
            rows = [(task, self.labels[task.name][index]) for task in tasks]
            writer.writerow(
                [image_name(index), self.split[index], *(label_cell(row) for _, row in rows)]
                + [self.original_filepath[index], self.original_split[index]]
                + [words_cell(task, row) for task, row in rows]
                + [self.extra[index].get(column, "") for column in further]
            )
        return text.getvalue()


def label_cell(label: npt.NDArray[np.int64] | np.int64) -> str:
    """Return a label as it stands in ``tasks/<task>``."""
    return json.dumps(np.asarray(label).tolist())


def words_cell(task: TaskCard, label: npt.NDArray[np.int64] | np.int64) -> str:
    """Return a label in words: its name, or a JSON list of all names that are set."""
    if task.target is TaskTarget.MULTILABEL:
        return json.dumps([task.labels[int(key)] for key in np.flatnonzero(label)], ensure_ascii=False)
    return task.labels[int(label)]


def class_indices(task: TaskCard, labels: LabelArray) -> LabelArray:
    """Count stored labels from 0, in ascending order of the stored integers.

    Examples
    --------
    >>> import medimeta as mm
    >>> class_indices(mm.task("dr_regular/Clarity"), np.array([1, 10, 4]))
    array([0, 4, 1])
    """
    return labels if task.target is TaskTarget.MULTILABEL else np.searchsorted(np.array(task.keys), labels)


def positives(task: TaskCard, labels: LabelArray) -> LabelArray:
    """Count the samples that have each label, in the order of the task's classes; right for all four kinds.

    Examples
    --------
    >>> import medimeta as mm
    >>> positives(mm.task("dr_regular/Clarity"), np.array([1, 10, 4, 1]))
    array([2, 1, 0, 0, 1])
    """
    indices = class_indices(task, labels)
    return indices.sum(axis=0) if labels.ndim == 2 else np.bincount(indices, minlength=len(task.labels))
