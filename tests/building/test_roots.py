"""Where a dataset is published: only whole ones are seen, an old one is never lost, and two builds do not meet."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import medimeta as mm
from medimeta.cli.boundary import run
from medimeta.errors import (
    DamagedSourceError,
    DatasetExistsError,
    DatasetLockedError,
    RootNotWritableError,
    StoreError,
)
from medimeta.store.publish import locked, partial_folder, publish, workplace

HOLDER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
os.pwrite(fd, str(os.getpid()).encode(), 0)
print("held", flush=True)
sys.stdin.read()
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def built(build, bus_tree, root):
    """The folder of a built dataset; then the original changes, so that a new build differs."""
    build("bus", bus_tree)
    image = bus_tree / "benign" / "benign (1).png"
    Image.new("RGB", (40, 30), "white").save(image)
    return root / "bus"


def spoil(bus_tree):
    (bus_tree / "normal" / "normal (4).png").write_text("no image")


@pytest.mark.parametrize("below", ["", "/root", "/a/b"])
def test_a_root_that_is_a_file_or_below_one_is_told(refused, bus_tree, tmp_path, below):
    (tmp_path / "file").write_text("mine")
    place = Path(f"{tmp_path / 'file'}{below}")
    refused(RootNotWritableError, "bus", bus_tree, f"{place}: cannot be made", "Pass another --root", root=place)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_root_that_may_not_be_made_is_told(refused, bus_tree, root, monkeypatch):
    real = Path.mkdir

    def mkdir(path, *arguments, **options):
        if path == root:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        real(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    refused(RootNotWritableError, "bus", bus_tree, f"{root}: cannot be made (Permission denied)")


@pytest.mark.parametrize(
    ("code", "reason"), [(errno.EACCES, "Permission denied"), (errno.EROFS, "Read-only file system")]
)
def test_a_root_that_may_not_be_written_is_told(refused, bus_tree, root, monkeypatch, code, reason):
    real = Path.open

    def open_(path, *arguments, **options):
        if path.is_relative_to(root):
            raise OSError(code, reason, str(path))
        return real(path, *arguments, **options)

    root.mkdir()
    monkeypatch.setattr(Path, "open", open_)
    refused(RootNotWritableError, "bus", bus_tree, f"{root}: cannot be written ({reason})", "Pass another --root")


@pytest.mark.parametrize(
    ("call", "done"),
    [
        ("os.fsync", 12),
        ("numpy.save", 12),
        ("pathlib.Path.write_text", 12),
        ("pathlib.Path.write_bytes", None),
        ("PIL.Image.Image.save", None),
        ("pathlib.Path.mkdir", None),
        ("h5py.File.create_dataset", None),
    ],
)
def test_a_full_disk_is_told_and_what_is_finished_is_kept(refused, build, bus_tree, root, monkeypatch, call, done):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    root.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(call, full)
        refused(StoreError, "bus", bus_tree, "No space left on device", str(root), done=done)
    assert build("bus", bus_tree).resumed == (done or 0)
    assert names(root) == ["bus"]


def test_images_that_do_not_fit_are_told_and_nothing_half_made_is_left(bus_tree, root):
    command = 'ulimit -f 20; exec "$@"'  # no file of more than 20 blocks
    build = ["-B", "-m", "medimeta", "build", "bus", "--source", str(bus_tree), "--root", str(root), "--workers", "1"]
    done = subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, *build, "--allow-partial"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert "cannot be written" in done.stderr
    assert "File too large" in done.stderr
    assert names(root) == []


def test_a_dataset_that_is_there_is_not_touched(refused, bus_tree, built):
    refused(DatasetExistsError, "bus", bus_tree, f"{built}: is already there", "--overwrite (overwrite=True)", code=2)


def test_a_good_build_replaces_the_old_dataset_when_asked(build, bus_tree, built, root):
    old = mm.load_arrays("bus", root=root).images[0].copy()
    report = build("bus", bus_tree, overwrite=True)
    assert names(root) == ["bus"]
    new = mm.load_arrays("bus", root=root).images[0]
    assert new.max() == 255
    assert (new != old).any()
    assert mm.verify("bus", root=root, deep=True).ok
    assert report.folder == built


def test_a_failing_build_leaves_the_old_dataset_whole(refused, bus_tree, built, root):
    spoil(bus_tree)
    refused(
        DamagedSourceError,
        "bus",
        bus_tree,
        "normal (4).png",
        overwrite=True,
        flags=("--overwrite", "--allow-partial"),
        done=11,
    )
    assert names(root) == [".bus.partial", "bus"]
    assert mm.verify("bus", root=root, deep=True).ok


def test_a_build_that_is_stopped_before_anything_is_finished_leaves_nothing_and_says_how_it_goes_on(
    build, bus_tree, built, root, contents, capsys, monkeypatch
):
    before = contents(root)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build("bus", bus_tree, overwrite=True, progress=stop)
    assert contents(root) == before
    monkeypatch.setattr("medimeta.building.engine.make_plans", stop)
    command = ["build", "bus", "--source", str(bus_tree), "--root", str(root), "--overwrite", "--workers", "1"]
    assert run(command) == 130
    assert "stopped by Ctrl-C" in capsys.readouterr().err
    assert contents(root) == before


@pytest.mark.parametrize("place", ["masks", "dataset/masks"])
def test_what_a_killed_build_left_is_cleaned(build, bus_tree, root, place):
    (root / ".bus.partial" / place).mkdir(parents=True)
    (root / ".bus.partial" / place / "000099.tiff").write_bytes(b"half")
    (root / ".bus.partial" / "slabs-0").write_bytes(b"half")
    (root / ".bus.lock").write_text("99999")
    build("bus", bus_tree)
    assert names(root) == ["bus"]
    assert not (root / "bus" / "masks" / "000099.tiff").exists()


def test_a_dataset_that_stepped_aside_when_a_build_was_killed_comes_back(refused, bus_tree, built, root):
    built.rename(root / ".bus.old")
    (root / ".bus.partial").mkdir()
    with pytest.raises(DatasetExistsError):
        mm.build("bus", bus_tree, root, workers=1, size=16, allow_partial=True)
    assert "bus" in names(root)
    assert ".bus.old" not in names(root)
    assert mm.verify("bus", root=root, deep=True).ok


def test_a_dataset_that_was_replaced_before_a_build_was_killed_goes(build, bus_tree, built, root):
    (root / ".bus.old").mkdir()
    (root / ".bus.old" / "info.yaml").write_text("id: bus")
    build("bus", bus_tree, overwrite=True)
    assert names(root) == ["bus"]


def test_a_dataset_that_is_a_link_is_replaced_and_what_it_leads_to_is_kept(build, bus_tree, built, root, tmp_path):
    """People put large datasets on another disk and link to them."""
    built.rename(tmp_path / "elsewhere")
    built.symlink_to(tmp_path / "elsewhere")
    build("bus", bus_tree, overwrite=True)
    build("bus", bus_tree, overwrite=True)
    assert names(root) == ["bus"]
    assert (tmp_path / "elsewhere" / "info.yaml").exists()


def test_a_change_that_is_cut_short_brings_the_old_dataset_back(root):
    (root / "bus").mkdir(parents=True)
    (root / "bus" / "old").touch()
    with pytest.raises(StoreError, match="bus: cannot be written"), locked(root, "bus"), workplace(root, "bus"):
        publish(root, "bus")  # there is nothing to publish, so the last rename fails
    assert names(root) == [".bus.partial", "bus"]
    assert names(root / "bus") == ["old"]


def test_a_second_build_is_refused_while_another_process_builds(refused, build, bus_tree, root):
    root.mkdir()
    command = [sys.executable, "-c", HOLDER, str(root / ".bus.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        refused(
            DatasetLockedError,
            "bus",
            bus_tree,
            f"bus: is being built or downloaded by process {holder.pid}",
            "Wait for it",
        )
        assert names(root) == [".bus.lock"]
        holder.kill()
    build("bus", bus_tree)  # a lock ends with its process, however that ends
    assert names(root) == ["bus"]


def test_datasets_of_other_names_may_be_built_at_the_same_time(root):
    with locked(root, "bus"), locked(root, "pbc"):
        with pytest.raises(DatasetLockedError, match=f"process {os.getpid()}"), locked(root, "bus"):
            pass
        assert names(root) == [".bus.lock", ".pbc.lock"]
        for dataset in ("bus", "pbc"):
            with workplace(root, dataset) as folder:
                assert folder == partial_folder(root, dataset)
                (folder / "dataset").mkdir()
            publish(root, dataset)
        assert names(root) == [".bus.lock", ".pbc.lock", "bus", "pbc"]
    assert names(root) == ["bus", "pbc"]


def test_a_file_or_link_where_a_dataset_is_to_be_made_is_replaced(build, bus_tree, root, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "journal.jsonl").write_text("mine")
    root.mkdir()
    (root / ".bus.partial").symlink_to(tmp_path / "mine")
    (root / ".pbc.partial").write_text("no folder")
    with workplace(root, "pbc") as folder:
        assert names(folder) == []
    build("bus", bus_tree)
    assert (tmp_path / "mine" / "journal.jsonl").read_text() == "mine"


def test_a_lock_whose_file_went_between_opening_and_locking_does_not_count(root, monkeypatch):
    """The former builder removes the file when it is done; whoever waits on that file locks nothing."""
    real = fcntl.flock

    def flock(fd, operation):
        monkeypatch.setattr(fcntl, "flock", real)
        (root / ".bus.lock").unlink()
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(DatasetLockedError, match="until just now"), locked(root, "bus"):
        pass


def test_datasets_that_are_there_are_named_before_any_is_built(originals, root):
    mm.build("bus", source=originals, root=root, size=16, workers=1, allow_partial=True)
    with pytest.raises(DatasetExistsError, match=r"root.bus: is already there.*name pbc alone to build them"):
        mm.build(["pbc", "bus"], source=originals, root=root, size=16, workers=1, allow_partial=True)
    assert not (root / "pbc").exists()
