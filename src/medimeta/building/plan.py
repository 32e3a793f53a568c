"""What is to be built: samples with their labels and splits, checked against the card before any pixel is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medimeta.catalogue.schema import SPLITS, DatasetCard, Samples, TaskCard, TaskTarget
from medimeta.errors import CountMismatchError, LabelError, SourceNotFoundError, bullet_list
from medimeta.recipes.recipe import Label, Options, Recipe, Sample
from medimeta.sources.archive import Archive
from medimeta.store.table import LabelArray


@dataclass(frozen=True)
class Plan:
    """A dataset, ready to be built.

    Attributes
    ----------
    card : DatasetCard
        The dataset.
    source : Archive
        The original's tree.
    samples : sequence of Sample
        In index order.
    splits : sequence of str
        The split of each sample.
    labels : mapping of str to ndarray of int64
        Task name to stored labels.
    departures : tuple of str
        In what the counts differ from the card's.
    """

    card: DatasetCard
    source: Archive
    samples: Sequence[Sample]
    splits: Sequence[str]
    labels: dict[str, LabelArray]
    departures: tuple[str, ...]


def make_plan(card: DatasetCard, recipe: Recipe, source: Archive, *, allow_partial: bool) -> Plan:
    """Plan the build of one dataset.

    Raises
    ------
    LabelError
        Labels that the card does not know; all are listed.
    CountMismatchError
        The original holds more or fewer samples than the release, and `allow_partial` is off.
    SourceNotFoundError
        The original holds no sample at all.
    """
    samples = recipe.listing(source, Options(allow_partial=allow_partial)).samples.get(card.id, [])
    if not samples:
        raise SourceNotFoundError(f"{source.where('')}: holds no image of {card.id}.")
    labels = encode_labels(card, samples, source)
    splits = recipe.splits(card.id, samples)
    departures = (
        *_departures("samples", card.samples, splits),
        *_departures("original splits", card.original_samples, [sample.original_split for sample in samples]),
    )
    if departures and not allow_partial:
        raise CountMismatchError(
            f"{source.where('')}: does not hold what release 1.0 of {card.id} was made of:\n{bullet_list(departures)}\n"
            f"Check that the download is whole. To build from a part all the same, pass --allow-partial "
            f"(allow_partial=True); the manifest records it."
        )
    return Plan(card, source, samples, splits, labels, departures)


def encode_labels(card: DatasetCard, samples: Sequence[Sample], source: Archive) -> dict[str, LabelArray]:
    """Turn the labels of all samples into the integers that are stored.

    Returns
    -------
    dict of str to ndarray of int64
        Shape ``(N,)``, or ``(N, L)`` for multi-label tasks.

    Raises
    ------
    LabelError
        Labels that the card does not know, with the samples that carry them.
    """
    arrays: dict[str, LabelArray] = {}
    problems: list[str] = []
    for task in card.tasks:
        rows: list[int | list[int]] = []
        keys = {name: key for key, name in task.labels.items()}
        for sample in samples:
            row, problem = _encode(task, keys, sample.labels.get(task.name))
            if problem:
                problems.append(f"{source.where(sample.member)}: {problem}")
            rows.append(row)
        arrays[task.name] = np.array(rows, dtype=np.int64)
    if problems:
        raise LabelError(f"{len(problems)} labels of {card.id} are not on its card:\n{bullet_list(problems)}")
    return arrays


def _encode(task: TaskCard, keys: dict[str, int], label: Label | None) -> tuple[int | list[int], str | None]:
    known = ", ".join(repr(name) for name in task.classes[:8]) + (", ..." if len(task.classes) > 8 else "")
    if task.target is TaskTarget.MULTILABEL:
        if not isinstance(label, frozenset):
            return [0] * len(keys), f"{task.name}: expected a set of labels, got {label!r}"
        unknown = sorted(label - keys.keys())
        problem = f"{task.name}: unknown labels {', '.join(map(repr, unknown))}; known: {known}" if unknown else None
        return [int(name in label) for name in keys], problem
    if isinstance(label, str) and label in keys:
        return keys[label], None
    if isinstance(label, int) and label in task.labels:
        return label, None
    return task.keys[0], f"{task.name}: unknown label {label!r}; known: {known}"


def _departures(what: str, expected: Samples, splits: Sequence[str]) -> list[str]:
    found = dict.fromkeys(SPLITS, 0)
    for split in splits:
        found[split] += 1
    return [
        f"{what}: {name} has {got:,}, expected {want:,}"
        for name, got, want in [
            ("total", len(splits), expected.total),
            *((split, found[split], expected.of(split)) for split in SPLITS),
        ]
        if got != want
    ]
