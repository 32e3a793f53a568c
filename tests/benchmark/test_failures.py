"""A cell that fails, crashes or dies does not stop the others, and is tried again."""

import json
import os

import pytest
import torch
from tests.benchmark.odd import DEADLY, ENDLESS, FAULTY, FINE, REFUSED, Notes, plan_odd

import medimeta as mm
from medimeta._locks import lock
from medimeta._processors import usable_processors
from medimeta.benchmark.ledger import LOCK, Ledger
from medimeta.benchmark.run import Running, run_cells
from medimeta.benchmark.workers import gpu_shares
from medimeta.errors import ResultsLockedError, RootNotWritableError

pytestmark = pytest.mark.usefixtures("one_thread")


def test_cells_that_fail_leave_a_note_of_why_and_are_tried_again_next_time(small_root, tmp_path):
    plan, known = plan_odd(small_root, tmp_path / "notes", [FINE, REFUSED, FAULTY])
    out = tmp_path / "out"
    outcomes = list(run_cells(plan, out, Running(retries=1), known=known))
    assert [(each.place, str(each.error)) for each in outcomes] == [
        (FINE, "None"),
        (REFUSED, "[red] it diverged"),
        (FAULTY, "ZeroDivisionError: a fault of its own"),
    ]
    begun = (tmp_path / "notes").read_text().split()
    assert list(map(int, begun)) == [FINE, REFUSED, FAULTY, FAULTY]  # what crashed is tried again, once
    notes = [json.loads((out / f"{plan.cells[place].name}.failed.json").read_text()) for place in (REFUSED, FAULTY)]
    assert [note["attempts"] for note in notes] == [1, 2]
    assert notes[0]["traceback"] is None
    assert "in run" in notes[1]["traceback"]
    assert [each.kept for each in run_cells(plan, out, known=known)] == [True, False, False]


def test_a_cell_that_goes_well_at_last_leaves_no_note(small_root, tmp_path):
    plan, known = plan_odd(small_root, tmp_path / "notes", [FINE])
    note = tmp_path / f"{plan.cells[0].name}.failed.json"
    note.parent.mkdir(parents=True)
    note.write_text("{}")
    list(run_cells(plan, tmp_path, known=known))
    assert not note.exists()


def test_a_worker_that_dies_fails_its_cell_alone_and_is_tried_again(small_root, tmp_path):
    """Cells run side by side, each in a process that dies alone; they share the processors."""
    plan, known = plan_odd(small_root, tmp_path / "notes", [FINE, REFUSED, DEADLY])
    notes = Notes()
    outcomes = {
        each.cell.config.seed: each
        for each in run_cells(plan, tmp_path / "out", Running(jobs=2), known=known, watcher=notes)
    }
    assert {seed for seed, each in outcomes.items() if each.record} == {FINE}
    assert str(outcomes[REFUSED].error) == "[red] it diverged"
    assert str(outcomes[DEADLY].error) == "its process was ended by SIGKILL (out of memory?)."
    assert outcomes[FINE].record.test["threads"] == max(1, usable_processors() // 2)
    assert (plan.cells[0].title, 1, 2) in notes.lines
    again = {each.cell.config.seed: each for each in run_cells(plan, tmp_path / "out", known=known)}
    assert [again[seed].kept for seed in (FINE, REFUSED, DEADLY)] == [True, False, False]
    assert again[DEADLY].record


def test_what_is_left_early_leaves_no_process_behind(small_root, tmp_path):
    plan, known = plan_odd(small_root, tmp_path / "notes", [FINE, ENDLESS])
    run = run_cells(plan, tmp_path / "out", Running(jobs=2), known=known)
    assert next(run).cell.config.seed == FINE
    run.close()  # as Ctrl-C does it
    import multiprocessing

    assert not [child for child in multiprocessing.active_children() if "medimeta-cell" in child.name]


def test_a_result_that_cannot_be_written_stops_the_run(small_root, tmp_path, monkeypatch):
    plan, known = plan_odd(small_root, tmp_path / "notes", [FINE])

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medimeta.benchmark.ledger.write_record", full)
    with pytest.raises(RootNotWritableError, match="No space left on device.*Finished cells are kept"):
        list(run_cells(plan, tmp_path / "out", known=known))


def test_gpus_are_given_out_in_turn(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_shares(4, 1) == ["0", "1", "2", "0"]
    assert gpu_shares(2, 2) == ["0,1", "2,0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7,9")
    assert gpu_shares(2, 1) == ["5", "7"]


def test_two_runs_do_not_write_into_one_folder(small_root, tmp_path, monkeypatch):
    """One would remove checkpoints that the other goes on with; the ranks of one training share the folder."""
    grid = {"tasks": "bus", "backbones": "test_resnet.r160_in1k", "weights": "none", "training": {"max_epochs": 1}}
    with lock(tmp_path / LOCK):
        with pytest.raises(ResultsLockedError, match=rf"process {os.getpid()} runs cells .* --out"):
            mm.run_benchmark(grid, small_root, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        with Ledger(tmp_path).alone():
            pass
    monkeypatch.undo()
    [outcome] = mm.run_benchmark(grid, small_root, tmp_path)
    assert outcome.record is not None
    assert not (tmp_path / LOCK).exists()
