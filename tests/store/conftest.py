"""A small dataset of every kind of task, written with our writer, and copies in the forms that others write."""

import shutil

import h5py
import numpy as np
import pytest

import medimeta as mm


@pytest.fixture
def bus(built_root, tmp_path):
    """A copy of the built bus dataset, to be damaged."""
    return shutil.copytree(built_root / "bus", tmp_path / "root" / "bus")


@pytest.fixture
def of_others(built_root, tmp_path):
    """The pbc dataset as others would write it: chunked and compressed, no manifest, no LICENSE."""
    folder = shutil.copytree(built_root / "pbc", tmp_path / "others" / "pbc")
    images = mm.load_arrays("pbc", root=built_root).images
    with h5py.File(folder / "images.hdf5", "w") as file:
        file.create_dataset("images", data=np.asarray(images), chunks=(1, 224, 224, 3), compression="gzip")
    (folder / "manifest.json").unlink()
    (folder / "LICENSE").unlink()
    return folder
