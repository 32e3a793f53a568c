"""A build on a real Dask cluster of this machine: the same bytes, and a clear end whatever part of the cluster dies."""

import contextlib
import os
import time

import pytest
from tests.dask_cluster import opened

import medimeta as mm
from medimeta.building import chunks, engine, executors
from medimeta.building.journal import has_finished
from medimeta.building.render import render_chunk
from medimeta.cli.boundary import run
from medimeta.errors import SourceError, UsageError

ORGANS = ["organs_axial", "organs_coronal", "organs_sagittal"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of two workers, for tests that leave it whole."""
    with opened(tmp_path_factory.mktemp("dask") / "cluster", 2, {}) as cluster:
        yield cluster


@pytest.fixture
def cluster_to_break(tmp_path):
    """Start a cluster that is this test's alone."""
    with contextlib.ExitStack() as stack:
        yield lambda workers, **environment: stack.enter_context(opened(tmp_path / "cluster", workers, environment))


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 2)


@pytest.fixture
def deadly_work(root, small_chunks, monkeypatch):
    """Let workers die over one chunk, once another is finished."""
    journal = root / ".bus.partial" / "journal.jsonl"

    def render(chunk):  # a closure, so that it travels by value
        if any(index == 10 for _, index in chunk.places):
            while not has_finished(journal):
                time.sleep(0.01)
            os._exit(9)
        return render_chunk(chunk)

    monkeypatch.setattr(engine, "render_chunk", render)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("datasets", [["cxr"], ORGANS, ["bus"]], ids=["streamed", "units", "masks"])
def test_a_cluster_builds_the_same_bytes_as_one_process(cluster, datasets, originals, built_root, root):
    reports = mm.build(datasets, originals, root, allow_partial=True, dask=cluster.address)
    assert [report.dataset for report in reports] == datasets
    for dataset in datasets:
        assert files(root / dataset) == files(built_root / dataset)
    assert not list(root.glob(".*.partial"))


def test_the_command_builds_on_a_cluster(cluster, originals, built_root, root, capsys):
    source = originals / "Dataset_BUSI.zip"
    command = ["build", "bus", "--source", str(source), "--root", str(root), "--allow-partial"]
    assert run([*command, "--dask", cluster.address]) == 0
    assert "bus: 30 images" in capsys.readouterr().out
    assert files(root / "bus") == files(built_root / "bus")


def test_problems_that_workers_meet_come_back_as_one_message(cluster, bus_tree, root, small_chunks):
    bad = ["benign (1).png", "malignant (3).png", "normal (4).png"]
    for name in bad:
        (bus_tree / name.split()[0] / name).write_text("no image")
    with pytest.raises(SourceError, match="3 of 12 samples") as caught:
        mm.build("bus", bus_tree, root, size=16, allow_partial=True, dask=cluster.address)
    assert all(name in str(caught.value) for name in bad)


def test_large_images_of_a_stream_travel_with_their_jobs_without_a_warning(cluster):
    length = 11 * 1024**2
    with executors.open_workers(1, cluster.address) as workers:
        assert list(executors.run_jobs(workers, len, iter([bytes(length)]))) == [length]


def test_an_address_where_no_scheduler_is_is_told(refused_with_dask, monkeypatch):
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 0.3)
    refused_with_dask("tcp://127.0.0.1:9", "no Dask scheduler answers there", "Check the address")


@pytest.mark.parametrize("address", ["nonsense://here", "tcp://127.0.0.1:port", ""])
def test_an_address_that_is_none_is_told(refused_with_dask, monkeypatch, address):
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 0.3)
    refused_with_dask(address, f"--dask {address}", "Check the address")


def test_a_scheduler_without_workers_is_told(refused_with_dask, cluster_to_break):
    address = cluster_to_break(0).address
    refused_with_dask(address, "the scheduler has no workers yet", f"Start some: dask worker {address}")


@pytest.fixture
def refused_with_dask(bus_tree, root, capsys):
    """Check that a build is refused by function and by command before anything is made."""

    def check(address, *parts):
        with pytest.raises(UsageError) as caught:
            mm.build("bus", bus_tree, root, size=16, allow_partial=True, dask=address)
        assert [part for part in parts if part not in str(caught.value)] == []
        command = ["build", "bus", "--source", str(bus_tree), "--root", str(root), "--allow-partial"]
        assert run([*command, "--dask", address]) == 2
        output = capsys.readouterr()
        assert [part for part in parts if part not in output.err] == []
        assert "Traceback" not in output.err
        assert not root.exists()

    return check


@pytest.fixture
def broken_off(bus_tree, root, built_bus, capsys, monkeypatch):
    """Check that a build ends with a message, keeps what is finished, and goes on without the cluster."""

    def check(address, *parts):
        command = ["build", "bus", "--source", str(bus_tree), "--root", str(root), "--size", "16", "--allow-partial"]
        assert run([*command, "--dask", address]) == 1
        output = capsys.readouterr()
        expected = ("error: ", "nothing was published", "is kept", *parts)
        assert [part for part in expected if part not in output.err] == []
        assert "Traceback" not in output.err
        assert not (root / "bus").exists()
        assert (root / ".bus.partial" / "journal.jsonl").is_file()
        monkeypatch.setattr(engine, "render_chunk", render_chunk)
        [report] = mm.build("bus", bus_tree, root, workers=1, size=16, allow_partial=True)
        assert 0 < report.resumed < 12
        assert files(root / "bus") == built_bus

    return check


@pytest.fixture
def built_bus(bus_tree, tmp_path):
    mm.build("bus", bus_tree, tmp_path / "one", workers=1, size=16, allow_partial=True)
    return files(tmp_path / "one" / "bus")


def test_a_worker_that_dies_over_the_work_is_told(cluster_to_break, broken_off, deadly_work):
    address = cluster_to_break(2, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0").address
    broken_off(address, "workers of the Dask cluster died over the same work")


def test_a_cluster_that_loses_all_its_workers_is_told(cluster_to_break, broken_off, deadly_work, monkeypatch):
    monkeypatch.setattr(executors, "LOST_SECONDS", 0.5)
    broken_off(cluster_to_break(1).address, "the Dask cluster has lost its workers", "start the workers again")


def test_a_cluster_that_loses_its_scheduler_is_told(cluster_to_break, broken_off, small_chunks, monkeypatch):
    cluster = cluster_to_break(1)
    place = engine._Building._place

    def place_then_kill(building, *arguments):
        place(building, *arguments)
        cluster.scheduler.kill()

    monkeypatch.setattr(engine._Building, "_place", place_then_kill)
    broken_off(cluster.address, "the Dask cluster has lost its scheduler", "start the scheduler again")


def test_a_worker_that_dies_alone_does_not_matter(cluster_to_break, bus_tree, root, built_bus, small_chunks):
    cluster = cluster_to_break(2)
    told = []

    def progress(dataset, done, total):
        if not told:
            cluster.processes[1].kill()
        told.append(done)

    mm.build("bus", bus_tree, root, size=16, allow_partial=True, dask=cluster.address, progress=progress)
    assert told[-1] == 12
    assert files(root / "bus") == built_bus
