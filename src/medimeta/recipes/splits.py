"""The split rule of release 1.0."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from medimeta.catalogue.schema import SPLITS
from medimeta.recipes.recipe import Sample

SEED = 42
TRAIN_VAL_TEST = (70, 10, 20)
TRAIN_VAL = (85, 15)


def random_split(keys: Sequence[Hashable], ratios: Sequence[int], seed: int = SEED) -> list[str]:
    """Split samples at random by group key, exactly as release 1.0 did.

    The distinct keys, in order of first appearance, are permuted by ``numpy.random.RandomState(seed)``; the first
    ``int(n * r_train)`` go to train, the next ``int(n * r_val)`` to val, the rest to test. With two ratios, val takes
    the rest.

    Parameters
    ----------
    keys : sequence of hashable
        Group of each sample; samples of one group stay together.
    ratios : sequence of int
        Shares of train, val and, if there is a third, test.
    seed : int
        Seed of the permutation.

    Returns
    -------
    list of str
        Split of each sample.

    Examples
    --------
    >>> random_split(["a", "b", "a", "c", "d"], (50, 50))
    ['val', 'train', 'val', 'val', 'train']
    """
    distinct = list(dict.fromkeys(keys))
    order = np.random.RandomState(seed).permutation(len(distinct))
    whole = sum(ratios)
    # The release's own arithmetic: int(0.7 * 90) is 62, one short of 70 * 90 // 100. Exact shares would move samples.
    stops = [int(ratio / whole * len(distinct)) for ratio in ratios[:-1]]
    split_of: dict[Hashable, str] = {}
    start = 0
    for split, count in zip(SPLITS, [*stops, len(distinct) - sum(stops)], strict=False):
        split_of.update((distinct[index], split) for index in order[start : start + count])
        start += count
    return [split_of[key] for key in keys]


def split_all(samples: Sequence[Sample]) -> list[str]:
    """Split 70/10/20 at random, by group where samples have one, else by image."""
    return random_split(_keys(samples), TRAIN_VAL_TEST)


def split_train(samples: Sequence[Sample]) -> list[str]:
    """Keep the source's test split, and split the rest 85/15 into train and val, by group or by image.

    Whatever the source calls validation or test is test here.
    """
    kept = [index for index, sample in enumerate(samples) if sample.original_split == "train"]
    splits = ["test"] * len(samples)
    for index, split in zip(kept, random_split(_keys([samples[index] for index in kept]), TRAIN_VAL), strict=True):
        splits[index] = split
    return splits


def split_as_given(samples: Sequence[Sample]) -> list[str]:
    """Keep the source's splits."""
    return [sample.original_split for sample in samples]


def _keys(samples: Sequence[Sample]) -> list[Hashable]:
    return [(index,) if sample.group is None else sample.group for index, sample in enumerate(samples)]
