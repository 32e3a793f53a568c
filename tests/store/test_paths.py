"""Every way to an image gives the same bytes."""

import os
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import medimeta as mm
from medimeta.errors import DamagedStoreError, StoreError
from medimeta.store import handles, opened
from medimeta.store.images import ImageBlock

REAL_PREADV = getattr(os, "preadv", None)


def without(monkeypatch, *names):
    for name in names:
        monkeypatch.delattr(os, name, raising=False)


def short_preadv(number, views, position):
    """Read 2,500 bytes at most, as a system may that was asked for more."""
    some, left = [], 2500
    for view in views:
        some.append(view[:left])
        left -= len(some[-1])
        if not left:
            break
    return REAL_PREADV(number, some, position)


@pytest.fixture(scope="module")
def folder(originals, tmp_path_factory):
    root = tmp_path_factory.mktemp("tiff")
    mm.build("pbc", originals, root, size=24, workers=1, allow_partial=True, tiff=True)
    return root / "pbc"


@pytest.fixture(scope="module")
def expected(folder):
    with h5py.File(folder / "images.hdf5") as file:
        return file["images"][:]


@pytest.fixture(scope="module")
def paths(folder, expected, tmp_path_factory):
    """Functions from indices to images, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "_MIN_BYTES_A_THREAD", 1)  # threads, however small the images are
        found = {f"{threads} threads": ImageBlock(folder / "images.hdf5", threads).read for threads in (1, 2, 3, 4)}
        block = ImageBlock(folder / "images.hdf5", 2)
        found["one by one"] = lambda indices: np.concatenate([block.read([]), *(block.read([i]) for i in indices)])
        found["threads of a call"] = lambda indices: block.read(indices, threads=5)

        other = tmp_path_factory.mktemp("others")
        forms = {
            "chunked": {"chunks": (1, 24, 24, 3)},
            "compressed": {"chunks": (7, 24, 9, 1), "compression": "gzip"},
            "behind a user block": {"userblock_size": 1024},
        }
        for name, form in forms.items():
            path = other / f"{name}.hdf5"
            with h5py.File(path, "w", userblock_size=form.pop("userblock_size", 0)) as file:
                file.create_dataset("images", data=expected, **form)
            found[name] = ImageBlock(path, 3).read
            assert ImageBlock(path).contiguous == (name == "behind a user block")

        tiffs = np.stack([np.asarray(Image.open(folder / f"images/{i:06d}.tiff")) for i in range(len(expected))])
        found["TIFF"] = lambda indices: tiffs[np.asarray(indices, np.int64)]

        systems = {"pread": ["preadv"], "seek": ["preadv", "pread"]}
        for name, missing in systems.items():
            with pytest.MonkeyPatch.context() as system:
                without(system, *missing)
                on_it = ImageBlock(folder / "images.hdf5", 3)
                on_it.read([0])  # opened as on that system
            found[name] = on_it.read
            assert type(on_it._opened[1]._handle).__name__ == f"{name.capitalize()}Handle"
        if REAL_PREADV:
            assert type(ImageBlock(folder / "images.hdf5")._open()._handle) is handles.PreadvHandle
        yield found


@given(indices=st.lists(st.integers(0, 79), max_size=40))
@settings(deadline=None)
def test_every_path_gives_the_same_bytes(paths, expected, indices):
    wanted = expected[np.asarray(indices, np.int64)]
    differing = [name for name, read in paths.items() if not np.array_equal(read(indices), wanted)]
    assert differing == []


@pytest.mark.skipif(not REAL_PREADV, reason="preadv is not there")
@given(indices=st.lists(st.integers(0, 79), min_size=1, max_size=40))
@settings(deadline=None, max_examples=30)
def test_a_system_that_reads_less_than_asked_for_gives_the_same_bytes(folder, expected, indices):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "preadv", short_preadv)
        patch.setattr(opened, "MAX_VIEWS", 3)
        assert np.array_equal(ImageBlock(folder / "images.hdf5", 1).read(indices), expected[indices])


def test_neighbours_are_read_with_one_call_whatever_their_order(folder, expected, monkeypatch):
    calls = []
    read = handles.PreadvHandle.read_into
    monkeypatch.setattr(handles.PreadvHandle, "read_into", lambda *args: calls.append(args[2]) or read(*args))
    block = ImageBlock(folder / "images.hdf5", 1)
    order = [5, 3, 4, 60, 61, 2, 9]
    assert np.array_equal(block.read(order), expected[order])
    assert [(position - block.offset) // (24 * 24 * 3) for position in calls] == [2, 9, 60]
    calls.clear()
    block.read(np.random.default_rng(0).permutation(80))
    assert len(calls) == 1


@pytest.mark.parametrize("missing", [[], ["preadv"], ["preadv", "pread"]])
def test_a_file_that_ends_too_early_is_told_on_every_system(folder, tmp_path, monkeypatch, missing):
    path = shutil.copyfile(folder / "images.hdf5", tmp_path / "images.hdf5")
    without(monkeypatch, *missing)
    block = ImageBlock(path, 2)
    monkeypatch.setattr(block, "check", lambda: None)  # as if it was cut this very moment
    os.truncate(path, block.offset + 10 * 24 * 24 * 3 + 5)
    assert block.read([9]).shape == (1, 24, 24, 3)
    with pytest.raises(DamagedStoreError, match=r"ends in the middle of sample 10 \(byte [\d,]+\)"):
        block.read([20, 8, 9, 10])


def test_what_the_system_cannot_read_is_told(folder, monkeypatch):
    def broken(*_):
        raise OSError(5, "Input/output error")

    block = ImageBlock(folder / "images.hdf5", 1)
    monkeypatch.setattr(handles.PreadvHandle, "read_into", broken)
    with pytest.raises(StoreError, match=r"images.hdf5: cannot be read at sample 7 \(Input/output error\)"):
        block.read([7])


def test_a_dataset_of_another_size_is_read_at_its_size(folder):
    data = mm.load("pbc/cell class", root=folder.parent)
    assert data[0][0].shape == (3, 24, 24)
    assert mm.load_arrays("pbc", root=folder.parent).images.shape == (80, 24, 24, 3)
