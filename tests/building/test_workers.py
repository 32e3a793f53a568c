"""Worker processes: progress, errors and death, without a hang."""

import contextlib
import multiprocessing
import os
import signal
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import pytest

import medimeta as mm
from medimeta.building import chunks, sources
from medimeta.building.executors import open_workers, run_jobs
from medimeta.cli.boundary import run
from medimeta.errors import DamagedSourceError, MedimetaError
from medimeta.sources.folder import FolderArchive


class Deadly(FolderArchive):
    """An archive that ends the process it is sent to, as the system does when memory is short."""

    def __reduce__(self):
        return os._exit, (9,)


def test_a_worker_that_dies_is_told_and_nothing_is_left(bus_tree, root, monkeypatch, capsys):
    monkeypatch.setattr(sources, "find_original", lambda *_, **__: Deadly(bus_tree))
    arguments = ["build", "bus", "--source", str(bus_tree), "--root", str(root), "--allow-partial", "--workers", "2"]
    assert run(arguments) == 1
    message = capsys.readouterr().err
    assert "error: a worker process ended unexpectedly (killed, or out of memory), so nothing was published." in message
    assert "fewer workers" in message
    assert "Traceback" not in message
    assert list(root.iterdir()) == []


def test_a_worker_that_dies_while_jobs_are_handed_out_is_told():
    with open_workers(2) as workers:

        def jobs():
            yield 9
            with contextlib.suppress(BrokenProcessPool):
                while True:  # until the death is noticed
                    workers.executor.submit(os.getpid).result()
            yield 9

        with pytest.raises(MedimetaError, match="a worker process ended unexpectedly"):
            list(run_jobs(workers, os._exit, jobs()))


def test_what_was_finished_before_a_worker_was_killed_is_gone_on_with(
    build, bus_tree, root, contents, tmp_path, monkeypatch
):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 1)
    build("bus", bus_tree, root=tmp_path / "unbroken")

    def kill(dataset, done, total):
        if done == 2:
            workers = multiprocessing.active_children()
            os.kill(workers[0].pid, signal.SIGKILL)
            for worker in workers:  # the pool ends the others once it has noticed
                worker.join(60)

    with pytest.raises(MedimetaError, match="a worker process ended unexpectedly .* What is finished is kept"):
        build("bus", bus_tree, workers=2, progress=kill)
    assert not (root / "bus").exists()
    report = build("bus", bus_tree, workers=2)
    assert 2 <= report.resumed < 12
    assert contents(root) == contents(tmp_path / "unbroken")


def test_problems_of_all_workers_come_at_once_and_progress_tells_what_is_finished(
    bus_tree, root, finished, monkeypatch
):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 1)
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
    assert told == [("bus", done, 12) for done in range(10)]
    assert finished("bus") == [1, 2, 3, 4, 5, 7, 8, 9, 10]
    assert [path.name for path in root.iterdir()] == [".bus.partial"]


def test_progress_reaches_the_end_and_begins_with_what_an_earlier_build_had_finished(build, bus_tree, monkeypatch):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 1)
    told = []

    def progress(*step):
        told.append(step)
        if step == ("bus", 5, 12) and len(told) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build("bus", bus_tree, progress=progress)
    report = build("bus", bus_tree, progress=progress)
    assert told == [("bus", done, 12) for done in [*range(6), *range(5, 13)]]
    assert report.resumed == report.as_dict()["resumed"] == 5
    assert "went on with an unfinished build, which had 5 images" in report.text()
    assert report.images_per_second == pytest.approx(7 / report.seconds)


@pytest.mark.parametrize("count", [1, 3, 100])
def test_every_job_is_done_and_few_are_under_way(count):
    taken, done = [], []
    with open_workers(1) as here:
        workers = replace(here, count=count)
        for result in run_jobs(workers, abs, iter(taken.append(n) or -n for n in range(10))):
            done.append(result)
            assert len(taken) - len(done) < workers.under_way
    assert sorted(done) == list(range(10))
