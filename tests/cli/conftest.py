"""Roots for the tests of the command line."""

import shutil

import pytest


@pytest.fixture
def damaged_root(built_root, tmp_path):
    """A root with a whole dataset and one that lacks a label file."""
    root = tmp_path / "root"
    for name in ("bus", "pbc"):
        shutil.copytree(built_root / name, root / name)
    (root / "bus" / "task_labels" / "malignancy.npy").unlink()
    return root
