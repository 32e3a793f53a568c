"""Which samples are meant, by split and by place; and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import medimeta as mm
from medimeta.catalogue.schema import SPLITS
from medimeta.errors import MedimetaError, SampleIndexError, UnknownNameError, UsageError
from medimeta.loading.selection import check_place, check_places, check_subset
from medimeta.store.reader import open_dataset

LISTS = st.integers(0, 30).flatmap(
    lambda count: st.tuples(
        st.just(count), st.lists(st.integers(-count, count - 1), max_size=40) if count else st.just([])
    )
)


@given(LISTS)
def test_places_mean_what_they_mean_in_a_list(drawn):
    count, places = drawn
    samples = list(range(count))
    expected = [samples[place] for place in places]
    for same in (places, tuple(places), np.array(places, dtype=np.int32), torch.tensor(places, dtype=torch.int64)):
        assert check_places(same, count).tolist() == expected
    assert [check_place(place, count) for place in places] == expected
    assert check_places([], count).dtype == np.int64


@given(LISTS)
def test_a_subset_is_each_place_once(drawn):
    count, places = drawn
    once = check_places(places, count).tolist()
    if len(set(once)) == len(once):
        assert check_subset(places, count).tolist() == once
    else:
        with pytest.raises(UsageError, match="each sample once"):
            check_subset(places, count)


@given(st.lists(st.booleans(), min_size=1))
def test_a_mask_chooses_where_it_is_true(mask):
    expected = [place for place, chosen in enumerate(mask) if chosen]
    for same in (mask, np.array(mask), torch.tensor(mask)):
        assert check_subset(same, len(mask)).tolist() == expected
    with pytest.raises(UsageError, match=f"expected {len(mask) + 1}, got {len(mask)}"):
        check_subset(mask, len(mask) + 1)


@pytest.mark.parametrize("place", [10, -11, 2**70, np.int64(10)])
def test_a_place_out_of_range_is_an_index_error(place):
    with pytest.raises(SampleIndexError, match=f"sample {place} is out of range; there are 10"):
        check_place(place, 10)
    with pytest.raises(IndexError, match=f"sample {place} is out of range; there are 10"):
        check_places([0, place], 10)


def test_all_places_out_of_range_are_told():
    with pytest.raises(SampleIndexError, match=r"samples 10, -11 are out of range"):
        check_places([10, 3, -11], 10)
    with pytest.raises(SampleIndexError, match=r"samples 10, 11, 12, 13, 14, \.\.\. are"):
        check_places(range(10, 99), 10)


@pytest.mark.parametrize("place", [1.0, True, np.True_, "1", None, slice(2), [1], torch.tensor(1.5)])
def test_what_is_no_whole_number_is_refused(place):
    with pytest.raises(UsageError, match="whole number"):
        check_place(place, 10)
    with pytest.raises(UsageError, match="whole number"):
        check_places([0, place], 10)


@pytest.mark.parametrize(
    "places", [3, np.array(3), "12", None, np.array([0.5]), np.array([True]), np.zeros((2, 2), int)]
)
def test_what_is_no_sequence_of_whole_numbers_is_refused(places):
    with pytest.raises(UsageError, match="whole number"):
        check_places(places, 10)


@pytest.mark.parametrize("name", ["bus/malignancy", "cxr", "glaucoma"])
def test_splits_partition_a_dataset_and_so_do_those_of_its_source(built_root, name):
    everything = mm.load(name, root=built_root).indices
    parts = [mm.load(name, root=built_root, split=split).indices for split in SPLITS]
    assert np.array_equal(np.sort(np.concatenate(parts)), everything)
    stored = open_dataset(name.partition("/")[0], built_root)
    there = [split for split in SPLITS if len(stored.split(split, original=True))]
    for split in set(SPLITS) - set(there):
        with pytest.raises(UsageError, match=rf"its source has no split '{split}'; it has train \("):
            mm.load(name, root=built_root, original_split=split)
    original = [mm.load(name, root=built_root, original_split=split).indices for split in there]
    assert np.array_equal(np.sort(np.concatenate(original)), everything)


def test_split_and_original_split_together_are_what_both_have(built_root):
    def of(**selection):
        return set(mm.load("glaucoma", root=built_root, **selection).indices.tolist())

    for split in SPLITS:
        for original in ("train", "test"):
            both = of(split=split, original_split=original)
            assert both == of(split=split) & of(original_split=original)
            images, labels = mm.load_arrays("glaucoma", root=built_root, split=split, original_split=original)
            assert len(images) == len(both)
            assert {len(values) for values in labels.values()} == {len(both)}
    assert of(split="test", original_split="train") == set()


@pytest.mark.parametrize("load", [mm.load, mm.load_arrays])
@pytest.mark.parametrize(
    ("selection", "error", "message"),
    [
        ({"split": "valid"}, UnknownNameError, "unknown split 'valid'"),
        ({"original_split": "valid"}, UnknownNameError, "unknown split 'valid'"),
        ({"split": 0}, UsageError, "split must be one or several of train, val, test; got 0"),
        ({"split": ["train", 3, None]}, UsageError, "got 3, None"),
        ({"split": []}, UsageError, "split names no split"),
        ({"original_split": ()}, UsageError, "original_split names no split"),
        ({"original_split": "val"}, UsageError, r"bus: its source has no split 'val'; it has train \(30 samples\)"),
        ({"original_split": ["train", "val", "test"]}, UsageError, "no split 'val' and no split 'test'"),
    ],
)
def test_splits_that_are_none_are_refused(built_root, load, selection, error, message):
    with pytest.raises(error, match=message):
        load("bus", root=built_root, **selection)


@pytest.mark.parametrize("task", [7, None, ["bus"]])
def test_a_task_that_is_no_name_is_refused(built_root, task):
    with pytest.raises(MedimetaError, match="task must be a name such as"):
        mm.load(task, root=built_root)


def test_cards_are_names_too(built_root):
    assert mm.load(mm.task("bus/malignancy"), root=built_root).task.name == "malignancy"
    assert mm.load_arrays(mm.dataset("bus"), root=built_root).labels.keys() == {"case category", "malignancy"}
