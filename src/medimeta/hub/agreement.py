"""In what a stored dataset agrees with its card, and with what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medimeta.catalogue.schema import SPLITS, DatasetCard, Samples, TaskCard, normalised
from medimeta.errors import MedimetaError
from medimeta.store import layout
from medimeta.store.info import DatasetInfo
from medimeta.store.reader import StoredDataset
from medimeta.store.verify import absent_columns

RELEASE_SIZE = 224  # pixels


def mismatches(info: DatasetInfo, card: DatasetCard) -> Iterator[str]:
    """Say in what it is another dataset than that of the card."""
    if normalised(info.id) != normalised(card.id):
        yield f"{layout.INFO}: is that of {info.id!r}, expected {card.id!r}"
        return  # whatever else differs follows from it
    if info.channels != card.channels:
        yield f"images: have {_channels(info.channels)}, expected {_channels(card.channels)}"
    found = {normalised(task.name): task for task in info.tasks}
    expected = {normalised(task.name): task for task in card.tasks}
    yield from (f"task {task.name!r}: is missing" for name, task in expected.items() if name not in found)
    yield from (f"task {task.name!r}: is none of {card.id}" for name, task in found.items() if name not in expected)
    for name, task in expected.items():
        if name not in found:
            continue
        if found[name].target is not task.target:
            yield f"task {task.name!r}: is {found[name].target.word}, expected {task.target.word}"
        if found[name].keys != task.keys:
            yield f"task {task.name!r}: has the labels {_keys(found[name])}, expected {_keys(task)}"


def count_problems(stored: StoredDataset) -> Iterator[str]:
    """Compare the numbers that ``info.yaml`` gives with those of the files."""
    raw = stored.info.raw
    said, total = raw.get("total_num_samples"), len(stored)
    if said is not None and said != total:
        yield f"{layout.INFO}: total_num_samples is {said}, but there are {total}"
    for key, original in (("splits_num_samples", False), ("original_splits_num_samples", True)):
        numbers = raw.get(key)
        if not isinstance(numbers, Mapping):
            continue
        try:
            found = _split_counts(stored, original=original)
        except MedimetaError:  # told already
            continue
        for split in SPLITS:
            if numbers.get(split, 0) != found[split]:
                yield f"{layout.INFO}: {key} of {split} is {numbers.get(split, 0)}, but there are {found[split]}"


def tiff_problems(stored: StoredDataset) -> Iterator[str]:
    """Compare the TIFF files, where there are any, with the samples; their pixels are not read."""
    folder = stored.folder / layout.TIFF_IMAGES
    found = {path.name for path in folder.glob("*.tiff")} if folder.is_dir() else set()
    if not found:
        return
    expected = {f"{layout.stem(index)}.tiff" for index in range(len(stored))}
    for what, names in (("are missing", expected - found), ("are of no sample", found - expected)):
        if names:
            yield f"{layout.TIFF_IMAGES}: {len(names)} files {what}, the first is {min(names)}"


def departures(stored: StoredDataset, card: DatasetCard) -> Iterator[str]:
    """Say in what a dataset departs from its card and may."""
    info = stored.info
    if len(stored) != card.samples.total:
        yield f"holds {len(stored):,} samples, the catalogue says {card.samples.total:,}"
    for what, original, expected in (
        ("splits", False, card.samples),
        ("original splits", True, card.original_samples),
    ):
        found = _split_counts(stored, original=original)
        if found != _counts(expected):
            yield f"its {what} hold {_spelt(found)}, the catalogue says {_spelt(_counts(expected))}"
    if info.size != RELEASE_SIZE:
        yield f"its images have {info.size} x {info.size} pixels, those of the release {RELEASE_SIZE} x {RELEASE_SIZE}"
    if info.domain != card.domain:
        yield f"its domain is {info.domain!r}, the catalogue says {card.domain!r}"
    for task in card.tasks:
        yield from _label_departures(info.task(task.name), task)
    if absent := absent_columns(stored):
        yield f"its {layout.ANNOTATIONS} lacks the columns {', '.join(absent)}"


def _label_departures(found: TaskCard, expected: TaskCard) -> Iterator[str]:
    if found.name != expected.name:
        yield f"its task {found.name!r} is called {expected.name!r} in the catalogue"
    others = [key for key in expected.keys if found.labels[key] != expected.labels[key]]
    if others:
        first = others[0]
        more = f", and {len(others) - 1} more" if len(others) > 1 else ""
        yield (
            f"label {first} of its task {expected.name!r} is {found.labels[first]!r}, "
            f"the catalogue says {expected.labels[first]!r}{more}"
        )


def _split_counts(stored: StoredDataset, *, original: bool) -> dict[str, int]:
    splits = stored.read_splits(original=original)
    return {split: len(splits.get(split, ())) for split in SPLITS}


def _counts(samples: Samples) -> dict[str, int]:
    return {split: samples.of(split) for split in SPLITS}


def _spelt(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in counts.items())


def _channels(count: int) -> str:
    return f"{count} channel" + "s" * (count != 1)


def _keys(task: TaskCard) -> str:
    return ", ".join(map(str, task.keys))
