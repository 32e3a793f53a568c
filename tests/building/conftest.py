"""Tiny originals, and what every refused build has in common."""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medimeta as mm
from medimeta.building import engine
from medimeta.building.executors import Workers, _HereExecutor
from medimeta.cli.boundary import run
from medimeta.recipes.bus import CLASSES
from medimeta.recipes.pbc import FOLDERS


@pytest.fixture
def picture():
    """Return the bytes of an image file: noise that depends on the seed."""

    def draw(kind="PNG", size=(40, 30), mode="RGB", seed=0, **options):
        noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(noise).convert(mode).save(file, kind, **options)
        return file.getvalue()

    return draw


@pytest.fixture
def bus_tree(tmp_path, picture):
    """An extracted BUSI original: four images of each class, each with one mask."""
    top = tmp_path / "download" / "Dataset_BUSI_with_GT"
    for place, folder in enumerate(CLASSES):
        (top / folder).mkdir(parents=True)
        for number in range(1, 5):
            (top / folder / f"{folder} ({number}).png").write_bytes(picture(seed=10 * place + number))
            (top / folder / f"{folder} ({number})_mask.png").write_bytes(picture(mode="1", seed=number))
    return top


@pytest.fixture
def pbc_tree(tmp_path, picture):
    """An extracted PBC original: two images of each class."""
    top = tmp_path / "download" / "PBC_dataset_normal_DIB"
    for place, folder in enumerate(FOLDERS):
        (top / folder).mkdir(parents=True)
        for number in range(1, 3):
            (top / folder / f"{folder}_{number}.jpg").write_bytes(picture("JPEG", seed=10 * place + number))
    return top


@pytest.fixture
def zip_of(tmp_path):
    """Pack a tree as its download is packed, and return the archive."""
    return lambda tree: shutil.make_archive(str(tmp_path / "packed"), "zip", tree.parent, tree.name)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def build(root):
    """Build a dataset small and in this process, and return its report."""

    def build(dataset, source, **changes):
        arguments = {"root": root, "workers": 1, "size": 16, "allow_partial": True} | changes
        [report] = mm.build(dataset, source, **arguments)
        return report

    return build


@pytest.fixture
def contents():
    """Return the bytes of every file at or below a folder, hidden ones too, and None for every folder in it."""

    def read(folder):
        found = {path.relative_to(folder): path for path in folder.rglob("*")} if folder.is_dir() else {}
        return {name: path.read_bytes() if path.is_file() else None for name, path in found.items()}

    return read


@pytest.fixture
def finished(root):
    """Return the indices of the samples that the journal of an unfinished build calls finished; None without one."""

    def read(dataset):
        path = root / f".{dataset}.partial" / "journal.jsonl"
        if not path.exists():
            return None
        return sorted(
            sample["index"] for line in path.read_text().splitlines()[1:] for sample in json.loads(line)["samples"]
        )

    return read


@pytest.fixture
def refused(root, build, contents, finished, capsys):
    """Check that a build is refused by function and by command, with one message, and publishes and loses nothing.

    The root is as it was, but for what is finished of the dataset: `done` samples in a hidden folder, else no such
    folder. A `listed` message ends with the name of the file that lists all problems.
    """

    def check(error, dataset, source, *parts, code=1, flags=("--allow-partial",), done=None, listed=False, **changes):
        def seen():
            found = contents(root)
            unfinished = Path(f".{dataset}.partial")
            others = {name for name in found if name == unfinished or unfinished in name.parents}
            assert bool(others) == (done is not None)
            own = {Path(f"{dataset}.problems.txt")} if listed else set()
            assert own <= found.keys()
            return {name: data for name, data in found.items() if name not in others | own}

        before = contents(root)
        with pytest.raises(error) as caught:
            build(dataset, source, **changes)
        message = str(caught.value)
        assert [part for part in parts if part not in message] == [], message
        assert seen() == before
        assert len(finished(dataset) or ()) == (done or 0)
        place = str(changes.get("root", root))
        size = str(changes.get("size", 16))
        command = ["build", dataset, "--source", str(source), "--root", place, "--size", size, "--workers", "1", *flags]
        assert run(command) == caught.value.exit_code == code
        output = capsys.readouterr()
        assert f"error: {message}\n" in output.err
        assert "Traceback" not in output.err
        assert output.out == ""
        assert seen() == before
        assert len(finished(dataset) or ()) == (done or 0)
        return message

    return check


