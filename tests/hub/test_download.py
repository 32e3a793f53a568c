"""Downloads from end to end: a record on loopback, archives in the released layout, and what may be wrong with them."""

import json
import os
import shutil
import signal
import threading
import time
from functools import partial

import pytest
from tests.hub import faults
from tests.hub.releases import pack_zip
from tests.hub.server import RECORD

import medimeta as mm
from medimeta.catalogue import release
from medimeta.errors import (
    ChecksumError,
    DatasetLockedError,
    DownloadError,
    ListingError,
    NotPublishedError,
    ReleaseMismatchError,
    RootNotWritableError,
    StoreError,
    UnreachableError,
    UsageError,
)
from medimeta.hub import download as downloads
from medimeta.hub import places
from medimeta.hub.client import Client
from medimeta.store.publish import locked

BUS = f"{RECORD}/files/bus.zip/content"


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch):
    """No test may ask the real record: an address that nobody listens at stands for it."""
    monkeypatch.setattr(release.Release, "api", "http://127.0.0.1:9/api/records/7884735")
    monkeypatch.delenv("MEDIMETA_MIRROR", raising=False)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Wait for moments only before another try."""
    monkeypatch.setattr(downloads, "Client", partial(Client, wait=0.001, seed=0))


@pytest.fixture
def mirror(server, releases):
    """Serve the archives of the synthetic release as the record has them."""
    server.listing = server.record({path.name: path for path in sorted(releases.folder.iterdir())})
    return server


@pytest.fixture
def fetch(mirror, tmp_path):
    """Download from the mirror to a fresh root."""

    def call(*names, **options):
        options.setdefault("mirror", mirror.url())
        return mm.download(names, tmp_path / "root", **options)

    return call


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def left(root):
    return sorted(path.name for path in root.iterdir())


# All goes well


def test_a_download_is_what_was_published_and_loads_as_what_is_built(fetch, releases, mirror, root):
    [bus, dr] = fetch("BUS", "dr-regular")
    for report in (bus, dr):
        here = contents(root / report.dataset)
        manifest = json.loads(here.pop("manifest.json"))
        assert here == contents(releases.root / report.dataset)
        assert manifest["download"]["checksum"] == report.checksum
        assert mm.verify(report.dataset, root, deep=True).ok
    assert left(root) == ["bus", "dr_regular"]
    assert (bus.url, bus.bytes) == (mirror.url(BUS), len((releases.folder / "bus.zip").read_bytes()))
    assert any("780" in departure for departure in bus.departures)
    ours, theirs = (mm.load_arrays("bus/malignancy", folder, split="train") for folder in (root, releases.built))
    assert (ours.images == theirs.images).all()
    assert (ours.labels == theirs.labels).all()
    assert len(mm.load("dr_regular", root, split="test")) == len(mm.load("dr_regular", releases.built, split="test"))


def test_what_is_there_and_whole_is_not_fetched_again(fetch, mirror, root):
    fetch("bus")
    before, asked = contents(root / "bus"), len(mirror.requests)
    [report] = fetch("bus")
    assert not report.fetched
    assert (contents(root / "bus"), len(mirror.requests)) == (before, asked)
    [report] = fetch("bus", overwrite=True)
    assert report.fetched
    assert mirror.sent(BUS) == 2 * report.bytes


def test_a_damaged_dataset_is_told_and_replaced_on_request(fetch, root):
    fetch("bus")
    (root / "bus" / "splits" / "val.txt").write_text("")
    with pytest.raises(StoreError, match=r"medimeta download bus --overwrite --root"):
        fetch("bus")
    fetch("bus", overwrite=True)
    assert mm.verify("bus", root, deep=True).ok


def test_a_dataset_is_downloaded_when_it_is_loaded(mirror, root, monkeypatch, capsys):
    monkeypatch.setenv("MEDIMETA_MIRROR", mirror.url())
    assert len(mm.load("bus/malignancy", root, split="train", download=True)) > 0
    said = capsys.readouterr().err
    assert "bus: fetching" in said
    assert "cite: Al-Dhabyani et al." in said
    asked = len(mirror.requests)
    mm.load_arrays("bus", root, split="test", download=True)
    assert len(mirror.requests) == asked
    with pytest.raises(mm.MedimetaError, match="unknown dataset"):
        mm.load("buss", root, download=True)


def test_archives_are_kept_on_request_and_used_again(fetch, mirror, releases, root):
    [report] = fetch("bus", keep_archive=True)
    assert report.archive == root / "archives" / "bus.zip"
    assert report.archive.read_bytes() == (releases.folder / "bus.zip").read_bytes()
    sent = mirror.sent(BUS)
    fetch("bus", overwrite=True)
    assert mirror.sent(BUS) == sent


def test_a_task_names_its_dataset(fetch, root):
    [report] = fetch(tasks=["bus/malignancy", "bus/case category"])
    assert report.dataset == "bus"
    with pytest.raises(UsageError, match="a task is named with its dataset"):
        fetch(tasks="malignancy")
    with pytest.raises(UsageError, match="there is nothing to download"):
        fetch()


def test_archives_fetched_by_hand(releases, root, tmp_path):
    [report] = mm.download("bus", root, from_dir=releases.folder)
    assert report.checksum == ""
    assert "no checksum known" in report.text()
    assert mm.verify("bus", root, deep=True).ok
    folder = tmp_path / "hand"
    folder.mkdir()
    (folder / "bus.zip").write_bytes((releases.folder / "bus.zip").read_bytes() + b"\0")
    (folder / "listing.json").write_text(json.dumps(releases.record("https://host")))
    with pytest.raises(ChecksumError, match=r"bus\.zip"):
        mm.download("bus", root, from_dir=folder, overwrite=True)
    assert (folder / "bus.zip").read_bytes()[-1] == 0, "what was fetched by hand is left alone"
    assert mm.verify("bus", root, deep=True).ok


def test_a_folder_is_a_mirror(releases, root, tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "bus.zip").write_bytes((releases.folder / "bus.zip").read_bytes())
    listing = tmp_path / "saved.json"
    listing.write_text(json.dumps(releases.record("https://host")))
    with pytest.raises(UnreachableError, match="--listing FILE"):
        mm.download("bus", root, mirror=folder)
    [report] = mm.download("bus", root, mirror=folder, listing=listing)
    assert report.checksum.startswith("md5:")
    (folder / "listing.json").write_text(listing.read_text())
    assert mm.download("bus", root, mirror=folder.as_uri(), overwrite=True)[0].fetched


def test_a_mirror_with_other_paths_than_its_listing_says(mirror, releases, root):
    """A copy of the record's answer names the record's addresses: the mirror's own are asked, no others."""
    mirror.serve_json(RECORD, releases.record("http://127.0.0.1:9"))
    mirror.files["/bus.zip"] = releases.folder / "bus.zip"
    assert mm.download("bus", root, mirror=mirror.url())[0].url == mirror.url("/bus.zip")
    assert mm.download("pbc", root, mirror=mirror.url())[0].url == mirror.url(f"{RECORD}/files/pbc.zip/content")


