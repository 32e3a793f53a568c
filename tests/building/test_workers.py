"""Worker processes: progress, errors and death, without a hang."""

import contextlib
import os
from concurrent.futures.process import BrokenProcessPool

import pytest

import medimeta as mm
from medimeta.building import engine
from medimeta.building.executors import make_executor, run_jobs
from medimeta.cli.boundary import run
from medimeta.errors import DamagedSourceError, MedimetaError
from medimeta.sources.folder import FolderArchive


class Deadly(FolderArchive):
    """An archive that ends the process it is sent to, as the system does when memory is short."""

    def __reduce__(self):
        return os._exit, (9,)


def test_a_worker_that_dies_is_told_and_nothing_is_left(bus_tree, root, monkeypatch, capsys):
    monkeypatch.setattr(engine, "find_original", lambda *_: Deadly(bus_tree))
    arguments = ["build", "bus", "--source", str(bus_tree), "--root", str(root), "--allow-partial", "--workers", "2"]
    assert run(arguments) == 1
    message = capsys.readouterr().err
    assert "error: a worker process ended unexpectedly (killed, or out of memory), so nothing was published." in message
    assert "fewer workers" in message
    assert "Traceback" not in message
    assert list(root.iterdir()) == []


def test_a_worker_that_dies_while_jobs_are_handed_out_is_told():
    with make_executor(2) as executor:

        def jobs():
            yield 9
            with contextlib.suppress(BrokenProcessPool):
                while True:  # until the death is noticed
                    executor.submit(os.getpid).result()
            yield 9

        with pytest.raises(MedimetaError, match="a worker process ended unexpectedly"):
            list(run_jobs(executor, os._exit, jobs(), under_way=4))


def test_problems_of_all_workers_come_at_once_and_progress_reaches_the_end(bus_tree, root, monkeypatch):
    monkeypatch.setattr(engine, "CHUNK", 1)
    bad = ["benign (1).png", "malignant (3).png", "normal (4).png"]
    for name in bad:
        (bus_tree / name.split()[0] / name).write_text("no image")
    told = []
    with pytest.raises(DamagedSourceError, match="3 of 12 samples") as caught:
        mm.build(
            "bus",
            bus_tree,
            root,
            workers=2,
            size=16,
            allow_partial=True,
            progress=lambda *step: told.append(step),
        )
    assert all(name in str(caught.value) for name in bad)
    assert told == [("bus", done, 12) for done in range(13)]
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("under_way", [1, 3, 100])
def test_every_job_is_done_and_few_results_wait(under_way):
    taken, done = [], []
    with make_executor(1) as executor:
        for result in run_jobs(executor, abs, iter(taken.append(n) or -n for n in range(10)), under_way=under_way):
            done.append(result)
            assert len(taken) - len(done) <= 2 * under_way
    assert sorted(done) == list(range(10))