@pytest.fixture
def interrupt():
    """Return a progress callback that ends the build, as Ctrl-C does, once so many samples are finished."""

    def interrupt(at):
        def progress(dataset, done, total):
            if done >= at:
                raise KeyboardInterrupt

        return progress

    return interrupt


class Shuffled:
    """Workers in this process that hand results back in an order drawn by a seed, with slabs or by value."""

    def __init__(self, seed, slabs):
        self.random = random.Random(seed)
        self.slabs = slabs

    def run_jobs(self, workers, work, jobs):
        waiting = []
        for job in jobs:
            waiting.append(work(job))
            if len(waiting) == workers.under_way:
                yield waiting.pop(self.random.randrange(len(waiting)))
        while waiting:
            yield waiting.pop(self.random.randrange(len(waiting)))

    @contextlib.contextmanager
    def open_workers(self, count, dask=None):
        yield Workers(_HereExecutor(), self.random.randint(1, 4), share_memory=self.slabs)


@pytest.fixture
def shuffle(monkeypatch):
    """Let the engine get results in an order drawn by a seed, with slabs or by value; all in this process."""

    def shuffle(seed, *, slabs):
        workers = Shuffled(seed, slabs)
        monkeypatch.setattr(engine, "run_jobs", workers.run_jobs)
        monkeypatch.setattr(engine, "open_workers", workers.open_workers)

    return shuffle


CHILD = """
import sys, time
from medimeta.building import chunks, engine
from medimeta.cli.boundary import run
chunks.MOST_SAMPLES, real, pause = int(sys.argv[1]), engine.run_jobs, float(sys.argv[2])
def run_jobs(*arguments):
    for result in real(*arguments):
        time.sleep(pause)
        yield result
engine.run_jobs = run_jobs
sys.exit(run(sys.argv[3:]))
"""


class Child:
    """``medimeta build`` as a process of its own, in a process group of its own.

    All processes that it starts have a mark in their environment, by which they are found after its death.
    """

    def __init__(self, arguments, script):
        self.mark = f"MEDIMETA_TEST_MARK={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        self.main = subprocess.Popen(
            [sys.executable, "-B", "-c", *map(str, script), *map(str, arguments)],
            env={**os.environ, name: value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self):
        """Wait for its end, and return exit code, standard output and standard error."""
        out, err = self.main.communicate(timeout=120)
        return self.main.returncode, out, err

    def alive(self):
        """Return the processes of the build that live, its main one among them."""
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if self._is_ours(path)]

    def _is_ours(self, path):
        try:
            return self.mark.encode() in path.read_bytes().split(b"\0")
        except OSError:  # it has ended, or is another user's
            return False


@pytest.fixture
def start(root):
    """Start the command that builds a dataset, with so many samples in a chunk and a pause in seconds after each.

    Another script, with arguments of its own, may start it instead.
    """
    if not Path("/proc/self/environ").exists():
        pytest.skip("processes are looked up in /proc, which is not here")
    children = []

    def start(dataset, source, *flags, chunk=32, pause=0, place=root, workers=2, size=16, script=()):
        common = ["--source", source, "--root", place, "--workers", workers, "--size", size, "--allow-partial"]
        children.append(Child(["build", dataset, *common, *flags], script or (CHILD, chunk, pause)))
        return children[-1]

    yield start
    for child in children:
        for process in child.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        child.main.communicate()


@pytest.fixture
def journal_lines(root):
    """Return how many chunks an unfinished build has finished."""

    def count(dataset):
        try:
            return max(0, (root / f".{dataset}.partial" / "journal.jsonl").read_bytes().count(b"\n") - 1)
        except FileNotFoundError:
            return 0

    return count


@pytest.fixture
def until():
    """Wait until something is so."""

    def wait(condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it took too long"
            time.sleep(0.005)

    return wait
