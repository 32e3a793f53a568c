"""Positional reads: any order, any number of threads and processes, and no silent damage."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import medimeta as mm
from medimeta.errors import DamagedStoreError, DatasetNotFoundError
from medimeta.store.images import ImageBlock
from medimeta.store.reader import open_dataset


@pytest.fixture(scope="module")
def block(built_root):
    return ImageBlock(built_root / "pbc" / "images.hdf5", threads=3)


@given(data=st.data())
def test_reads_come_in_the_order_asked_for(built_root, data):
    block = ImageBlock(built_root / "pbc" / "images.hdf5", threads=2)
    indices = data.draw(st.lists(st.integers(0, len(block) - 1), max_size=40))
    assert np.array_equal(block.read(indices), block.as_memory_map()[indices])
    block.close()


def test_reads_into_a_buffer_that_is_given(block):
    out = np.zeros((3, 224, 224, 3), np.uint8)
    assert block.read([5, 6, 7], out) is out
    assert np.array_equal(out, block.as_memory_map()[5:8])
    with pytest.raises(ValueError, match="C-contiguous uint8"):
        block.read([1], out)


@pytest.mark.parametrize("index", [-1, 80])
def test_indices_out_of_range_are_refused(block, index):
    with pytest.raises(IndexError, match=f"sample {index} is out of range; there are 80"):
        block.read([0, index])


def test_many_threads_may_read_at_once(block):
    wanted = [np.random.default_rng(seed).permutation(80) for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        for indices, images in zip(wanted, pool.map(block.read, wanted), strict=True):
            assert np.array_equal(images, block.as_memory_map()[indices])


def test_chunked_files_of_others_read_the_same(built_root, of_others):
    stored = open_dataset("pbc", of_others.parent)
    assert not stored.images.contiguous
    indices = [3, 1, 1, 79]
    assert np.array_equal(stored.images.read(indices), mm.load_arrays("pbc", root=built_root).images[indices])
    images, labels = mm.load_arrays("pbc/cell class", root=of_others.parent)
    expected = mm.load_arrays("pbc/cell class", root=built_root)
    assert np.array_equal(images, expected.images)
    assert np.array_equal(labels, expected.labels)
    assert pickle.loads(pickle.dumps(stored)).images.read([2]).shape == (1, 224, 224, 3)


def test_a_truncated_file_is_told_before_the_first_read(bus):
    images = bus / "images.hdf5"
    with images.open("r+b") as file:
        file.truncate(images.stat().st_size - 1000)
    with pytest.raises(DamagedStoreError, match="images.hdf5"):
        open_dataset("bus", bus.parent)


@pytest.mark.parametrize("content", [b"", b"no hdf5 at all"])
def test_what_is_no_hdf5_is_told(bus, content):
    (bus / "images.hdf5").write_bytes(content)
    with pytest.raises(DamagedStoreError, match="is not a whole HDF5 file"):
        open_dataset("bus", bus.parent)


def test_a_missing_image_file_is_told(bus):
    (bus / "images.hdf5").unlink()
    with pytest.raises(DatasetNotFoundError, match="is missing"):
        open_dataset("bus", bus.parent)


@pytest.mark.skipif(sys.platform == "win32", reason="preadv is not there")
def test_what_we_write_is_contiguous(built_root):
    assert all(open_dataset(name, built_root).images.contiguous for name in ("bus", "pbc"))


def test_a_dataset_that_is_not_there_and_cannot_be_built_says_what_can_be_done(tmp_path, without_recipe):
    with pytest.raises(
        DatasetNotFoundError, match="oct: is not there .* This version cannot build it yet; a folder in"
    ):
        open_dataset(without_recipe, tmp_path)
