"""Whose turn it is: the seeded order of tasks, and of each task's samples, in mixed batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medimeta.loading.order import Places, Turn, batches_of, chance, cut

TURNS, SAMPLES = 0, 2  # numbers of the streams of chance; 1 is augmentation
DRAWN_AT_ONCE = 4096


class Decks:
    """The samples of each dataset, shuffled; anew each time that all were dealt.

    Parameters
    ----------
    sizes : sequence of int
        Samples of each dataset.
    """

    def __init__(self, sizes: Sequence[int], batch_size: int, drop_last: bool, seed: int, epoch: int) -> None:
        self.batches = np.array([batches_of(size, batch_size, drop_last=drop_last) for size in sizes], dtype=np.int64)
        self.seed = seed
        self.epoch = epoch
        self._sizes = sizes
        self._batch_size = batch_size
        self._shuffled: dict[int, tuple[int, Places]] = {}

    def deal(self, member: int, nth: int) -> Places:
        """Return the places of the `nth` batch of a dataset, counted from the beginning of the epoch."""
        round_, number = divmod(nth, int(self.batches[member]))
        if self._shuffled.get(member, (-1,))[0] != round_:
            rng = chance(self.seed, self.epoch, SAMPLES, member, round_)
            self._shuffled[member] = round_, rng.permutation(self._sizes[member])
        return cut(self._shuffled[member][1], self._batch_size, number)


class EachOnce:
    """Every dataset is exhausted exactly once.

    Without weights, a dataset is drawn in proportion to the batches it has left: that is a random permutation of all
    batches. With weights, one of those that have batches left is drawn in proportion to its weight. This is done at
    once by letting each dataset's batches come at the times of a Poisson process whose rate is its weight: which
    process has the next event depends on the rates alone, whatever came before.
    """

    def __init__(self, decks: Decks, weights: npt.NDArray[np.float64] | None) -> None:
        self._decks = decks
        rng = chance(decks.seed, decks.epoch, TURNS)
        members = np.repeat(np.arange(len(decks.batches)), decks.batches)
        if weights is None:
            self._members = rng.permutation(members)
        else:
            gaps = rng.exponential(1 / weights[members])
            # Times within each dataset: sums since its first batch.
            times = np.concatenate([np.cumsum(part) for part in np.split(gaps, np.cumsum(decks.batches)[:-1])])
            self._members = members[np.argsort(times, kind="stable")]
        self._nth = _count_up(self._members)

    @property
    def total(self) -> int:
        """How many batches there are."""
        return len(self._members)

    def turn(self, number: int) -> Turn:
        """Return a batch by its number."""
        member = int(self._members[number])
        return Turn(number, member, self._decks.deal(member, int(self._nth[number])))


class Endless:
    """Datasets are drawn for ever, in proportion to their weights, and shuffled anew when they are exhausted.

    Parameters
    ----------
    weights : ndarray of float64, optional
        In proportion to the batches of each dataset without them.
    total : int, optional
        How many batches make an epoch; without it there is no end.
    """

    def __init__(self, decks: Decks, weights: npt.NDArray[np.float64] | None, total: int | None) -> None:
        self.total = total
        self._decks = decks
        share = decks.batches if weights is None else weights
        self._share = share / share.sum()
        self._rewind()

    def turn(self, number: int) -> Turn:
        """Return a batch by its number."""
        block, place = divmod(number, DRAWN_AT_ONCE)
        if block < self._block:
            self._rewind()
        while self._block < block:
            self._draw_next()
        member = int(self._members[place])
        return Turn(number, member, self._decks.deal(member, int(self._nth[place])))

    def _rewind(self) -> None:
        self._block = -1
        self._dealt = np.zeros(len(self._share), dtype=np.int64)  # batches of each dataset up to the block's end

    def _draw_next(self) -> None:
        self._block += 1
        rng = chance(self._decks.seed, self._decks.epoch, TURNS, self._block)
        self._members = rng.choice(len(self._share), DRAWN_AT_ONCE, p=self._share)
        self._nth = _count_up(self._members) + self._dealt[self._members]
        self._dealt = self._dealt + np.bincount(self._members, minlength=len(self._share))


def _count_up(members: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each entry how many equal ones come before it.

    Examples
    --------
    >>> _count_up(np.array([2, 0, 2, 2, 0]))
    array([0, 0, 1, 2, 1])
    """
    order = np.argsort(members, kind="stable")
    counts = np.bincount(members)
    nth = np.empty(len(members), dtype=np.int64)
    nth[order] = np.arange(len(members)) - np.repeat(np.cumsum(counts) - counts, counts)
    return nth