def test_a_listing_beside_the_archives_of_a_mirror(server, releases, root):
    server.serve_json("/data/listing.json", {"files": releases.record("")["files"]})
    server.files["/data/bus.zip"] = releases.folder / "bus.zip"
    [report] = mm.download("bus", root, mirror=server.url("/data/"))
    assert report.url == server.url("/data/bus.zip")


@pytest.mark.parametrize(
    "answer",
    [faults.status(403), faults.instead(b"<html>the app</html>"), faults.status(404)],
    ids=["403", "page", "404"],
)
def test_a_mirror_that_answers_anything_elsewhere(server, releases, root, answer):
    """Object stores refuse what they do not have, and web applications have a page for every path."""
    server.serve_json("/listing.json", {"files": releases.record("")["files"]})
    server.files["/bus.zip"] = releases.folder / "bus.zip"
    server.files[RECORD] = b""
    server.always(RECORD, answer)
    assert mm.download("bus", root, mirror=server.url())[0].fetched
    server.files.pop("/listing.json")
    with pytest.raises(DownloadError):
        mm.download("pbc", root, mirror=server.url())


def test_a_newer_release_is_announced_and_not_taken(mirror, root):
    listing = mirror.listing
    listing["metadata"]["relations"] = {"version": [{"index": 0, "is_last": False}]}
    mirror.serve_json(RECORD, listing)
    outcome = downloads.run_downloads("bus", root, mirror=mirror.url())
    assert "there is a newer release of the data" in outcome.remarks[0]
    mirror.serve_json(RECORD, listing | {"id": 8000000})
    with pytest.raises(ListingError, match="lists record 8000000"):
        mm.download("pbc", root, mirror=mirror.url())


