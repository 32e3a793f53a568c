"""The split law of release 1.0: disjoint, complete, groups together, its own sizes, the same every time."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medimeta.recipes.splits import TRAIN_VAL, TRAIN_VAL_TEST, random_split

RATIOS = st.sampled_from([TRAIN_VAL_TEST, TRAIN_VAL])
KEYS = st.lists(st.integers(0, 60) | st.text(max_size=2), max_size=200)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (780, (546, 78, 156)),
        (17_092, (11_964, 1_709, 3_419)),
        (18_365, (12_855, 1_836, 3_674)),
        (90, (62, 9, 19)),  # int(0.7 * 90) is 62: 0.7 * 90 is a little below 63
        (1, (0, 0, 1)),
        (0, (0, 0, 0)),
    ],
)
def test_splits_have_the_sizes_of_the_release(count, sizes):
    found = Counter(random_split(range(count), TRAIN_VAL_TEST))
    assert (found["train"], found["val"], found["test"]) == sizes


def test_with_two_ratios_val_takes_the_rest():
    assert Counter(random_split(range(1345), TRAIN_VAL)) == {"train": 1143, "val": 202}


def test_the_permutation_is_that_of_the_release():
    order = np.random.RandomState(42).permutation(780)
    split = np.array(random_split(range(780), TRAIN_VAL_TEST))
    assert np.flatnonzero(split == "train").tolist() == sorted(order[:546])
    assert np.flatnonzero(split == "val").tolist() == sorted(order[546:624])
    assert np.flatnonzero(split == "test").tolist() == sorted(order[624:])


@given(keys=KEYS, ratios=RATIOS, seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_groups_stay_together_and_shares_are_counted_in_groups(keys, ratios, seed):
    splits = random_split(keys, ratios, seed)
    assert len(splits) == len(keys)
    of_group = dict(zip(keys, splits, strict=True))
    assert [of_group[key] for key in keys] == splits
    counts = Counter(of_group.values())
    total = len(of_group)
    train, val = (int(ratio / 100 * total) for ratio in ratios[:2])
    if len(ratios) == 2:
        assert (counts["train"], counts["val"], counts["test"]) == (train, total - train, 0)
    else:
        assert (counts["train"], counts["val"], counts["test"]) == (train, val, total - train - val)


@given(keys=KEYS, ratios=RATIOS)
@settings(deadline=None)
def test_the_split_depends_on_the_order_of_first_appearance_alone(keys, ratios):
    names = {key: f"patient {place}" for place, key in enumerate(dict.fromkeys(keys))}
    assert random_split(keys, ratios) == random_split([names[key] for key in keys], ratios)
    assert random_split(keys, ratios) == random_split(keys + keys, ratios)[: len(keys)]


def test_another_seed_gives_another_split():
    assert random_split(range(100), TRAIN_VAL_TEST, 1) != random_split(range(100), TRAIN_VAL_TEST, 2)
