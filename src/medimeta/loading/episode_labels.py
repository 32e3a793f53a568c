"""Episodes of multi-label tasks: enough images with and without every label, and few in all."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from medimeta.loading.episode_subjects import OF_SUBJECTS, divide, divisible, largest

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

CANDIDATES = 8  # times as many images as a label needs are drawn for it to choose from
FEWEST = 32  # candidates for a label, however little it needs
TRIES = 4  # supports that are drawn before subjects are put on two sides first
UNITS = 256  # weights are whole numbers, so that sums, and with them ties, are the same on every machine
TIES = 2**20  # random whole numbers below this decide between images that serve alike
TAKEN = -(2**62)  # worth of an image that is chosen already


class LabelSampler:
    """Draws support and query sets that have, of each label, enough images with it and without it.

    Candidates are drawn at random: for each label from the images on its rarer side, and from all images. From them
    always the image is taken that serves most open needs, those of rare labels counting more; in the end, what is not
    needed after all is dropped. A small dataset is its own candidates.

    Why candidates: the fewest images of a large dataset are always nearly the same few that have many labels. Chosen
    among candidates, they are a little more, and differ from episode to episode.

    Parameters
    ----------
    labels : ndarray of int64, shape (n, labels)
        0 and 1.
    subjects : ndarray of int64, shape (n,), optional
        Counted from 0. Without them every image is a subject of its own.
    """

    def __init__(self, labels: Indices, subjects: Indices | None) -> None:
        count = len(labels)
        have = labels.astype(np.uint8)
        self._sides = np.concatenate([have, 1 - have], axis=1)  # with each label, then without it
        self._labels = labels.shape[1]
        self._known = subjects is not None
        self._subjects = np.arange(count) if subjects is None else subjects
        self._subject_count = int(self._subjects.max(initial=-1)) + 1
        self._sizes = self._sides.sum(axis=0, dtype=np.int64)
        # The fourth root lies between counting needs alike and letting the rarest label decide alone; of the powers
        # that were tried, it came nearest to the fewest possible.
        self._weights = np.round(UNITS * np.sqrt(np.sqrt(count / np.maximum(self._sizes, 1)))).astype(np.int64)
        with_it, without = self._sizes[: self._labels], self._sizes[self._labels :]
        rarer = np.arange(self._labels) + self._labels * (without < with_it)
        self._rare_sizes = self._sizes[rarer]
        self._rare_starts = np.cumsum(self._rare_sizes) - self._rare_sizes
        self._rare = np.concatenate([np.flatnonzero(self._sides[:, side]) for side in rarer])

    def have(self, side: int) -> str:
        """Say in words what there is of a side: the images with a label, or, from the number of labels on, without."""
        words = f"has {int(self._sizes[side]):,} images {'with' if side < self._labels else 'without'} it"
        if not self._known:
            return words
        subjects = len(self._of_each_subject(side))
        return f"{words} of {subjects:,} subject{'' if subjects == 1 else 's'}"

    def problem(self, number: int, shots: int, queries: int) -> str | None:
        """Say what a label has and needs, where that is too little; None where it is enough."""
        sides, need = (number, number + self._labels), shots + queries
        with_it, without = (int(self._sizes[side]) for side in sides)
        if min(with_it, without) < need:
            return f"has {with_it:,} images with it and {without:,} without, needs {need:,} of each"
        if self._known and min(with_it, without) < need + self._largest - 1:  # else no subject is in the way
            for side in sides:
                if not divisible(self._of_each_subject(side), shots, queries):
                    return f"{self.have(side)}, needs {shots:,} and {queries:,} {OF_SUBJECTS}"
        return None

    def _of_each_subject(self, side: int) -> Indices:
        return np.unique(self._subjects[self._sides[:, side] == 1], return_counts=True)[1]

    def draw(self, rng: np.random.Generator, shots: int, queries: int) -> tuple[Indices, Indices]:
        """Draw the places of a support and a query set.

        Raises
        ------
        NotDivisibleError
            Labels share images or subjects in such a way that there is no episode; `column` counts the labels, first
            the images with each, then those without.
        """
        for _ in range(TRIES):
            support = self._cover(rng, shots, np.zeros(self._subject_count, dtype=bool))
            if support is None:
                break
            taken = np.zeros(self._subject_count, dtype=bool)
            taken[self._subjects[support]] = True
            query = self._cover(rng, queries, taken)
            if query is not None:
                return support, query
        supports = divide(rng, self._counts, shots, queries)
        sets = self._cover(rng, shots, ~supports), self._cover(rng, queries, supports)
        if sets[0] is None or sets[1] is None:
            raise ValueError("a division leaves enough of everything")
        return sets[0], sets[1]

    def _cover(self, rng: np.random.Generator, need: int, barred: Mask) -> Indices | None:
        """Choose images of subjects that are not barred; None where there are too few."""
        pool = self._candidates(rng, need)
        pool = pool[~barred[self._subjects[pool]]]
        chosen = self._few(rng, pool, need)
        if chosen is None:
            chosen = self._few(rng, np.flatnonzero(~barred[self._subjects]), need)
        return chosen

    def _few(self, rng: np.random.Generator, pool: Indices, need: int) -> Indices | None:
        ties = (rng.random(len(pool)) * TIES).astype(np.int64)
        chosen = few_that_serve(self._sides[pool], need, self._weights, ties)
        return None if chosen is None else pool[chosen]

    def _candidates(self, rng: np.random.Generator, need: int) -> Indices:
        each = max(FEWEST, CANDIDATES * need)
        count = len(self._sides)
        if count <= each * (self._labels + 1):
            return np.arange(count)
        shares = rng.random((self._labels, each)) * self._rare_sizes[:, None]
        rare = self._rare[shares.astype(np.int64) + self._rare_starts[:, None]]
        anywhere = (rng.random(each) * count).astype(np.int64)
        pool = np.concatenate([rare.ravel(), anywhere])
        pool.sort()
        once: Indices = pool[np.concatenate([[True], pool[1:] != pool[:-1]])]
        return once

    @cached_property
    def _largest(self) -> int:
        return largest(self._subjects)

    @cached_property
    def _counts(self) -> Indices:
        """How many images each subject has with each label, and without."""
        columns = [np.bincount(self._subjects[side == 1], minlength=self._subject_count) for side in self._sides.T]
        return np.stack(columns, axis=1)


def few_that_serve(sides: Indices, need: int, weights: Indices, ties: Indices) -> Indices | None:
    """Choose few rows that have every column `need` times: always the row that serves most, then none in vain.

    The greedy rule for set multicover: its result is at most a logarithm of the columns times the fewest possible
    (Dobson, "Worst-case analysis of greedy heuristics for integer programming with nonnegative data", 1982).

    Parameters
    ----------
    sides : ndarray of uint8, shape (n, columns)
        0 and 1.
    need : int
        How often each column must be there.
    weights : ndarray of int64, shape (columns,)
        What serving a column counts while it is needed.
    ties : ndarray of int64, shape (n,)
        Numbers below `TIES` that decide between rows that serve alike.

    Returns
    -------
    ndarray of int64, or None
        The rows, in the order in which they were chosen; None where a column has too few ones.

    Examples
    --------
    >>> sides = np.array([[1, 0], [0, 1], [1, 1]], np.uint8)
    >>> few_that_serve(sides, 1, np.array([1, 1]), np.zeros(3, int))
    array([2])
    """
    serves = np.multiply(sides.T, (weights * TIES)[:, None], order="C")
    worth = serves.sum(axis=0) + ties
    if not len(sides):
        return None
    lack = np.full(sides.shape[1], need)
    chosen: list[int] = []
    open_columns = sides.shape[1]
    while open_columns:
        best = int(worth.argmax())
        if worth[best] < TIES:  # nothing is left that serves
            return None
        worth[best] = TAKEN
        chosen.append(best)
        row = sides[best]
        lack -= row
        (closed,) = ((lack == 0) & (row == 1)).nonzero()  # what is there often enough from now on serves no more
        for column in closed.tolist():
            worth -= serves[column]
        open_columns -= len(closed)
    kept = np.array(chosen, dtype=np.int64)
    while True:
        spare = lack < 0
        vain = (sides[kept] <= spare).all(axis=1)  # every column that the row has is there once more than needed
        if not vain.any():
            return kept
        first = int(np.argmax(vain))
        lack += sides[kept[first]]
        kept = np.delete(kept, first)
