"""``medimeta pretrain`` pre-trains what is named or allowed, and says what was wrong."""

import json

import pytest

from medimeta.cli.boundary import run

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = ["--backbone", "test_resnet.r160_in1k", "--no-pretrained", "--max-epochs", "1", "--precision", "32-true"]


def test_flags_come_before_the_file_and_the_file_before_the_protocol(small_root, tmp_path, capsys):
    file = tmp_path / "settings.yaml"
    file.write_text("batch_size: 8\nseed: 3\naugmentation: {rotation: 3, crop: 0}\n")
    places = ["--root", str(small_root), "--out", str(tmp_path / "out"), "--config", str(file)]
    more = ["--seed", "4", "--task-weight", "bus/malignancy=2", "--rotation", "5", "--json"]
    assert run(["pretrain", "bus", *places, *TINY, *more]) == 0
    found = json.loads(capsys.readouterr().out)
    config = found["config"]
    assert (config["batch_size"], config["seed"], config["patience"]) == (8, 4, 10)
    assert config["task_weights"] == {"bus/malignancy": 2.0}
    assert (config["augmentation"]["rotation"], config["augmentation"]["crop"]) == (5, 0)
    assert found["file"].endswith("backbone.safetensors")


def test_what_a_file_has_wrong_is_told_at_once(small_root, tmp_path, capsys):
    file = tmp_path / "settings.yaml"
    file.write_text("shotts: 3\norder: 1e-3\nshots: [5, 1]\ntask_weights: {bus/malignancy: 0}\nsteps_per_epoch: null\n")
    assert run(["pretrain", "bus", "--root", str(small_root), "--config", str(file)]) == 2
    told = capsys.readouterr().err
    assert f"{file}: 4 problems:" in told
    assert "shotts: there is no such setting. Did you mean 'shots'?" in told
    assert "task_weights must be above 0 and at most 1,000,000,000, got 0 for bus/malignancy" in told


def test_a_target_says_what_is_missing(small_root, tmp_path, capsys):
    places = ["--root", str(small_root), "--out", str(tmp_path)]
    assert run(["pretrain", "--target", "bus", *places, *TINY]) == 0
    out, told = capsys.readouterr()
    assert "Pre-training on tasks: 1, of datasets: pbc" in told
    assert "not built, and so not used: aml" in told
    assert "pass them with --weights" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name tasks or datasets, or what it is for with --target"),
        (["bus", "--shots", "many"], "expected a number, or bounds such as 1-10"),
        (["bus", "--task-weight", "bus"], "expected 'dataset/task=2'"),
        (["bus", "--order", "3", "--queries", "0"], "- order must be one of 1, 2, got 3"),
        (["--target", "bus", "bus", "pbc"], "would leak"),
    ],
)
def test_wrong_use_is_told(small_root, capsys, arguments, said):
    assert run(["pretrain", *arguments, "--root", str(small_root), "--no-pretrained"]) == 2
    told = capsys.readouterr()
    assert said in " ".join((told.out + told.err).replace("│", " ").split())
