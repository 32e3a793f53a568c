"""Which samples are meant: by split, by the source's own split, by place."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import SPLITS, DatasetCard, TaskCard
from medimeta.errors import SampleIndexError, UsageError
from medimeta.store.reader import StoredDataset

Indices = npt.NDArray[np.int64]
Names = str | Iterable[str]

SHOWN = 5  # wrong places that a message names


def name_of(task: str | TaskCard | DatasetCard) -> str:
    """Return the name by which a task, or a dataset, is asked for.

    Raises
    ------
    UsageError
        It is neither a name nor a card.
    """
    if isinstance(task, TaskCard | DatasetCard):
        return task.id
    if not isinstance(task, str):
        raise UsageError(f"task must be a name such as 'oct/disease class', got {task!r}.")
    return task


def split_names(what: str, names: Names | None) -> tuple[str, ...] | None:
    """Return the names of one or several splits, each once; None stands for all samples.

    Raises
    ------
    UsageError
        They are no names, or none.

    Examples
    --------
    >>> split_names("split", "train"), split_names("split", ["val", "test", "val"])
    (('train',), ('val', 'test'))
    """
    if names is None:
        return None
    listed = [names] if isinstance(names, str) or not isinstance(names, Iterable) else list(names)
    if strange := [name for name in listed if not isinstance(name, str)]:
        raise UsageError(f"{what} must be one or several of {', '.join(SPLITS)}; got {', '.join(map(repr, strange))}.")
    if not listed:
        raise UsageError(f"{what} names no split: name one or several of {', '.join(SPLITS)}, or leave it out for all.")
    return tuple(dict.fromkeys(listed))


def select(stored: StoredDataset, splits: Sequence[str] | None, original_splits: Sequence[str] | None) -> Indices:
    """Return the indices of the samples of some splits, ascending.

    Parameters
    ----------
    stored : StoredDataset
        The dataset on disk.
    splits, original_splits : sequence of str, optional
        This package's splits and the source's; samples must be in one of each. None stands for all.

    Returns
    -------
    ndarray of int64, shape (n,)
        May be empty: a split of a partial build may be, or two splits have nothing in common.

    Raises
    ------
    UnknownNameError
        A name other than train, val and test.
    UsageError
        The source has no such split.
    """
    if original_splits is not None:
        if absent := [name for name in original_splits if not len(stored.split(name, original=True))]:
            sizes = {name: len(stored.split(name, original=True)) for name in SPLITS}
            has = ", ".join(f"{name} ({size:,} samples)" for name, size in sizes.items() if size) or "none"
            raise UsageError(
                f"{stored.info.id}: its source has no split {' and no split '.join(map(repr, absent))}; it has {has}."
            )
        original = stored.split(*original_splits, original=True)
        return original if splits is None else np.intersect1d(stored.split(*splits), original)
    return np.arange(len(stored), dtype=np.int64) if splits is None else stored.split(*splits)


def check_place(place: Any, count: int) -> int:
    """Return the place of one sample, counted from 0; negative ones count from the end, as in lists.

    Raises
    ------
    SampleIndexError, UsageError
        There is no such sample, or this is no whole number.

    Examples
    --------
    >>> check_place(-1, 10), check_place(np.uint8(3), 10)
    (9, 3)
    """
    try:
        if isinstance(place, bool | np.bool_):
            raise TypeError
        index = operator.index(place)
    except TypeError:
        raise UsageError(f"a sample is asked for by a whole number, got {place!r} ({type(place).__name__}).") from None
    if not -count <= index < count:
        raise SampleIndexError(f"sample {index} is out of range; there are {count}.")
    return index + count if index < 0 else index


def check_places(places: Any, count: int) -> Indices:
    """Return places of samples, counted from 0, in the order given; they may repeat.

    Parameters
    ----------
    places : sequence of int, ndarray or tensor of integers, shape (n,)
        Negative places count from the end.
    count : int
        How many samples there are.

    Raises
    ------
    SampleIndexError, UsageError
        See `check_place`. All places that are out of range are counted.

    Examples
    --------
    >>> check_places([0, -1, 2], 10)
    array([0, 9, 2])
    """
    if not isinstance(places, np.ndarray) or places.dtype.kind not in "iu" or places.ndim != 1:
        places = _whole_numbers(places)
    outside = (places < -count) | (places >= count)
    if outside.any():
        wrong = places[outside]
        some = ", ".join(map(str, wrong[:SHOWN].tolist())) + (", ..." if len(wrong) > SHOWN else "")
        which = f"sample {some} is" if len(wrong) == 1 else f"samples {some} are"
        raise SampleIndexError(f"{which} out of range; there are {count}.")
    found: Indices = places.astype(np.int64)
    found[found < 0] += count
    return found


def _whole_numbers(places: Any) -> npt.NDArray[Any]:
    """Return the whole numbers of a sequence as an array; of objects, where one is too large for int64."""
    if isinstance(places, str | bytes) or not isinstance(places, Iterable):
        raise UsageError(f"samples are asked for by a sequence of whole numbers, got {places!r}.")
    listed = places.tolist() if hasattr(places, "tolist") else list(places)
    if not isinstance(listed, list):  # an array without an axis
        raise UsageError(f"samples are asked for by a sequence of whole numbers, got {listed!r} alone.")
    numbers, strange = [], []
    for place in listed:
        try:
            if isinstance(place, bool | np.bool_):
                raise TypeError
            numbers.append(operator.index(place))
        except TypeError:
            strange.append(place)
    if strange:
        some = ", ".join(f"{place!r} ({type(place).__name__})" for place in strange[:SHOWN])
        more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
        raise UsageError(f"a sample is asked for by a whole number, got {some}{more}.")
    try:
        return np.array(numbers, dtype=np.int64)
    except OverflowError:
        return np.array(numbers, dtype=object)


def check_subset(places: Any, count: int) -> Indices:
    """Return the places of a subset: each once, in the order given; or those where a mask is true.

    Parameters
    ----------
    places : sequence of int, or of bool with one value a sample
        Which samples.
    count : int
        How many samples there are.

    Raises
    ------
    UsageError
        A sample comes twice, or the mask is of another length.
    SampleIndexError, UsageError
        See `check_place`.

    Examples
    --------
    >>> check_subset([4, 0], 5), check_subset(np.array([True, False, True]), 3)
    (array([4, 0]), array([0, 2]))
    """
    listed = places.tolist() if hasattr(places, "tolist") else places
    if isinstance(listed, Sequence) and len(listed) and all(isinstance(place, bool | np.bool_) for place in listed):
        if len(listed) != count:
            raise UsageError(f"a mask needs one value a sample: expected {count}, got {len(listed)}.")
        return np.flatnonzero(listed).astype(np.int64)
    chosen = check_places(places, count)
    if len(np.unique(chosen)) < len(chosen):
        twice = [place for place, times in Counter(chosen.tolist()).items() if times > 1]
        some = ", ".join(map(str, twice[:SHOWN])) + (", ..." if len(twice) > SHOWN else "")
        raise UsageError(
            f"a subset holds each sample once, but {some} {'comes' if len(twice) == 1 else 'come'} several times. "
            f"To see samples more often, use a sampler."
        )
    return chosen
