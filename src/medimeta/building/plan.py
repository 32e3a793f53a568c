"""What is to be built: samples with their labels and splits, checked against the card before any pixel is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medimeta.building.recording import Recording
from medimeta.catalogue.schema import SPLITS, DatasetCard, TaskCard, TaskTarget
from medimeta.errors import CountMismatchError, LabelError, SourceNotFoundError, problems_error
from medimeta.recipes.recipe import Label, Listing, Options, Recipe, Sample
from medimeta.recipes.refusal import PARTIAL, Fault, fits, refuse_misfits
from medimeta.sources.archive import Archive
from medimeta.store.table import LabelArray


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

    Everything that keeps the original from being built is told at once, as one error; see
    `medimeta.recipes.refusal.refuse_misfits` for which.

    Raises
    ------
    TableError
        Rows that cannot be used; rows whose image is not there, or images that no row names, and the build is not to be
        partial.
    LabelError
        Labels that the card does not know.
    CountMismatchError
        The original holds more or fewer samples than the release, and the build is not to be partial.
    SourceNotFoundError
        The original holds no sample at all.
    """
    recording = Recording(source)
    listing = recipe.listing(recording, options)
    tables = recording.taken()
    labels: dict[str, dict[str, LabelArray]] = {}
    splits: dict[str, list[str]] = {}
    faults: list[Fault] = []
    for card in cards:
        samples = listing.samples.get(card.id, [])
        splits[card.id] = recipe.splits(card.id, samples) if samples else []
        try:
            labels[card.id] = encode_labels(card, samples, source)
        except LabelError as error:
            number = len(error.problems)
            counted = "1 label" if number == 1 else f"{number:,} labels"
            said = f"{counted} of {card.id} {'is' if number == 1 else 'are'} not on its card"
            faults.append(Fault(said, LabelError, error.problems))
    if fits(listing, allow_partial=options.allow_partial):  # else counts depart for the reasons that are told
        for card in cards:
            faults += _count_faults(card, listing, splits[card.id], options)
    refuse_misfits(
        listing, source.where(""), allow_partial=options.allow_partial, way_out=recipe.way_out, further=faults
    )
    return [
        Plan(
            card,
            listing.samples[card.id],
            splits[card.id],
            labels[card.id],
            tuple(_departures(card, listing, splits[card.id])),
            tuple(listing.dropped.get(card.id, ())),
            (*listing.missing, *listing.unnamed),
            _tables_of(card, recipe, tables),
        )
        for card in cards
    ]


def _tables_of(card: DatasetCard, recipe: Recipe, tables: dict[str, str]) -> dict[str, str]:
    """Leave out the tables of parts that feed other datasets alone, which a build of this one does not read."""
    others = {part.mount for part in recipe.original.parts if part.feeds and card.id not in part.feeds}
    return {name: digest for name, digest in tables.items() if name.split("/", 1)[0] not in others}


def _count_faults(card: DatasetCard, listing: Listing, splits: Sequence[str], options: Options) -> Iterator[Fault]:
    """Say in what an original departs from what the release was made of, if that matters."""
    if not splits:
        yield Fault(f"holds no image of {card.id}", SourceNotFoundError, (*listing.missing, *listing.unnamed))
    elif not options.allow_partial and (departures := _departures(card, listing, splits)):
        said = f"does not hold what release 1.0 of {card.id} was made of"
        yield Fault(said, CountMismatchError, departures, PARTIAL)


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


def _departures(card: DatasetCard, listing: Listing, splits: Sequence[str]) -> list[str]:
    original_splits = [sample.original_split for sample in listing.samples[card.id]]
    return [
        f"{what}: {name} has {got:,}, expected {want:,}"
        for what, expected, found in (
            ("samples", card.samples, splits),
            ("original splits", card.original_samples, original_splits),
        )
        for name, got, want in [
            ("total", len(found), expected.total),
            *((split, found.count(split), expected.of(split)) for split in SPLITS),
        ]
        if got != want
    ]
