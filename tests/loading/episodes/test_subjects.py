"""The division of subjects is complete: it finds one wherever there is one, and says so where there is none."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medimeta.loading.episode_subjects import NotDivisibleError, divide, divisible, subject_codes


def divisions(counts, shots, queries):
    for choice in product([False, True], repeat=len(counts)):
        support = np.array(choice)
        if (counts[support].sum(axis=0) >= shots).all() and (counts[~support].sum(axis=0) >= queries).all():
            yield support


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_one_class_is_divisible_where_trying_all_finds_a_division(sizes, shots, queries):
    counts = np.array(sizes)[:, None]
    assert divisible(np.array(sizes), shots, queries) == any(True for _ in divisions(counts, shots, queries))


@given(
    arrays(np.int64, st.tuples(st.integers(1, 8), st.integers(1, 5)), elements=st.integers(0, 4)),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(0, 100),
)
@settings(max_examples=300, deadline=None)
def test_a_division_is_found_where_trying_all_finds_one(counts, shots, queries, seed):
    rng = np.random.default_rng(seed)
    if not any(True for _ in divisions(counts, shots, queries)):
        with pytest.raises(NotDivisibleError) as caught:
            divide(rng, counts, shots, queries)
        assert caught.value.proven
        assert 0 <= caught.value.column < counts.shape[1]
    else:
        support = divide(rng, counts, shots, queries)
        assert support.dtype == bool
        assert (counts[support].sum(axis=0) >= shots).all()
        assert (counts[~support].sum(axis=0) >= queries).all()


def test_every_division_comes_up():
    counts = np.array([[2, 0], [2, 1], [2, 1], [0, 1]])
    expected = {tuple(support) for support in divisions(counts, 2, 1)}
    found = {tuple(divide(np.random.default_rng(seed), counts, 2, 1)) for seed in range(300)}
    assert found == expected


def test_a_search_that_would_take_for_ever_is_ended():
    """Forty pairs of images cannot be parted into 39 and 41; to see that, all choices of twenty would be tried."""
    with pytest.raises(NotDivisibleError) as caught:
        divide(np.random.default_rng(0), np.full((40, 1), 2), 39, 41)
    assert not caught.value.proven
    assert not divisible(np.full(40, 2), 39, 41)


def test_subject_codes_may_have_gaps(fake):
    codes = subject_codes(fake([0, 1, 0, 1], [7, 10**12, 7, -4]))
    assert codes.tolist() == [1, 2, 1, 0]
    assert subject_codes(fake([0, 1])) is None
    assert subject_codes(fake([0, 1, 1], [2, 0, 2])).tolist() == [2, 0, 2]
