"""Datasets that a test of loading may change."""

import shutil

import pytest


@pytest.fixture
def own_bus(built_root, tmp_path):
    """A root with a copy of the bus dataset."""
    shutil.copytree(built_root / "bus", tmp_path / "bus")
    return tmp_path
