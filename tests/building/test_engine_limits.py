"""What can come in the way of a build: another one, Ctrl-C, a full disk, a source that changes, a kill at its end."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import medimeta as mm
from medimeta.building import chunks
from medimeta.building.journal import Journal
from medimeta.cli.boundary import run
from medimeta.errors import (
    DatasetExistsError,
    RootNotWritableError,
    SourceChangedError,
    StoreError,
)
from medimeta.store.publish import locked
from medimeta.store.writer import DatasetWriter


@pytest.fixture(autouse=True)
def one_sample_a_chunk(monkeypatch):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 1)


@pytest.fixture
def unbroken(build, bus_tree, tmp_path, contents):
    """Return the bytes of an unbroken build."""

    def unbroken(source=bus_tree, **changes):
        build("bus", source, root=tmp_path / "unbroken", overwrite=True, **changes)
        return contents(tmp_path / "unbroken")

    return unbroken


# Another build, and Ctrl-C


def test_a_second_build_says_who_holds_the_lock(
    start, until, journal_lines, bus_tree, root, capsys, contents, unbroken
):
    first = start("bus", bus_tree, chunk=1, pause=0.1)
    until(lambda: journal_lines("bus"))
    command = ["build", "bus", "--source", str(bus_tree), "--root", str(root), "--allow-partial", "--size", "16"]
    assert run([*command, "--workers", "1"]) == 1
    message = capsys.readouterr().err
    assert (
        f"error: {root / 'bus'}: is being built or downloaded by process {first.main.pid}. Wait for it, or end it"
        in message
    )
    assert first.end()[0] == 0
    assert contents(root) == unbroken()


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_is_finished_and_says_so(
    start, until, journal_lines, finished, build, bus_tree, root, contents, unbroken, workers
):
    child = start("bus", bus_tree, chunk=1, pause=0.1, workers=workers)
    until(lambda: journal_lines("bus") >= 2)
    os.killpg(child.main.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    code, out, err = child.end()
    assert (code, out) == (130, "")
    assert "stopped by Ctrl-C. What is finished is kept; the same command goes on with it." in err
    assert "Traceback" not in err
    until(lambda: not child.alive(), 10)
    assert sorted(path.name for path in root.iterdir()) == [".bus.partial"]
    done = finished("bus")
    assert 2 <= len(done) < 12
    assert build("bus", bus_tree).resumed == len(done)
    assert contents(root) == unbroken()


# The disk


class Full:
    """A file on a disk that has room for so many bytes more, and takes the last of them in part."""

    def __init__(self, file, left):
        self._file, self._left = file, left

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        if not self._left:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self._file.write(bytes(data)[: self._left])
        self._left -= taken
        return taken


@pytest.mark.parametrize(
    ("owner", "file", "left", "done"),
    [
        (DatasetWriter, "_images", 256 * 5 + 100, 5),
        (DatasetWriter, "_images", 100, None),
        (Journal, "_file", 1000, None),
        (Journal, "_file", 100, None),
        (Journal, "_file", 0, None),
    ],
)
def test_a_disk_that_gets_full_in_mid_build_is_told_and_what_is_finished_is_gone_on_with(
    build, bus_tree, root, finished, contents, unbroken, monkeypatch, capsys, owner, file, left, done
):
    real = owner.__init__

    def init(self, *arguments, **options):
        real(self, *arguments, **options)
        setattr(self, file, Full(getattr(self, file), left))

    with monkeypatch.context() as patched:
        patched.setattr(owner, "__init__", init)
        with pytest.raises(StoreError, match="cannot be written .No space left on device") as caught:
            build("bus", bus_tree)
        name = {"_images": "images.hdf5", "_file": "journal.jsonl"}[file]
        assert f"{name}: cannot be written" in str(caught.value)
    assert not (root / "bus").exists()
    lines = (root / ".bus.partial" / "journal.jsonl").read_text().count("\n") - 1 if left > 100 else None
    assert (root / ".bus.partial").exists() == (lines is not None)
    assert done in (None, lines)
    report = build("bus", bus_tree)
    assert report.resumed == (lines or 0)
    assert contents(root) == unbroken()


def test_a_file_that_may_not_grow_in_mid_build_is_told_and_what_is_finished_is_gone_on_with(
    build, bus_tree, root, finished, contents, unbroken
):
    """The system's own refusal, which is an error like that of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(dataset, done, total):
        if done == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (256, before[1]))

    try:
        with pytest.raises(StoreError, match=f"{root}.*cannot be written .File too large"):
            build("bus", bus_tree, progress=limit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(finished("bus")) == 3
    assert not (root / "bus").exists()
    assert build("bus", bus_tree).resumed == 3
    assert contents(root) == unbroken()


def test_a_disk_without_room_for_the_workers_memory_is_told(build, bus_tree, root, monkeypatch):
    """Without the check, a worker would be ended by the system as it writes, and nobody would know why."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match=r"bus: cannot be written .No space left on device"):
        build("bus", bus_tree, workers=2)
    assert list(root.iterdir()) == []


@pytest.fixture
def free(monkeypatch):
    """Say how many bytes the disk has left."""

    def free(count):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(count, 0, count))

    return free


def test_a_disk_with_too_little_room_is_told_before_anything_is_written(refused, build, bus_tree, root, free):
    root.mkdir()
    need = 12 * (4096**2 + 1024) + 12 * (4096**2 + 4096)
    free(need - 1)
    refused(
        StoreError,
        "bus",
        bus_tree,
        f"{root}: has no room for bus: needs 402.7 MB, 402.7 MB are free. Free some, pass another --root",
        size=4096,
    )
    free(12 * (256 + 1024) + 12 * (256 + 4096))
    assert build("bus", bus_tree).samples == 12


def test_what_a_broken_build_has_written_need_not_fit_once_more(build, bus_tree, root, free, interrupt, picture):
    for image in bus_tree.glob("*/*).png"):
        image.write_bytes(picture(size=(256, 256)))
    with pytest.raises(KeyboardInterrupt):
        build("bus", bus_tree, size=256, progress=interrupt(8))
    written = (root / ".bus.partial" / "dataset" / "images.hdf5").stat().st_blocks * 512
    if not written:
        pytest.skip("this file system does not say what it has written")
    need = 12 * (65_536 + 1024) + 12 * (65_536 + 4096)
    free(need - written - 1)
    with pytest.raises(StoreError, match="has no room for bus"):
        build("bus", bus_tree, size=256)
    free(need - written)
    assert build("bus", bus_tree, size=256).resumed == 8


def test_a_root_that_turns_read_only_in_mid_build_is_told(build, bus_tree, root, finished, monkeypatch):
    real = Path.write_bytes

    def write_bytes(path, data):
        if path.name == "000004.tiff":
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", write_bytes)
        with pytest.raises(StoreError, match=r"masks/000004\.tiff: cannot be written .Read-only file system"):
            build("bus", bus_tree)
    done = finished("bus")
    assert 4 not in done
    assert build("bus", bus_tree).resumed == len(done) > 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_without_the_right_to_write_is_told(refused, bus_tree, root):
    root.mkdir(mode=0o500)
    refused(RootNotWritableError, "bus", bus_tree, f"{root}: cannot be written (Permission denied)")


# The original


def with_other_image(tree, picture):
    (tree / "normal" / "normal (4).png").write_bytes(picture(seed=77))


@pytest.mark.parametrize("when", ["planned", "early", "late"])
@pytest.mark.parametrize("change", ["replaced", "rewritten", "cut", "removed"])
def test_a_zip_that_changes_while_it_is_read_is_refused(
    build, bus_tree, zip_of, picture, root, contents, unbroken, tmp_path, change, when
):
    path = Path(zip_of(bus_tree))
    build("bus", bus_tree)
    old = contents(root)
    with_other_image(bus_tree, picture)
    other = Path(shutil.make_archive(str(tmp_path / "other"), "zip", bus_tree.parent, bus_tree.name))
    at = {"planned": 0, "early": 2, "late": 12}[when]

    def progress(dataset, done, total):
        if done == at and not (tmp_path / "aside.zip").exists():
            if change == "replaced":
                path.rename(tmp_path / "aside.zip")
                shutil.copy(other, path)
            else:
                shutil.copy(path, tmp_path / "aside.zip")
            if change == "rewritten":
                path.write_bytes(other.read_bytes())
            elif change == "cut":
                os.truncate(path, 5000)
            elif change == "removed":
                path.unlink()

    with pytest.raises(SourceChangedError) as caught:
        build("bus", path, overwrite=True, progress=progress)
    assert f"{path}: Dataset_BUSI_with_GT/: changed while it was read, so nothing was published." in str(caught.value)
    assert "Wait until it is complete, then build again" in str(caught.value)
    assert contents(root) == old
    (tmp_path / "aside.zip").replace(path)  # the same file again where it was moved: what is of the other may not count
    assert build("bus", path, overwrite=True).resumed == 0
    assert contents(root) == old


@pytest.mark.parametrize("change", ["touched", "other", "removed", "mask"])
def test_a_file_of_a_folder_that_changes_while_it_is_read_is_refused(
    build, bus_tree, picture, root, contents, unbroken, capsys, change
):
    image = bus_tree / "benign" / ("benign (2)_mask.png" if change == "mask" else "benign (2).png")

    def progress(dataset, done, total):
        if done != 7:
            return
        if change == "removed":
            image.unlink()
        elif change == "touched":
            os.utime(image, (1, 1))
        else:
            image.write_bytes(picture(seed=99))

    with pytest.raises(SourceChangedError, match="Dataset_BUSI_with_GT: changed while it was read"):
        build("bus", bus_tree, progress=progress)
    assert list(root.iterdir()) == []
    if change != "removed":
        assert build("bus", bus_tree).resumed == 0
        assert contents(root) == unbroken()


def test_files_that_are_not_read_may_change(build, bus_tree):
    (bus_tree / "read me.txt").write_text("1")

    def progress(dataset, done, total):
        (bus_tree / "read me.txt").write_text(str(done) * 99)
        (bus_tree / "benign" / "new.txt").write_text("new")

    assert build("bus", bus_tree, progress=progress).samples == 12


# A kill while a build ends

KILLED = """
import os, signal, sys
from pathlib import Path
from medimeta.building import engine
from medimeta.store import publish
from medimeta.cli.boundary import run
owner, name, left = {"rename": Path, "remove": publish}[sys.argv[1]], sys.argv[1], int(sys.argv[2])
real = getattr(owner, name)
def call(*arguments):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(*arguments)
setattr(owner, name, call)
sys.exit(run(sys.argv[3:]))
"""


@pytest.mark.parametrize(
    ("call", "number", "place"),
    [("rename", 0, "bus"), ("rename", 1, ".bus.old"), ("remove", 0, "bus"), ("remove", 1, "bus")],
    ids=[
        "before the old steps aside",
        "before the new comes",
        "before the work is removed",
        "before the old is removed",
    ],
)
def test_a_kill_while_a_dataset_is_replaced_never_loses_it(
    build, bus_tree, picture, root, contents, unbroken, call, number, place
):
    build("bus", bus_tree)
    old = contents(root / "bus")
    with_other_image(bus_tree, picture)
    new = {name.relative_to("bus"): data for name, data in unbroken().items() if name != Path("bus")}
    command = ["build", "bus", "--source", bus_tree, "--root", root, "--size", "16", "--workers", "1", "--overwrite"]
    done = subprocess.run(
        [sys.executable, "-B", "-c", KILLED, call, str(number), *map(str, command), "--allow-partial"],
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert contents(root / place) == (old if call == "rename" else new)
    if call == "rename":
        with pytest.raises(DatasetExistsError):
            build("bus", bus_tree)
        assert contents(root / "bus") == old
        assert not (root / ".bus.old").exists()
    else:  # nothing else will be built of it: what the kill left is tidied all the same
        assert len(list(root.iterdir())) > 1
        with pytest.raises(DatasetExistsError):
            build("bus", bus_tree)
        assert [path.name for path in root.iterdir()] == ["bus"]
    report = build("bus", bus_tree, overwrite=True)
    assert report.resumed == (12 if call == "rename" else 0)
    assert contents(root / "bus") == new
    assert [path.name for path in root.iterdir()] == ["bus"]
    assert mm.verify("bus", root=root, deep=True).ok


@pytest.mark.parametrize(("call", "number"), [("rename", 0), ("remove", 0)])
def test_a_kill_while_a_dataset_comes_leaves_nothing_behind_for_the_next_build(
    build, bus_tree, root, contents, unbroken, call, number
):
    command = ["build", "bus", "--source", bus_tree, "--root", root, "--size", "16", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-B", "-c", KILLED, call, str(number), *map(str, command), "--allow-partial"],
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (root / "bus").exists() == (call == "remove")
    assert {".bus.partial", ".bus.lock"} < {path.name for path in root.iterdir()} | {"bus"}
    if call == "rename":
        assert build("bus", bus_tree).resumed == 12
    else:
        with pytest.raises(DatasetExistsError):
            build("bus", bus_tree)
    assert contents(root) == unbroken()


def test_what_a_kill_left_is_not_touched_while_another_process_builds(build, bus_tree, root):
    build("bus", bus_tree)
    with locked(root, "bus"):
        (root / ".bus.partial").mkdir()
        with pytest.raises(DatasetExistsError):
            build("bus", bus_tree)
    assert (root / ".bus.partial").exists()


def test_an_unfinished_build_that_is_to_replace_a_dataset_is_kept(build, bus_tree, root, interrupt, monkeypatch):
    build("bus", bus_tree, size=24)
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 1)
    with pytest.raises(KeyboardInterrupt):
        build("bus", bus_tree, overwrite=True, progress=interrupt(7))
    with pytest.raises(DatasetExistsError):
        build("bus", bus_tree)
    assert build("bus", bus_tree, overwrite=True).resumed == 7
