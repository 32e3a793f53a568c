"""Several archives side by side are one tree, each under its own name."""

import pytest

from medimeta.errors import SourceError, SourceNotFoundError
from medimeta.sources.find import open_archive
from medimeta.sources.mounted import MountedArchive


@pytest.fixture
def mounted(zipped, extracted, tmp_path):
    tables = open_archive(zipped({"top/labels.csv": b"a,b"})).within("top/")
    images = open_archive(extracted({"x/1.png": b"one", "x/y/2.png": b"two"})).within("x/")
    return MountedArchive(tmp_path, {"tables": tables, "images": images})


def test_every_archive_lies_under_its_own_name(mounted):
    assert mounted.members == ("images/1.png", "images/y/2.png", "tables/labels.csv")
    assert mounted.folders() == ("images", "tables")
    assert (mounted.folders("images"), mounted.files("images")) == (("y",), ("1.png",))
    assert [mounted.read(name) for name in mounted.members] == [b"one", b"two", b"a,b"]
    assert [mounted.size(name) for name in mounted.members] == [3, 3, 3]
    assert mounted.within("images/y/").members == ("2.png",)
    assert mounted.within("images/y/").read("2.png") == b"two"
    assert mounted.by_tail(1)["2.png"] == "images/y/2.png"


@pytest.mark.parametrize("name", ["images", "images/nosuch.png", "masks/1.png", "1.png", ""])
def test_what_is_in_none_of_them_is_told(mounted, name):
    assert name not in mounted
    with pytest.raises(SourceError):
        mounted.read(name)


def test_what_is_under_no_name_is_told_by_every_way_of_asking(mounted):
    for ask in (mounted.read, mounted.size, mounted.digest, lambda name: mounted.state([name])):
        with pytest.raises(SourceNotFoundError, match=r"has no 'masks/1\.png'"):
            ask("masks/1.png")


def test_its_state_is_that_of_the_files_that_are_members(mounted, zipped):
    before = mounted.state(mounted.members)
    assert mounted.within("images/").state(["1.png"]) == mounted.state(["images/1.png"])
    folder = mounted.mounts["images"].path
    (folder / "x" / "other.png").write_bytes(b"of no matter")
    assert mounted.state(mounted.members) == before
    (folder / "x" / "1.png").write_bytes(b"changed")
    changed = mounted.state(mounted.members)
    zipped({"top/labels.csv": b"a,b,c"})
    assert len({before, changed, mounted.state(mounted.members)}) == 3