# Something goes wrong


def test_a_download_goes_on_where_it_was_cut(fetch, mirror, releases, root):
    size = (releases.folder / "bus.zip").stat().st_size
    mirror.script(BUS, faults.cut(size // 4), faults.reset(size // 4), faults.cut(size // 8))
    fetch("bus")
    assert [request.range for request in mirror.of(BUS)] == [
        None,
        f"bytes={size // 4}-",
        f"bytes={size // 2}-" if size % 4 == 0 else f"bytes={2 * (size // 4)}-",
        f"bytes={2 * (size // 4) + size // 8}-",
    ]
    assert mirror.sent(BUS) == size


def test_the_next_call_goes_on_where_the_last_one_ended(fetch, mirror, releases, root):
    size = (releases.folder / "bus.zip").stat().st_size
    mirror.script(BUS, faults.cut(size // 2))
    mirror.always(BUS, faults.status(503))
    with pytest.raises(UnreachableError, match="503") as error:
        fetch("bus")
    assert mirror.url(BUS) in str(error.value)
    assert left(root) == [".bus.download"]
    mirror.always(BUS, faults.WELL)
    fetch("bus")
    assert sum(request.sent for request in mirror.of(BUS) if request.status in (200, 206)) == size
    assert left(root) == ["bus"]


def test_one_dataset_that_fails_keeps_no_other_from_coming(fetch, mirror, root):
    mirror.always(BUS, faults.status(403))
    with pytest.raises(DownloadError, match=r"1 of 2 datasets could not be downloaded") as error:
        fetch("bus", "pbc")
    assert f"  - {mirror.url(BUS)}: the server refuses to give it (403 Forbidden)" in str(error.value)
    assert left(root) == ["pbc"]
    assert mm.verify("pbc", root, deep=True).ok


def test_a_file_that_is_another_is_told_and_nothing_of_it_is_kept(fetch, mirror, releases, root):
    good = (releases.folder / "bus.zip").read_bytes()
    mirror.files[BUS] = good[:-1] + bytes([good[-1] ^ 1])
    with pytest.raises(ChecksumError, match="md5") as error:
        fetch("bus")
    assert mirror.url(BUS) in str(error.value)
    assert len(mirror.of(BUS)) == 2, "it is tried once more"
    assert not (root / "bus").exists()
    mirror.files[BUS] = good
    fetch("bus")


def test_an_archive_that_is_no_dataset_is_told(fetch, mirror, releases, root, tmp_path):
    for name, change, kind, told in (
        ("other", lambda folder: None, ReleaseMismatchError, "bus"),
        ("cut", lambda folder: (folder / "splits" / "val.txt").unlink(), ReleaseMismatchError, "splits/val.txt"),
        ("empty", lambda folder: (folder / "info.yaml").unlink(), DownloadError, "info.yaml"),
    ):
        folder = shutil.copytree(releases.root / ("pbc" if name == "other" else "bus"), tmp_path / name)
        change(folder)
        archive = pack_zip(folder, tmp_path / f"{name}.zip", top="bus")
        mirror.record({"bus.zip": archive})
        with pytest.raises(kind, match=told):
            fetch("bus")
        assert not (root / "bus").exists(), name


def test_those_without_an_archive_are_told_and_the_others_come(fetch, root):
    with pytest.raises(DownloadError, match="2 of 3 datasets could not be downloaded") as error:
        fetch("oct", "cxr", "bus")
    for told in ("no archive of oct", "no archive of cxr"):
        assert told in str(error.value)
    assert str(error.value).count("bus.zip") == 1, "what there is is told once"
    assert left(root) == ["bus"]
    with pytest.raises(NotPublishedError, match="has no archive of oct"):
        fetch("oct")


def test_what_another_process_brought_meanwhile_is_not_fetched_again(fetch, mirror, releases, root, monkeypatch):
    """It came between the first look and the lock."""
    looked = downloads.match_file

    def match_file(*arguments):
        if not (root / "bus").exists():
            monkeypatch.setattr(downloads, "match_file", looked)
            mm.download("bus", root, from_dir=releases.folder)
        return looked(*arguments)

    monkeypatch.setattr(downloads, "match_file", match_file)
    [report] = fetch("bus")
    assert not report.fetched
    assert not mirror.of(BUS)


def test_no_password_is_told_or_kept(mirror, root, capsys):
    [report] = mm.download("bus", root, mirror=mirror.url().replace("//", "//me:secret@"))
    assert report.fetched
    said = capsys.readouterr().err + report.text() + json.dumps(report.as_dict())
    assert "secret" not in said + (root / "bus" / "manifest.json").read_text()


def test_what_departs_from_the_catalogue_is_refused_on_request(fetch, root):
    with pytest.raises(ReleaseMismatchError, match="holds 15 samples, the catalogue says 780") as error:
        fetch("bus", strict=True)
    assert "The archive is bus.zip, from http" in str(error.value)
    assert not (root / "bus").exists()


def test_a_file_in_the_place_of_a_dataset_is_not_removed(fetch, root):
    root.mkdir()
    (root / "bus").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(StoreError, match="is a file, where the folder of the dataset is to be"):
            fetch("bus", overwrite=overwrite)
    assert (root / "bus").read_text() == "mine"


def test_no_network_is_told_with_the_way_out(root):
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9") as error:
        mm.download("bus", root)
    assert "--listing FILE" in str(error.value)


def test_too_little_room_is_told_before_the_first_byte(fetch, mirror, monkeypatch):
    monkeypatch.setattr(downloads, "free_bytes", lambda root: 1000)
    with pytest.raises(StoreError, match=r"has no room for bus: .* are to be fetched"):
        fetch("bus")
    assert not mirror.of(BUS)


def test_two_downloads_of_one_dataset_do_not_meet(fetch, root):
    root.mkdir()
    with locked(root, "bus"), pytest.raises(DatasetLockedError, match="is being built or downloaded by process"):
        fetch("bus")


def test_a_root_that_cannot_be_written_is_told(mirror, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RootNotWritableError):
        mm.download("bus", tmp_path / "file" / "root", mirror=mirror.url())
    assert not mirror.requests


def test_ctrl_c_keeps_what_came(fetch, mirror, releases, root):
    size = (releases.folder / "bus.zip").stat().st_size
    mirror.always(BUS, faults.slow(size / 2))
    partial = root / ".bus.download"

    def press():
        while not (partial.is_dir() and any(path.stat().st_size for path in partial.iterdir())):
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
        fetch("bus")
    thread.join()
    assert left(root) == [".bus.download"]
    mirror.always(BUS, faults.WELL)
    fetch("bus")
    assert mirror.of(BUS)[1].range is not None
    assert left(root) == ["bus"]


def test_wrong_use_is_told(mirror, root, tmp_path):
    for options, told in (
        ({"jobs": 0}, "--jobs"),
        ({"jobs": 9}, "--jobs"),
        ({"timeout": 0}, "--timeout"),
        ({"mirror": "ftp://host"}, "an http or https address, or a folder"),
        ({"mirror": "http://"}, "no address of a mirror"),
        ({"mirror": "http://[::1"}, "no address of a mirror"),
        ({"mirror": "file://[::1"}, "no address of a folder"),
        ({"mirror": "http://host:99999"}, "no address of a mirror"),
        ({"mirror": tmp_path / "none"}, "there is no such folder"),
        ({"from_dir": tmp_path / "none"}, "there is no such folder"),
        ({"mirror": "http://host", "from_dir": tmp_path}, "pass one of them"),
    ):
        with pytest.raises(UsageError, match=told):
            mm.download("bus", root, **options)
    with pytest.raises(ListingError, match="cannot be read"):
        mm.download("bus", root, mirror=mirror.url(), listing=tmp_path / "none.json")


def test_addresses_never_leave_the_mirror():
    """A listing cannot send a download to a file of this machine, nor from the mirror to somewhere else."""
    entry = {"key": "bus.zip", "size": 1, "checksum": "md5:" + "0" * 32}
    for link in ("file:///etc/passwd", "https://elsewhere/bus.zip", "ftp://host/x", "//elsewhere/x"):
        listing = places.parse_listing(json.dumps({"files": [entry | {"links": {"self": link}}]}).encode(), "x.json")
        [file] = places._located(listing, "http://mirror/data").files
        assert all(url.startswith("http://mirror/data/") for url in file.urls)
        [file] = places._located(listing, None).files
        assert all(url.startswith("http") for url in file.urls)
