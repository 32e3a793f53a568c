"""What is to be built: samples with their labels and splits, checked against the card before any pixel is read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from medimeta.building.recording import Recording
from medimeta.catalogue.schema import SPLITS, DatasetCard, Samples, TaskCard, TaskTarget
from medimeta.errors import CountMismatchError, LabelError, SourceNotFoundError, TableError, problems_error
from medimeta.recipes.recipe import Label, Listing, Options, Recipe, Sample
from medimeta.sources.archive import Archive
from medimeta.store.table import LabelArray

PARTIAL = (
    "Check that the download is whole. To build from a part all the same, pass --allow-partial (allow_partial=True); "
    "the manifest records it."
)


@dataclass(frozen=True)
class Plan:
    """A dataset, ready to be built.

    Attributes
    ----------
    card : DatasetCard
        The dataset.
    samples : sequence of Sample
        In index order.
    splits : sequence of str
        The split of each sample.
    labels : mapping of str to ndarray of int64
        Task name to stored labels.
    departures : tuple of str
        In what the counts differ from the card's.
    dropped : tuple of str
        What the recipe's rules leave out, with place and reason.
    left_out : tuple of str
        Rows without image and images without row, which a partial build leaves out.
    tables : mapping of str to str
        Name and SHA-256 of every table that was read.
    """

    card: DatasetCard
    samples: Sequence[Sample]
    splits: Sequence[str]
    labels: dict[str, LabelArray]
    departures: tuple[str, ...]
    dropped: tuple[str, ...]
    left_out: tuple[str, ...]
    tables: dict[str, str]


def make_plans(cards: Sequence[DatasetCard], recipe: Recipe, source: Archive, options: Options) -> list[Plan]:
    """Plan the build of datasets that are made of one original; its tables are read once.

    Raises
    ------
    TableError
        Rows name images that are not there, or images are named by no row, and the build is not to be partial.
    LabelError
        Labels that the card does not know; all are listed.
    CountMismatchError
        The original holds more or fewer samples than the release, and the build is not to be partial.
    SourceNotFoundError
        The original holds no sample at all.
    """
    recording = Recording(source)
    listing = recipe.listing(recording, options)
    left_out = _left_out(listing, source, options)
    tables = recording.taken()
    return [_plan(card, recipe, source, listing, left_out, _tables_of(card, recipe, tables), options) for card in cards]


def _tables_of(card: DatasetCard, recipe: Recipe, tables: dict[str, str]) -> dict[str, str]:
    """Leave out the tables of parts that feed other datasets alone, which a build of this one does not read."""
    others = {part.mount for part in recipe.original.parts if part.feeds and card.id not in part.feeds}
    return {name: digest for name, digest in tables.items() if name.split("/", 1)[0] not in others}


def _left_out(listing: Listing, source: Archive, options: Options) -> tuple[str, ...]:
    problems = (*listing.missing, *listing.unnamed)
    if problems and not options.allow_partial:
        raise problems_error(
            TableError,
            f"{source.where('')}: tables and images do not fit together: {_count(listing.missing, 'row')} without "
            f"their image, {_count(listing.unnamed, 'image')} without a row.",
            problems,
            PARTIAL,
        )
    return problems


def _count(things: Collection[str], noun: str) -> str:
    return f"{len(things):,} {noun}{'' if len(things) == 1 else 's'}"


def _plan(
    card: DatasetCard,
    recipe: Recipe,
    source: Archive,
    listing: Listing,
    left_out: tuple[str, ...],
    tables: dict[str, str],
    options: Options,
) -> Plan:
    samples = listing.samples.get(card.id, [])
    if not samples:
        raise problems_error(
            SourceNotFoundError,
            f"{source.where('')}: holds no image of {card.id}.",
            (*listing.missing, *listing.unnamed),
        )
    labels = encode_labels(card, samples, source)
    splits = recipe.splits(card.id, samples)
    departures = (
        *_departures("samples", card.samples, splits),
        *_departures("original splits", card.original_samples, [sample.original_split for sample in samples]),
    )
    if departures and not options.allow_partial:
        raise problems_error(
            CountMismatchError,
            f"{source.where('')}: does not hold what release 1.0 of {card.id} was made of:",
            departures,
            PARTIAL,
        )
    return Plan(card, samples, splits, labels, departures, tuple(listing.dropped.get(card.id, ())), left_out, tables)


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
        raise problems_error(LabelError, f"{len(problems)} labels of {card.id} are not on its card:", problems)
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
