"""Episodes of tasks in which an image has one class: multi-class, binary and ordinal."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from medimeta.loading.episode_draws import distinct
from medimeta.loading.episode_subjects import OF_SUBJECTS, divide, divisible, largest

Indices = npt.NDArray[np.int64]

SUPPORTS = 4  # supports that are drawn before subjects are put on two sides first
QUERIES = 4  # query sets that are drawn for a support before those of its subjects are left out first


class ClassSampler:
    """Draws support and query sets of the same number of images of each class.

    The support set is drawn first, every set of images of a class being as likely; then the query set, likewise from
    the images of other subjects. Where subjects are so few that this fails, they are put on two sides first.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        Classes counted from 0.
    classes : int
        How many classes there are.
    subjects : ndarray of int64, shape (n,), optional
        Counted from 0. Without them every image is a subject of its own.
    """

    def __init__(self, labels: Indices, classes: int, subjects: Indices | None) -> None:
        self.sizes = np.bincount(labels, minlength=classes)
        self._starts = np.cumsum(self.sizes) - self.sizes
        small = labels.astype(np.uint16) if classes <= np.iinfo(np.uint16).max else labels  # sorts in linear time
        self._order = np.argsort(small, kind="stable").astype(np.int64, copy=False)
        self._labels, self._known = labels, subjects is not None
        self._subjects = np.arange(len(labels)) if subjects is None else subjects
        self._subject_count = int(self._subjects.max(initial=-1)) + 1

    def places(self, number: int) -> Indices:
        """Return the places of a class."""
        return self._order[self._starts[number] : self._starts[number] + self.sizes[number]]

    def have(self, number: int) -> str:
        """Say what a class has, in words."""
        size = f"has {int(self.sizes[number]):,} images"
        if not self._known:
            return size
        subjects = len(self._of_each_subject(number))
        return f"{size} of {subjects:,} subject{'' if subjects == 1 else 's'}"

    def problem(self, number: int, shots: int, queries: int) -> str | None:
        """Say what a class has and needs, where that is too little; None where it is enough."""
        size, need = int(self.sizes[number]), shots + queries
        if size < need:
            return f"has {size:,} images, needs {need:,}"
        many = not self._known or size >= need + self._largest - 1  # then no subject is in the way
        if not many and not divisible(self._of_each_subject(number), shots, queries):
            return f"{self.have(number)}, needs {shots:,} and {queries:,} {OF_SUBJECTS}"
        return None

    def _of_each_subject(self, number: int) -> Indices:
        return np.unique(self._subjects[self.places(number)], return_counts=True)[1]

    def draw(self, rng: np.random.Generator, chosen: Indices, shots: int, queries: int) -> tuple[Indices, Indices]:
        """Draw the places of a support and a query set over some classes.

        Raises
        ------
        NotDivisibleError
            The classes share subjects in such a way that there is no episode; `column` counts within `chosen`.
        """
        if not self._known:
            places = self._draw(rng, chosen, shots + queries)
            return places[:, :shots].ravel(), places[:, shots:].ravel()
        for _ in range(SUPPORTS):
            places = self._draw(rng, chosen, shots + queries)
            support = places[:, :shots]
            query = self._of_others(rng, chosen, self._subjects[support], places[:, shots:])
            if query is not None:
                return support.ravel(), query.ravel()
        counts = self._counts[:, chosen]
        there = np.flatnonzero(counts.any(axis=1))
        supports = np.zeros(self._subject_count, dtype=bool)
        supports[there] = divide(rng, counts[there], shots, queries)
        return self._from_side(rng, chosen, supports, shots), self._from_side(rng, chosen, ~supports, queries)

    def _draw(self, rng: np.random.Generator, chosen: Indices, count: int) -> Indices:
        drawn: Indices = self._order[self._starts[chosen][:, None] + distinct(rng, self.sizes[chosen], count)]
        return drawn

    def _of_others(
        self, rng: np.random.Generator, chosen: Indices, supporting: Indices, query: Indices
    ) -> Indices | None:
        """Draw again those classes of a query set that have a supporting subject; None if too few images are left."""
        subjects, count = self._subjects, query.shape[1]
        taken = np.zeros(self._subject_count, dtype=bool)
        taken[supporting] = True
        for _ in range(QUERIES):
            clash = taken[subjects[query]]
            if not clash.any():
                return query
            rows = np.flatnonzero(clash.any(axis=1))
            query[rows] = self._draw(rng, chosen[rows], count)
        for row in np.flatnonzero(taken[subjects[query]].any(axis=1)):
            places = self.places(chosen[row])
            others = places[~taken[subjects[places]]]
            if len(others) < count:
                return None
            query[row] = others[distinct(rng, np.array([len(others)]), count)[0]]
        return query

    def _from_side(self, rng: np.random.Generator, chosen: Indices, side: npt.NDArray[np.bool_], count: int) -> Indices:
        pools = [places[side[self._subjects[places]]] for places in map(self.places, chosen)]
        return np.concatenate([pool[distinct(rng, np.array([len(pool)]), count)[0]] for pool in pools])

    @cached_property
    def _largest(self) -> int:
        return largest(self._subjects)

    @cached_property
    def _counts(self) -> Indices:
        """How many images each subject has of each class."""
        cells = self._subjects * len(self.sizes) + self._labels
        counts = np.bincount(cells, minlength=self._subject_count * len(self.sizes))
        return counts.reshape(self._subject_count, len(self.sizes))
