"""Small archives and trees."""

import zipfile

import pytest


@pytest.fixture
def zipped(tmp_path):
    """Write a zip of members that are given as name to bytes, and return its path."""

    def write(members: dict[str, bytes], name: str = "download.zip"):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in members.items():
                archive.writestr(zipfile.ZipInfo(member), data)
        return path

    return write


@pytest.fixture
def extracted(tmp_path):
    """Write a tree of files that are given as name to bytes, and return its folder."""

    def write(members: dict[str, bytes], name: str = "tree"):
        folder = tmp_path / name
        for member, data in members.items():
            (folder / member).parent.mkdir(parents=True, exist_ok=True)
            (folder / member).write_bytes(data)
        return folder

    return write
