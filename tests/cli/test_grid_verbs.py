"""``train``, ``benchmark`` and ``demo``: what they print, what they keep, how they leave."""

import csv
import json
import shutil
import signal
import subprocess
import sys

import pytest

from medimeta.cli.boundary import run

pytestmark = pytest.mark.usefixtures("one_thread")

STOPS = [(signal.SIGINT, 130, "stopped by Ctrl-C"), (signal.SIGTERM, 143, "ended by SIGTERM")]
TINY = ["--backbone", "test_resnet.r160_in1k", "--no-pretrained", "--max-epochs", "1"]


def test_a_model_that_is_gone_is_told_and_made_again(small_root, tmp_path, command):
    arguments = ["benchmark", "--datasets", "bus", "--root", small_root, "--out", tmp_path, *TINY]
    assert command(*arguments).code == 0
    [model] = tmp_path.rglob("*.model")
    shutil.rmtree(model)
    listed = command(*arguments, "--dry-run").out
    assert f"{model.name}: is missing. The same benchmark command makes it again" in listed
    assert "1 finished" in command(*arguments, "--dry-run", "--no-models").out
    assert "run again" not in command(*arguments, "--no-models").err
    done = command(*arguments)
    assert (done.code, model.is_dir()) == (0, True)
    assert f"run again: bus/case category, test_resnet.r160_in1k, scratch, seed 0: {model.name}: is missing" in done.err


def test_a_benchmark_prints_the_table_and_keeps_what_is_finished(small_root, tmp_path, capsys):
    command = ["benchmark", "--datasets", "bus,pbc", "--root", str(small_root), "--out", str(tmp_path), *TINY]
    assert run(command) == 0
    printed = capsys.readouterr()
    assert all(part in printed.out for part in ("bus/case category", "pbc/cell class", "Test AUROC", "table.md"))
    assert "[2/2] pbc/cell class" in printed.err
    assert "kept from before" not in printed.err
    assert run(command) == 0
    assert capsys.readouterr().err.count("kept from before") == 2
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [row["task"] for row in rows] == ["bus/case category", "pbc/cell class"]
    assert "| task | backbone |" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_train_reports_as_json(small_root, tmp_path, capsys):
    command = ["train", "bus/malignancy", "--root", str(small_root), "--out", str(tmp_path), "--seeds", "3,4", "--json"]
    assert run([*command, *TINY]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [(record["task"], record["seed"]) for record in records] == [("bus/malignancy", 3), ("bus/malignancy", 4)]
    assert all((tmp_path / "bus__malignancy" / record["predictions"]).is_file() for record in records)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "bus/malignant finding"], 2, "unknown task of bus"),
        (["train", "oct"], 1, "medimeta build oct --source"),
        (["train", "bus", "--backbone", "resnet81"], 2, "Did you mean 'resnet18'"),
        (["train", "bus", "--seeds", "one"], 2, "expected whole numbers"),
        (["train", "bus", "--devices", "none", *TINY], 2, "expected a whole number from 1 to 1,024, or auto"),
        (["train", "bus", "--weights", "nowhere.pt"], 1, "there is no such file"),
        (["benchmark", "--datasets", "bis"], 2, "Did you mean 'bus'"),
        (["benchmark", "--tasks", "bus/malignancy,pbc/cell"], 2, "unknown task of pbc"),
    ],
)
def test_wrong_use_is_told_before_anything_is_trained(small_root, tmp_path, capsys, arguments, code, message):
    assert run([*arguments, "--root", str(small_root), "--out", str(tmp_path / "out")]) == code
    printed = capsys.readouterr()
    assert message in printed.err.replace("\n", " ")
    assert "Traceback" not in printed.err
    assert not list(tmp_path.rglob("*.json"))


