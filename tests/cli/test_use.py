"""How the command is used, rightly and wrongly: exit codes, help, and where output goes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medimeta._version import __version__

VERBS = ("list", "show", "build", "verify", "stats", "train", "benchmark", "demo")


def test_without_arguments_the_verbs_are_shown(command):
    done = command()
    assert done.code == 2
    assert all(f"\n  {verb} " in done.out + done.err for verb in VERBS)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_shows_the_verbs(command, option):
    done = command(option)
    assert done.code == 0
    assert all(f"\n  {verb} " in done.out for verb in VERBS)


def test_the_version_is_shown(command):
    assert command("--version") == (0, f"medimeta {__version__}\n", "")


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_has_an_example(command, verb):
    done = command(verb, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Example: medimeta {verb}" in done.out
    assert f"Usage: medimeta {verb}" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "No such command 'lst'"),
        (["--nosuch"], "No such option: --nosuch"),
        (["list", "--domian", "OCT"], "No such option: --domian"),
        (["list", "--min-samples", "few"], "Invalid value for '--min-samples'"),
        (["list", "--max-samples", "-1"], "--max-samples"),
        (["list", "extra"], "unexpected extra argument"),
        (["list", "--domain"], "requires an argument"),
        (["show"], "Missing argument 'ID'"),
        (["show", "bus", "pbc"], "unexpected extra argument"),
        (["build"], "Missing argument 'ID...'"),
        (["build", "bus"], "Missing option '--source'"),
        (["build", "bus", "--source", ".", "--workers", "0"], "--workers"),
        (["build", "bus", "--source", ".", "--size", "big"], "Invalid value for '--size'"),
        (["build", "bus", "--source", ".", "--size", "5"], "error: size must be 8 to 4096 pixels, got 5."),
        (["build", "bus", "--source", ".", "--workers", "2000"], "error: workers must be 1 to 1024, got 2000."),
        (["build", "bsu", "--source", "."], "error: unknown dataset 'bsu'. Did you mean 'bus'"),
        (["train"], "Missing argument 'TASK'"),
        (["train", "bus", "--max-epochs", "0"], "max_epochs must be from 1 to 1,000,000, got 0"),
        (["benchmark", "bus"], "error: bus: there is no such file of a grid. Datasets are named by --datasets bus."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_says_what_is_wrong_and_leaves_with_2(command, arguments, message):
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "nosuch"], 2, "error: unknown dataset 'nosuch'"),
        (["train", "bus/nosuch"], 2, "error: unknown task of bus 'nosuch'"),
        (["train", "bus"], 1, "{root}/bus: is not there (under {root} there is no dataset). Build it with"),
        (
            ["train", "bus", "--seeds", "0,one"],
            2,
            "Invalid value for --seeds: expected whole numbers, such as 0,1,2; got 'one'",
        ),
        (["train", "bus", "--seeds", ","], 2, "Invalid value for --seeds: names nothing"),
        (
            ["benchmark", "--shots", "1,y,z"],
            2,
            "Invalid value for --shots: expected whole numbers, such as 0,1,2; got 'y'",
        ),
        (["benchmark"], 1, "error: {root}: there is no dataset here. Pass --root, or build one first."),
        (["benchmark", "--datasets", "bus,pbc"], 1, "{root}: bus, pbc are not there"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_learning_from_what_is_not_there_is_told(command, tmp_path, arguments, code, message):
    done = command(*arguments, "--root", tmp_path, "--out", tmp_path / "runs")
    assert (done.code, done.out) == (code, "")
    assert message.format(root=tmp_path) in " ".join(done.err.split())
    assert not (tmp_path / "runs").exists()


def test_a_demo_without_originals_says_what_was_looked_for(command, tmp_path):
    done = command("demo", "--source", tmp_path, "--out", tmp_path / "out")
    assert done.code == 1
    assert "the BUSI dataset is not here" in done.err
    assert "the PBC dataset is not here" in done.err
    assert not (tmp_path / "out").exists()


def test_the_package_runs_as_a_module(process):
    done = process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"medimeta {__version__}\n", "")
    assert process("show", "nosuch").returncode == 2


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["show", "bus"], ["--help"]], ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_problem(process, arguments):
    """As in ``medimeta list | head -1``; here the reader is gone before the first line."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = process(*arguments, stdout=pipe)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["show", "bus"]], ids=" ".join)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_cannot_be_written_is_told(process, arguments):
    with Path("/dev/full").open("wb") as full:
        done = process(*arguments, stdout=full)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_are_told_without_a_standard_output(tmp_path):
    line = '"$0" -m medimeta show nosuch >&-'
    done = subprocess.run(["sh", "-c", line, sys.executable], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown dataset 'nosuch'")


def test_names_outside_ascii_are_shown_as_well_as_the_terminal_can(process):
    done = process("show", "pbc", "--bibtex", env={"PYTHONIOENCODING": "latin-1"}, encoding="latin-1")
    assert done.returncode == 0
    assert "Alférez, Santiago" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["show", "pbc", "--bibtex"], ["show", "pbc", "--json"], ["show", "pbc"], ["list"]]
)
def test_a_terminal_that_knows_ascii_alone_is_no_problem(process, arguments):
    done = process(*arguments, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_says_that_nothing_is_lost(command, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("medimeta.catalogue.catalogue.Catalogue.datasets", stop)
    done = command("list")
    assert done.code == 130
    assert "stopped by Ctrl-C" in done.err


def test_numbers_out_of_bounds_are_told_with_their_bounds(command, tmp_path):
    grid = tmp_path / "grid.yaml"
    grid.write_text(f"datasets: bus\nseeds: [0, {10**23}]\nshots: .nan\n")
    done = command("benchmark", grid, "--root", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert f"seeds: must be from 0 to 9,223,372,036,854,775,807, got {10**23}" in done.err
    assert "shots: must be a whole number, got nan" in done.err
    for flags in (["--seeds", 10**23], ["--jobs", 10**23], ["--devices", 10**23], ["--retries", 10**23]):
        done = command("benchmark", "--datasets", "bus", "--root", tmp_path, *flags)
        assert (done.code, done.out) == (2, "")
        assert flags[0].strip("-") in done.err
    done = command("benchmark", "--set", f"training.patience={'9' * 5000}", "--root", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "--set" in done.err
