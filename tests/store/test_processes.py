"""Reading in many threads and processes at once, however the processes were started."""

import multiprocessing
import os
import pickle
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from medimeta.errors import StoreError
from medimeta.store import opened
from medimeta.store.images import ImageBlock
from medimeta.store.reader import open_dataset

METHODS = multiprocessing.get_all_start_methods()
# Python 3.12 warns of what is tested here: a fork of a process with threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(scope="module")
def blocks(small_root, tmp_path_factory):
    """The same images as a contiguous block and in compressed chunks."""
    path, chunked = small_root / "pbc" / "images.hdf5", tmp_path_factory.mktemp("chunked") / "images.hdf5"
    with h5py.File(path) as file, h5py.File(chunked, "w") as other:
        other.create_dataset("images", data=file["images"][:], chunks=(3, 32, 32, 3), compression="gzip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "_MIN_BYTES_A_THREAD", 1)  # threads, however small the images are
        yield {"contiguous": ImageBlock(path, threads=3), "chunked": ImageBlock(chunked, threads=3)}


@pytest.fixture(params=["contiguous", "chunked"])
def block(request, blocks):
    return blocks[request.param]


def _sum(block):
    return int(block.read(range(80)).sum())


@pytest.mark.parametrize("method", METHODS)
def test_a_block_works_in_other_processes(blocks, method):
    both = [*blocks.values()] * 3
    expected = [_sum(block) for block in both]  # opened here first: a forked child inherits handles and dead threads
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(_sum, both, chunksize=1).get(60) == expected


def _sum_of_inherited(block, expected):
    same = all(_sum(block) == expected for _ in range(5))
    os._exit(0 if same else 1)


@pytest.mark.skipif("fork" not in METHODS, reason="the system does not fork")
def test_processes_may_be_forked_while_other_threads_read(block):
    expected, stop = _sum(block), threading.Event()

    def read():
        while not stop.is_set():
            assert _sum(block) == expected

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            children = []
            for _ in range(6):
                child = multiprocessing.get_context("fork").Process(target=_sum_of_inherited, args=(block, expected))
                child.start()
                children.append(child)
                time.sleep(0.01)
            for child in children:
                child.join(60)
            codes = [child.exitcode for child in children]
        finally:
            stop.set()
            for child in children:
                child.kill()
        for reader in readers:
            reader.result(60)
    assert codes == [0] * 6


def test_many_threads_may_read_and_close_at_once(block):
    expected = block.read(range(80))
    stop = threading.Event()

    def close():
        while not stop.is_set():
            block.close()
            with Path(os.devnull).open("rb"):  # would be given the number of a file that is closed too early
                time.sleep(0.0005)

    closer = threading.Thread(target=close)
    closer.start()
    try:
        wanted = [np.random.default_rng(seed).permutation(80) for seed in range(60)]
        with ThreadPoolExecutor(4) as pool:
            for indices, images in zip(wanted, pool.map(block.read, wanted), strict=True):
                assert np.array_equal(images, expected[indices])
    finally:
        stop.set()
        closer.join()


def test_it_pickles_to_a_few_hundred_bytes_even_when_it_is_open(block, small_root):
    block.read([0])
    assert len(pickle.dumps(block)) < 600
    stored = open_dataset("pbc", small_root)
    stored.labels("cell class")
    assert stored.manifest is not None
    data = pickle.dumps(stored)
    assert len(data) < 700
    again = pickle.loads(data)
    assert again.info == stored.info
    assert again.folder == stored.folder
    assert np.array_equal(again.images.read([5]), stored.images.read([5]))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts files as Linux shows them")
def test_files_are_closed_and_memory_stays_flat(block):
    def files():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = files()
    for _ in range(10):
        again = ImageBlock(block.path, threads=2)
        again.read([0, 1])
    again.close()
    assert files() <= before + 1
    out = np.empty((8, 32, 32, 3), np.uint8)
    again.read(range(8), out)
    tracemalloc.start()
    for _ in range(50):
        again.read(np.random.default_rng(1).integers(0, 80, 8), out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_after_an_error_nobody_writes_into_the_buffer_any_more(small_root, monkeypatch):
    monkeypatch.setattr(opened, "_MIN_BYTES_A_THREAD", 1)
    block = ImageBlock(small_root / "pbc" / "images.hdf5", threads=2)
    fill = opened.ContiguousBlock._fill

    def slow_or_broken(self, views, first, size):
        if first < 40:
            raise StoreError("broken")
        time.sleep(0.2)
        fill(self, views, first, size)

    monkeypatch.setattr(opened.ContiguousBlock, "_fill", slow_or_broken)
    out = np.zeros((80, 32, 32, 3), np.uint8)
    with pytest.raises(StoreError, match="broken"):
        block.read(range(80), out)
    after = out.copy()
    time.sleep(0.4)
    assert np.array_equal(out, after)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_threads_are_at_least_one(small_root, threads):
    path = small_root / "pbc" / "images.hdf5"
    for call in (lambda: ImageBlock(path, threads), lambda: ImageBlock(path).read([0], threads=threads)):
        with pytest.raises(ValueError, match=f"threads must be a whole number from 1 to 1,024, got {threads!r}"):
            call()


def test_a_buffer_that_does_not_fit_is_refused(small_root):
    block = ImageBlock(small_root / "bus" / "images.hdf5")
    frozen = np.zeros((1, 32, 32), np.uint8)
    frozen.flags.writeable = False
    for out in (
        np.zeros((2, 32, 32), np.uint8),
        np.zeros((1, 32, 32), np.int8),
        np.zeros((1, 32, 64), np.uint8)[:, :, ::2],
        frozen,
        bytearray(1024),
    ):
        with pytest.raises(ValueError, match=r"writable, C-contiguous uint8 array of shape \(1, 32, 32\), got"):
            block.read([0], out)