def test_a_dry_run_lists_cells_and_what_is_missing(small_root, tmp_path, capsys):
    command = ["benchmark", "--preset", "paper", "--root", str(small_root), "--out", str(tmp_path / "out"), "--dry-run"]
    assert run(command) == 1
    printed = capsys.readouterr().out
    assert "to do  pbc/cell class, resnet50, imagenet, seed 2" in printed
    assert "12 cells: 12 to do" in printed
    assert "oct, " in printed
    assert "medimeta build ID --source" in printed
    assert run([*command, "--datasets", "built", "--seeds", "5", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [cell["cell"] for cell in listed["cells"]][-1] == "pbc/cell class, resnet50, imagenet, seed 5"
    assert (len(listed["cells"]), listed["missing"], listed["problems"]) == (4, [], [])
    assert not (tmp_path / "out").exists()


def test_flags_come_before_the_file(small_root, tmp_path, capsys):
    (tmp_path / "grid.yaml").write_text("tasks: [pbc]\nseeds: [0, 1]\ntraining: {patience: 3}\nweights: none\n")
    command = ["benchmark", str(tmp_path / "grid.yaml"), "--root", str(small_root), "--out", str(tmp_path / "out")]
    command += [*TINY, "--tasks", "bus/malignancy", "--seeds", "7", "--set", "training.batch_size=5", "--json"]
    assert run(command) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["task"], record["seed"]) == ("bus/malignancy", 7)
    settings = record["config"]
    assert (settings["patience"], settings["batch_size"], settings["max_epochs"]) == (3, 5, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "papers"], "Did you mean 'paper'"),
        (["nowhere.yaml"], "nowhere.yaml: there is no such file of a grid"),
        (["grid.yaml", "--preset", "paper"], "name one grid"),
        (["--set", "patience=3"], "expected SECTION.FIELD=VALUE"),
        (["--set", "train.patience=3"], "expected SECTION.FIELD=VALUE"),
        (["--set", "training.patients=3"], "Did you mean 'patience'"),
        (["--methods", "fine-tune"], "Did you mean 'finetune'"),
        (["--shots", "many"], "expected whole numbers"),
        (["--dask", "tcp://here:1", "--jobs", "2"], "pass one of them, got jobs=2 and dask='tcp://here:1'"),
        (["--dask", "nonsense://here"], "no Dask scheduler answers there"),
    ],
)
def test_wrong_use_of_a_grid_is_told(small_root, tmp_path, capsys, arguments, message):
    out = tmp_path / "out"
    assert run(["benchmark", "--tasks", "bus", "--root", str(small_root), "--out", str(out), *TINY, *arguments]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not list(tmp_path.rglob("*.json"))


def test_a_benchmark_of_an_empty_root_says_so(tmp_path, capsys):
    assert run(["benchmark", "--root", str(tmp_path)]) == 1
    assert "there is no dataset here" in capsys.readouterr().err


def test_the_demo_goes_the_whole_way_with_originals_that_are_given(originals, tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("Dataset_BUSI.zip", "PBC_dataset_normal_DIB.zip"):
        (source / name).symlink_to(originals / name)
    assert run(["demo", "--source", str(source), "--out", str(tmp_path), "--max-epochs", "1", *TINY[:2]]) == 0
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("Real originals of bus, pbc", "every file hashed", "Test AUROC"))
    assert "synthetic" not in printed


def test_the_demo_says_what_it_looked_for(tmp_path, capsys):
    assert run(["demo", "--source", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "Expected the archive Dataset_BUSI.zip" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["a file/below", "a file"])
def test_an_output_folder_that_cannot_be_is_told_before_anything_is_trained(small_root, tmp_path, capsys, out):
    (tmp_path / "a file").write_text("")
    assert run(["train", "bus", "--root", str(small_root), "--out", str(tmp_path / out), *TINY]) == 1
    assert "Pass another folder as --out" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code", "words"), STOPS)
def test_a_training_that_is_stopped_is_no_success(small_root, tmp_path, number, code, words):
    """Lightning turns Ctrl-C into an exit of its own, and SIGTERM, too."""
    command = [
        sys.executable,
        "-m",
        "medimeta",
        "train",
        "pbc",
        "--root",
        str(small_root),
        "--out",
        str(tmp_path / "out"),
    ]
    command += [*TINY[:3], "--max-epochs", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        first = process.stderr.readline()  # comes when the first epoch is done
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert "epoch 1" in first
    assert process.returncode == code
    assert words in told
    assert "Traceback" not in told
    assert not list((tmp_path / "out").rglob("*.json"))
