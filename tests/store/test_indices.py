"""What counts as indices, and how a batch is cut into what is read at once."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medimeta.errors import MedimetaError, UsageError
from medimeta.store.indices import check_indices, stretches


@pytest.mark.parametrize(
    "indices",
    [
        [2, 0, 2],
        (2, 0, 2),
        np.array([2, 0, 2], np.uint8),
        np.array([2, 0, 2], np.uint64),
        np.array([2, 2, 0, 2])[1:],
        np.array([2, 0, 2], object),
    ],
)
def test_whole_numbers_of_any_kind_are_indices(indices):
    found = check_indices(indices, 3, "file")
    assert found.dtype == np.int64
    assert found.tolist() == [2, 0, 2]


def test_a_tensor_and_a_range_are_indices():
    torch = pytest.importorskip("torch")
    assert check_indices(torch.tensor([1, 0]), 2, "file").tolist() == [1, 0]
    assert check_indices(range(2), 2, "file").tolist() == [0, 1]


@pytest.mark.parametrize("indices", [[], (), np.empty(0), np.empty(0, object), np.empty(0, np.int32), range(0)])
def test_an_empty_batch_is_fine(indices):
    found = check_indices(indices, 0, "file")
    assert found.shape == (0,)
    assert found.dtype == np.int64


@pytest.mark.parametrize("bad", [-1, 3, 2**62, 2**63, 2**64, -(2**70)])
def test_what_is_out_of_range_is_an_index_error_with_number_and_file(bad):
    with pytest.raises(
        IndexError, match=f"^a/b.hdf5: sample {bad} is out of range; there are 3, counted from 0"
    ) as told:
        check_indices([bad, 0] if abs(bad) < 2**63 else [bad], 3, "a/b.hdf5")
    assert isinstance(told.value, MedimetaError)


def test_of_nothing_every_index_is_out_of_range():
    with pytest.raises(IndexError, match="sample 0 is out of range; there is none"):
        check_indices([0], 0, "file")


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([1.0], r"got float64 of shape \(1,\): \[1.0\]"),
        ([0.5, 1], "got float64"),
        ([True, False], r"got bool of shape \(2,\): \[True, False\]. Of a mask, pass np.flatnonzero\(mask\)"),
        (np.array([], bool), "got bool"),
        (["1"], "got <U1"),
        ([[1, 2]], r"got int64 of shape \(1, 2\)"),
        (np.empty((0, 3), np.int64), r"got int64 of shape \(0, 3\)"),
        ([[1], [1, 2]], r"got \[\[1\], \[1, 2\]\]"),
        ([1, None], "got object"),
        ({1, 2}, r"got \{1, 2\}"),
        (None, "got None"),
        (1, r"got 1. For one sample, pass \[1\]"),
        ("12", "got '12'"),
        (slice(1, 2), "got slice"),
    ],
)
def test_what_is_no_sequence_of_whole_numbers_is_told(indices, message):
    with pytest.raises(UsageError, match=f"^a/b.hdf5: indices must be a sequence of whole numbers, {message}"):
        check_indices(indices, 3, "a/b.hdf5")


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_stretches_hold_every_place_once_and_come_in_the_order_of_the_file(indices):
    wanted = np.array(indices)
    found = list(stretches(wanted, np.argsort(wanted, kind="stable")))
    assert sorted(place + step for _, place, count in found for step in range(count)) == list(range(len(indices)))
    assert all(wanted[place + step] == first + step for first, place, count in found for step in range(count))
    assert [first for first, _, _ in found] == sorted(first for first, _, _ in found)
    for (first, place, count), (after, next_place, _) in pairwise(found):
        assert (after, next_place) != (first + count, place + count)  # else it would be one stretch
