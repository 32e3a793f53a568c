"""A file of a folder is brought as one of a server is: gone on with, checked, and without any library of HTTP."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.hub.transfers import DATA as SMALL
from tests.hub.transfers import Told, checksum

from medimeta.errors import ChecksumError, NotPublishedError, UnreachableError, UsageError
from medimeta.hub.remote import RemoteFile
from medimeta.hub.telling import Step, Stopped
from medimeta.hub.transfer import fetch

DATA = SMALL * 3  # several blocks


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A file in a folder whose name needs quoting in an address."""
    folder = tmp_path / "a shelf #1 100%"
    folder.mkdir()
    path = folder / "büs.zip"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root" / "bus.zip"


def listed(path: Path, data: bytes = DATA) -> RemoteFile:
    return RemoteFile("bus.zip", len(data), checksum(data), (path.as_uri(),))


def test_copies_and_tells(shelf: Path, target: Path) -> None:
    told = Told()
    assert fetch(None, listed(shelf), target, told) == shelf.as_uri()
    assert target.read_bytes() == DATA
    assert [told.steps[0], told.steps[-1]] == [
        Step("bus", "fetching", 0, len(DATA)),
        Step("bus", "fetching", len(DATA), len(DATA)),
    ]


def test_goes_on_where_it_was_stopped(shelf: Path, target: Path) -> None:
    told = Told()
    told.on_step = lambda step: told.stop.set() if step.done else None
    with pytest.raises(Stopped):
        fetch(None, listed(shelf), target, told)
    (partial,) = target.parent.iterdir()
    came = partial.stat().st_size
    assert 0 < came < len(DATA)
    told = Told()
    fetch(None, listed(shelf), target, told)
    assert target.read_bytes() == DATA
    assert told.steps[:2] == [Step("bus", "checking", came, len(DATA)), Step("bus", "fetching", came, len(DATA))]


@pytest.mark.parametrize(
    ("content", "says"), [(bytes(len(DATA)), "expected md5:"), (DATA[1:], "expected 900,003 bytes, got 900,002")]
)
def test_wrong_content(shelf: Path, target: Path, content: bytes, says: str) -> None:
    shelf.write_bytes(content)
    with pytest.raises(ChecksumError, match=says):
        fetch(None, listed(shelf), target, Told())
    assert list(target.parent.iterdir()) == []


def test_what_is_not_there(tmp_path: Path, target: Path) -> None:
    with pytest.raises(NotPublishedError, match="absent.zip: is not there"):
        fetch(None, listed(tmp_path / "absent.zip"), target, Told())


def test_what_is_no_file(tmp_path: Path, target: Path) -> None:
    with pytest.raises(UnreachableError, match="is no file"):
        fetch(None, listed(tmp_path), target, Told())


def test_a_file_of_another_machine(target: Path) -> None:
    file = RemoteFile("bus.zip", 1, None, ("file://server/share/bus.zip",))
    with pytest.raises(UnreachableError, match="of the machine server"):
        fetch(None, file, target, Told())


def test_http_needs_a_client(target: Path) -> None:
    with pytest.raises(UsageError, match="a client is needed"):
        fetch(None, RemoteFile("bus.zip", 1, None, ("http://127.0.0.1/bus.zip",)), target, Told())


def test_a_folder_needs_no_library_of_http(shelf: Path, target: Path) -> None:
    """Where the extra `download` is not installed, archives that were fetched by hand can still be used."""
    script = f"""
import sys
sys.modules.update(requests=None, tenacity=None, urllib3=None)
from pathlib import Path
from medimeta.hub.remote import RemoteFile
from medimeta.hub.telling import Teller
from medimeta.hub.transfer import fetch
fetch(None, RemoteFile("bus.zip", {len(DATA)}, None, ({shelf.as_uri()!r},)), Path({str(target)!r}), Teller("bus"))
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert target.read_bytes() == DATA
