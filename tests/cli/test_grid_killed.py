"""A benchmark that is broken off in the middle keeps what is finished, and ends with the table of an unbroken one."""

import os
import signal
import subprocess
import sys

import pytest

from medimeta.cli.boundary import run

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = ["--backbone", "test_resnet.r160_in1k", "--no-pretrained", "--max-epochs", "4"]


def on_one_processor():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the same number of threads is needed everywhere")
def test_a_killed_benchmark_goes_on_to_the_same_table(small_root, tmp_path, capsys):
    """Cells of it run side by side, so that their number does not decide about the figures either."""
    grid = ["benchmark", "--tasks", "bus,bus/malignancy", "--root", str(small_root), *TINY]
    grid += ["--methods", "supervised,protonet", "--shots", "2", "--set", "few_shot.queries=2", "--seeds", "0,1"]
    broken = [*grid, "--out", str(tmp_path / "broken")]
    command = [sys.executable, "-m", "medimeta", *broken, "--jobs", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=on_one_processor) as process:
        told = ""
        while "/8] " not in told:  # until the first cell has ended
            line = process.stderr.readline()
            assert line, told
            told += line
        process.kill()
        process.communicate(timeout=60)  # ends when the cells' processes have ended, too: they have its other end
    finished = len(list((tmp_path / "broken").glob("*/*.npz")))
    assert 0 < finished < 8

    assert run([*broken, "--dry-run"]) == 0
    assert f"8 cells: {finished} finished, " in capsys.readouterr().out
    assert run(broken) == 0
    assert capsys.readouterr().err.count("kept from before") == finished
    assert run([*grid, "--out", str(tmp_path / "whole")]) == 0
    for name in ("table.csv", "table.md", "table.tex"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list((tmp_path / "broken").glob("*/*.partial"))


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, 130, "stopped by Ctrl-C"), (signal.SIGTERM, 143, "ended by SIGTERM")],
)
def test_a_signal_ends_all_cells_at_once(small_root, tmp_path, number, code, words):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "medimeta", "benchmark", "--tasks", "bus,pbc", "--root", str(small_root)]
    command += [
        "--out",
        str(out),
        *TINY[:3],
        "--max-epochs",
        "100000",
        "--set",
        "training.patience=100000",
        "--jobs",
        "2",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        process.stderr.readline()  # comes when the first epoch of a cell is done
        process.send_signal(number)
        told = process.communicate(timeout=60)[1]  # ends when the cells' processes have ended, too
    assert process.returncode == code
    assert words in told
    assert "Traceback" not in told
    assert not list(out.glob("*/*.json"))
