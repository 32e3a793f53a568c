"""Subjects on two sides: a division that leaves enough images of every class on both, if there is one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medimeta.loading.dataset import TaskDataset

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

STEPS = (300, 1_000, 5_000)  # of each search; a new one starts with other random choices
SUPPORT, QUERY = 0, 1
OF_SUBJECTS = "of different subjects"  # so end messages about too few subjects


class NotDivisibleError(Exception):
    """No division was found.

    Attributes
    ----------
    column : int
        The class, or side of a label, that most often had too little left.
    proven : bool
        Whether there is none; else the search was ended.
    """

    def __init__(self, column: int, *, proven: bool) -> None:
        super().__init__(column, proven)
        self.column, self.proven = column, proven


def subject_codes(dataset: TaskDataset) -> Indices | None:
    """Return the subject of each sample, as numbers from 0 to at most how many samples there are; None if unknown."""
    subjects = getattr(dataset, "subjects", None)
    codes: Indices | None = subjects() if subjects is not None else None
    if codes is None or not len(codes):
        return None
    if codes.min() < 0 or codes.max() >= len(codes):
        codes = np.unique(codes, return_inverse=True)[1].reshape(-1)
    return codes


def largest(subjects: Indices) -> int:
    """Return how many images the subject with most images has."""
    return int(np.bincount(subjects).max(initial=0))


def divisible(sizes: Indices, shots: int, queries: int) -> bool:
    """Say whether subjects with so many images of one class each can be put on two sides with enough of it on both.

    Some subjects must have at least `shots` images together and leave `queries` to the others: a sum between
    `shots` and the total less `queries` must be reachable.

    Examples
    --------
    >>> divisible(np.array([8, 7]), 5, 10), divisible(np.array([8, 7, 2]), 5, 10)
    (False, True)
    """
    most = int(sizes.sum()) - queries
    if most < shots:
        return False
    if shots + int(sizes.max()) - 1 <= most:  # adding them one by one cannot step over all sums between
        return True
    reachable = 1  # bit s is set where a sum of s can be reached
    for size in sizes.tolist():
        reachable |= reachable << size
    return bool(reachable >> shots & ((1 << (most - shots + 1)) - 1))


def divide(rng: np.random.Generator, counts: Indices, shots: int, queries: int) -> Mask:
    """Put subjects on two sides, so that each has enough images of every class.

    A search that goes back where it went wrong: it is random, and complete unless it takes too long.

    Parameters
    ----------
    counts : ndarray of int64, shape (subjects, columns)
        How many images each subject has of each class, or, multi-label, with and without each label.
    shots, queries : int
        How many images of each column the support and the query side need.

    Returns
    -------
    ndarray of bool, shape (subjects,)
        Who is on the support side.

    Raises
    ------
    NotDivisibleError
        There is no such division, or none was found in bounded time.

    Examples
    --------
    >>> counts = np.array([[3, 3], [3, 0], [0, 3]])  # the first has images of both classes
    >>> support = divide(np.random.default_rng(0), counts, 2, 2)
    >>> bool(support[0]) != bool(support[1]) == bool(support[2])
    True
    """
    need = np.array([[shots], [queries]])
    for steps in STEPS[:-1]:
        try:
            return _search(rng, counts, need, steps)
        except NotDivisibleError as error:
            if error.proven:
                raise
    return _search(rng, counts, need, STEPS[-1])


def _search(rng: np.random.Generator, counts: Indices, need: Indices, steps: int) -> Mask:
    side = np.full(len(counts), -1, dtype=np.int8)
    have = np.zeros((2, counts.shape[1]), dtype=np.int64)
    free = counts.sum(axis=0)
    trail: list[tuple[int, int, bool]] = []  # subject, side, whether the other side is still to be tried
    failed = np.zeros(counts.shape[1], dtype=np.int64)

    def put(subject: int, where: int, *, other: bool) -> None:
        side[subject] = where
        have[where] += counts[subject]
        np.subtract(free, counts[subject], out=free)
        trail.append((subject, where, other))

    def undo() -> tuple[int, int, bool]:
        subject, where, other = trail.pop()
        side[subject] = -1
        have[where] -= counts[subject]
        np.add(free, counts[subject], out=free)
        return subject, where, other

    for _ in range(steps):
        lack = np.maximum(need - have, 0)
        spare = free - lack.sum(axis=0)
        if spare.min() >= 0:
            open_columns = lack.any(axis=0)
            if not open_columns.any():
                undecided = rng.random(len(side)) * need.sum() < need[SUPPORT]
                supports: Mask = np.where(side < 0, undecided, side == SUPPORT)
                return supports
            # The class with least to spare comes first; of its subjects, one with more images is more likely.
            column = int(np.argmin(np.where(open_columns, spare, np.iinfo(np.int64).max)))
            lacking = np.flatnonzero(lack[:, column])
            where = int(lacking[int(rng.random() * len(lacking))])
            chances = np.cumsum(np.where(side < 0, counts[:, column], 0))
            subject = int(np.searchsorted(chances, rng.random() * chances[-1], side="right"))
            put(subject, where, other=True)
            continue
        failed[int(np.argmin(spare))] += 1
        while trail and not trail[-1][2]:
            undo()
        if not trail:
            raise NotDivisibleError(int(np.argmax(failed)), proven=True)
        subject, where, _ = undo()
        put(subject, 1 - where, other=False)
    raise NotDivisibleError(int(np.argmax(failed)), proven=False)
