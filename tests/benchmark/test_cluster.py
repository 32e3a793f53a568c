"""Cells on a real Dask cluster: the same records, and a clear end whatever part of the cluster dies."""

import pytest
from tests.benchmark.odd import DEADLY, FINE, REFUSED, Notes, plan_odd
from tests.dask_cluster import opened

from medimeta.benchmark import cluster as module
from medimeta.benchmark.run import Running, run_cells
from medimeta.errors import MedimetaError, UsageError


@pytest.fixture
def cluster(tmp_path):
    """A cluster of two workers."""
    with opened(tmp_path / "cluster", 2, {"OMP_NUM_THREADS": "1"}) as cluster:
        yield cluster


def test_cells_run_on_a_cluster_whose_workers_may_die(small_root, tmp_path, cluster, monkeypatch):
    """A worker that dies fails its cell alone; once all have died, the run ends, and what is finished is kept."""
    monkeypatch.setattr(module, "LOST_SECONDS", 1)
    plan, known = plan_odd(small_root, tmp_path / "notes", [FINE, REFUSED, DEADLY, DEADLY + 10])
    notes = Notes()
    running = Running(dask=cluster.address)
    outcomes = {
        each.cell.config.seed: each for each in run_cells(plan, tmp_path / "out", running, known=known, watcher=notes)
    }
    assert {seed for seed, each in outcomes.items() if each.record} == {FINE, DEADLY + 10}
    assert str(outcomes[REFUSED].error) == "[red] it diverged"
    assert str(outcomes[DEADLY].error) == "its Dask worker has died."
    assert outcomes[FINE].record.test["threads"] == 1  # a worker of the cluster has one
    assert (plan.cells[0].title, 1, 2) in notes.lines

    for process in cluster.processes[1:]:
        process.kill()
    more, known = plan_odd(small_root, tmp_path / "notes", [FINE, 20])
    with pytest.raises((MedimetaError, UsageError), match="lost its workers|has no workers yet"):
        list(run_cells(more, tmp_path / "out", running, known=known))
    assert [each.kept for each in run_cells(more, tmp_path / "out", known=known)] == [True, False]


@pytest.mark.parametrize("address", ["nonsense://here", "tcp://127.0.0.1:9"])
def test_an_address_where_no_scheduler_is_is_told_before_anything_runs(small_root, tmp_path, monkeypatch, address):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.3)
    plan, known = plan_odd(small_root, tmp_path / "notes", [FINE])
    with pytest.raises(UsageError, match="no Dask scheduler answers there"):
        list(run_cells(plan, tmp_path / "out", Running(dask=address), known=known))
    assert not (tmp_path / "notes").exists()
