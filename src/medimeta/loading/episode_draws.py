"""Random numbers of episodes: the same for the same key and number, on every machine and in every version of NumPy.

Only uniform floats are taken from NumPy, whose stream is fixed; what is drawn with them is decided here.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

FEW = 4  # times as many images as are drawn: below, a whole permutation is cheaper than drawing again what came twice


class EpisodeStreams:
    """An independent stream of random numbers for every number, without going through those before it.

    Philox makes its numbers from a key and a counter: the key is a digest of all that the episodes depend on, the upper
    half of the counter is the episode's number, the lower half counts within the episode. (Salmon et al., "Parallel
    random numbers: as easy as 1, 2, 3", SC 2011.)

    Parameters
    ----------
    what : str
        All that the episodes depend on besides their number.

    Examples
    --------
    >>> streams = EpisodeStreams("seed 0")
    >>> streams[7].random() == EpisodeStreams("seed 0")[7].random() != streams[8].random()
    True
    """

    def __init__(self, what: str) -> None:
        self._key = np.frombuffer(hashlib.sha256(what.encode()).digest()[:16], dtype="<u8").astype(np.uint64)

    def __getitem__(self, number: int) -> np.random.Generator:
        counter = np.array([0, 0, number, 0], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=self._key, counter=counter))


def between(rng: np.random.Generator, bounds: tuple[int, int]) -> int:
    """Draw a whole number between two bounds, both included; a single possibility costs no random number."""
    low, high = bounds
    return low if low == high else low + int(rng.random() * (high - low + 1))


def some_of(rng: np.random.Generator, size: int, count: int) -> Indices:
    """Draw `count` of the numbers 0 to ``size - 1`` without repetition, in random order."""
    return np.argsort(rng.random(size), kind="stable")[:count]


def distinct(rng: np.random.Generator, sizes: Indices, count: int) -> Indices:
    """Draw, in every row, `count` numbers below the row's size without repetition, all such rows being as likely.

    What came twice in a row is drawn again until nothing does. No number is treated other than any other, so that all
    rows of distinct numbers stay as likely.

    Parameters
    ----------
    sizes : ndarray of int64, shape (rows,)
        Each at least `count`.

    Returns
    -------
    ndarray of int64, shape (rows, count)

    Examples
    --------
    >>> rows = distinct(np.random.default_rng(0), np.array([5, 1000]), 5)
    >>> sorted(rows[0].tolist()), len(set(rows[1].tolist()))
    ([0, 1, 2, 3, 4], 5)
    """
    drawn = (rng.random((len(sizes), count)) * sizes[:, None]).astype(np.int64)
    for row in np.flatnonzero(sizes < FEW * count):
        drawn[row] = some_of(rng, int(sizes[row]), count)
    while True:
        ordered = np.sort(drawn, axis=1)
        if not (ordered[:, 1:] == ordered[:, :-1]).any():
            return drawn
        rows, columns = np.nonzero(_came_before(drawn))
        drawn[rows, columns] = (rng.random(len(rows)) * sizes[rows]).astype(np.int64)


def _came_before(drawn: Indices) -> npt.NDArray[np.bool_]:
    """Mark what stands further left in its row already."""
    order = np.argsort(drawn, axis=1, kind="stable")
    ordered = np.take_along_axis(drawn, order, axis=1)
    marks = np.zeros(drawn.shape, dtype=bool)
    np.put_along_axis(marks, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return marks
