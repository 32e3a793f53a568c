"""``channel_statistics``: NumPy's numbers of all pixels, whatever the chunks, the order and the threads."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import medimeta as mm
from medimeta.errors import StoreError, UsageError
from medimeta.loading import statistics
from medimeta.loading.statistics import StoredPart, channel_sums
from medimeta.store.images import ImageBlock
from medimeta.store.reader import open_dataset

POPULATION = {"rtol": 1e-12, "atol": 0}


def pixels(dataset, rgb=False):
    """All pixels of a dataset by channel, in float64 of 0..1."""
    images = dataset.stored.images.read(dataset.indices).astype(np.float64) / 255
    levels = images.reshape(-1, dataset.channels)
    return np.repeat(levels, 3, axis=1) if rgb and dataset.channels == 1 else levels


def block_of(folder: Path, images: np.ndarray, **options) -> ImageBlock:
    path = folder / "images.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, **options)
    return ImageBlock(path)


def equals_numpy(found, levels):
    channels = np.ascontiguousarray(levels.T)  # NumPy is more exact along the last axis
    np.testing.assert_allclose(found.mean, channels.mean(axis=1), **POPULATION)
    np.testing.assert_allclose(found.std, channels.std(axis=1), **POPULATION)
    assert found.pixels == len(levels)


@pytest.mark.parametrize("name", ["bus", "pbc", "cxr", "skinl_derm"])
@pytest.mark.parametrize("split", ["train", ["train", "val"], None])
def test_it_is_what_numpy_finds(built_root, name, split):
    dataset = mm.load(name, root=built_root, split=split)
    found = mm.channel_statistics(dataset)
    equals_numpy(found, pixels(dataset))
    assert found.images == len(dataset)
    assert len(found.mean) == len(found.std) == dataset.channels
    assert all(type(value) is float for value in (*found.mean, *found.std))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 9), st.sampled_from([(), (3,)])),
    seed=st.integers(0, 99),
    spread=st.sampled_from([1, 2, 256]),
    chunk=st.integers(1, 3000),
    threads=st.integers(1, 3),
    share=st.floats(0, 1),
)
def test_sums_do_not_depend_on_chunks_threads_or_order(tmp_path_factory, shape, seed, spread, chunk, threads, share):
    count, size, colour = shape
    rng = np.random.default_rng(seed)
    images = rng.integers(256 - spread, 256, (count, size, size, *colour), dtype=np.uint8)
    some = np.flatnonzero(rng.random(count) <= share)
    block = block_of(tmp_path_factory.mktemp("block"), images)
    levels = images[some].reshape(-1, 3 if colour else 1).astype(np.int64)
    expected = np.stack([levels.sum(axis=0), (levels**2).sum(axis=0)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "CHUNK_BYTES", chunk)
        assert np.array_equal(channel_sums(block, some, threads), expected)
        assert np.array_equal(channel_sums(block, rng.permutation(some), threads), expected)
    assert np.array_equal(channel_sums(block, some), expected)


@settings(max_examples=60, deadline=None)
@given(levels=st.dictionaries(st.integers(0, 255), st.integers(1, 2**38), min_size=1, max_size=9))
def test_the_numbers_follow_exactly_from_the_sums(levels):
    """Also of more pixels than any dataset has: compared with fractions."""
    pixels = sum(levels.values())
    sums = [sum(count * level**power for level, count in levels.items()) for power in (1, 2)]
    found = statistics._from_sums(np.array(sums)[:, None], 1, pixels)
    mean = Fraction(sums[0], 255 * pixels)
    variance = sum(count * (Fraction(level, 255) - mean) ** 2 for level, count in levels.items()) / pixels
    assert found.mean[0] == pytest.approx(float(mean), rel=1e-15)
    assert found.std[0] ** 2 == pytest.approx(float(variance), rel=1e-14)


def test_sums_of_many_white_rows_do_not_overflow(tmp_path):
    """The worst case of squares in 32 bits: white images as narrow as they may be, in one chunk."""
    images = np.full((9000, 8, 8), 255, dtype=np.uint8)
    block = block_of(tmp_path, images)
    assert channel_sums(block, np.arange(9000)).tolist() == [[images.size * 255], [images.size * 255**2]]


def test_chunked_files_of_others_give_the_same(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, 10, 10, 3), dtype=np.uint8)
    block = block_of(tmp_path, images, chunks=(2, 10, 10, 3), compression="gzip")
    assert not block.contiguous
    levels = images.reshape(-1, 3).astype(np.int64)
    assert np.array_equal(channel_sums(block, np.arange(7)), [levels.sum(axis=0), (levels**2).sum(axis=0)])


def test_images_of_one_value_have_no_deviation_and_cannot_be_normalised_with(tmp_path, built_root):
    block = block_of(tmp_path, np.full((3, 8, 8), 200, dtype=np.uint8))
    stored = open_dataset("bus", built_root)
    stored.images = block
    found = mm.channel_statistics(StoredPart(stored, np.arange(3)))
    assert found == ((200 / 255,), (0.0,), 3, 192)
    with pytest.raises(UsageError, match="std positive"):
        mm.Normalize(found, channels=1)


# Several datasets


def test_several_datasets_are_pooled_pixel_by_pixel(built_root):
    parts = [mm.load(name, root=built_root, split="train") for name in ("pbc", "aml", "crc")]
    found = mm.channel_statistics(iter(parts))
    equals_numpy(found, np.concatenate([pixels(part) for part in parts]))
    assert found.images == sum(map(len, parts))
    assert mm.channel_statistics(reversed(parts)) == found


def test_datasets_of_several_sizes_count_by_their_pixels(built_root, small_root):
    parts = [mm.load("pbc", root=root, split="train") for root in (built_root, small_root)]
    equals_numpy(mm.channel_statistics(parts), np.concatenate([pixels(part) for part in parts]))


def test_an_image_of_several_tasks_or_splits_counts_once(built_root):
    tasks = [mm.load(task.id, root=built_root, split="train") for task in mm.tasks(dataset="bus")]
    both = mm.load("bus", root=built_root, split=["train", "val"])
    assert mm.channel_statistics(tasks) == mm.channel_statistics(tasks[0])
    assert mm.channel_statistics([tasks[0], both]) == mm.channel_statistics(both)


def test_grey_and_colour_are_pooled_in_three_channels_on_request(built_root):
    parts = [mm.load(name, root=built_root, split="train") for name in ("bus", "pbc")]
    with pytest.raises(UsageError, match=r"grey \(bus\).*pass rgb=True"):
        mm.channel_statistics(parts)
    found = mm.channel_statistics(parts, rgb=True)
    equals_numpy(found, np.concatenate([pixels(part, rgb=True) for part in parts]))
    for part in parts:
        assert next(iter(mm.loader(part, 2, normalize=found, rgb=True)))[0].shape == (2, 3, 224, 224)


def test_grey_images_alone_can_be_counted_in_three_channels(built_root):
    dataset = mm.load("bus", root=built_root, split="train")
    grey, colour = (mm.channel_statistics(dataset, rgb=rgb) for rgb in (False, True))
    assert colour == (3 * grey.mean, 3 * grey.std, grey.images, grey.pixels)


# What is refused


def test_nothing_has_no_statistics(built_root):
    for nothing in ([], StoredPart(open_dataset("bus", built_root), np.empty(0, dtype=np.int64))):
        with pytest.raises(UsageError, match="there are no images"):
            mm.channel_statistics(nothing)


@pytest.mark.parametrize("wrong", ["bus", ["bus"], [None], 5, None, np.zeros((2, 8, 8), np.uint8)], ids=repr)
def test_what_is_no_dataset_is_refused(wrong):
    with pytest.raises(UsageError, match=r"expected datasets from medimeta\.load, got"):
        mm.channel_statistics(wrong)


def test_threads_are_at_least_one(built_root):
    with pytest.raises(UsageError, match="threads must be a whole number from 1 to 1,024, got 0"):
        mm.channel_statistics(mm.load("bus", root=built_root), threads=0)


def test_a_file_that_is_cut_short_meanwhile_is_told(tmp_path):
    block = block_of(tmp_path, np.zeros((40, 64, 64), dtype=np.uint8))
    with (tmp_path / "images.hdf5").open("r+b") as file:
        file.truncate(block.offset + 30 * 64 * 64)
    with pytest.raises(StoreError, match=r"images\.hdf5"):
        channel_sums(block, np.arange(40), threads=2)


def test_neither_statistics_nor_tasks_need_torch(built_root):
    code = """
import json, sys
import medimeta as mm
mm.pretraining_tasks("oct")
print("numpy" in sys.modules, "torch" in sys.modules)
from medimeta.loading.statistics import StoredPart
from medimeta.store.reader import open_dataset
stored = open_dataset("bus", sys.argv[1])
print(json.dumps(mm.channel_statistics(StoredPart(stored, stored.split("train")))), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, built_root], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == "False False"
    assert second.endswith("False")
    found = mm.channel_statistics(mm.load("bus", root=built_root, split="train"))
    assert json.loads(second.removesuffix("False")) == json.loads(json.dumps(found))
