"""The random split of people's own data: every label in every part, as far as its images reach.

Release 1.0 splits without a look at labels (`medimeta.recipes.splits`). In small data a rare label would miss a part.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from medimeta.catalogue.schema import SPLITS
from medimeta.recipes.splits import SEED


def stratified_split(
    groups: Sequence[Hashable], strata: Sequence[Hashable], ratios: Sequence[int], seed: int = SEED
) -> list[str]:
    """Split samples at random by group, each stratum by itself.

    A group belongs to the stratum of its first sample. Within a stratum the groups are permuted and cut by `shares`.

    Parameters
    ----------
    groups : sequence of hashable
        Group of each sample; samples of one group stay together.
    strata : sequence of hashable
        Label of each sample.
    ratios : sequence of int
        Shares of train, val and, if there is a third, test.
    seed : int
        Seed of the permutations.

    Returns
    -------
    list of str
        Split of each sample.

    Examples
    --------
    >>> stratified_split("abcdef", "xxxyyy", (70, 10, 20))
    ['train', 'val', 'test', 'test', 'train', 'val']
    """
    stratum_of: dict[Hashable, Hashable] = {}
    for group, stratum in zip(groups, strata, strict=True):
        stratum_of.setdefault(group, stratum)
    members_of: dict[Hashable, list[Hashable]] = {}
    for group, stratum in stratum_of.items():
        members_of.setdefault(stratum, []).append(group)
    random = np.random.RandomState(seed)
    split_of: dict[Hashable, str] = {}
    for members in members_of.values():
        order = iter(random.permutation(len(members)))
        for split, count in zip(SPLITS, shares(len(members), ratios), strict=False):
            split_of.update((members[next(order)], split) for _ in range(count))
    return [split_of[group] for group in groups]


def shares(count: int, ratios: Sequence[int]) -> tuple[int, ...]:
    """Divide a number by ratios, rounded, but with one at least for each; what is too few goes to the first and last.

    Examples
    --------
    >>> [shares(count, (70, 10, 20)) for count in (100, 10, 4, 3, 2, 1)]
    [(70, 10, 20), (7, 1, 2), (2, 1, 1), (1, 1, 1), (1, 0, 1), (1, 0, 0)]
    """
    if count < len(ratios):
        return (min(count, 1), *(0,) * (len(ratios) - 2), max(count - 1, 0))
    later = [max(1, round(count * ratio / sum(ratios))) for ratio in ratios[1:]]
    while sum(later) >= count:
        later[later.index(max(later))] -= 1
    return (count - sum(later), *later)
