"""``stats``: the numbers of `channel_statistics` and of the labels, for people and for machines."""

import json
import re
import subprocess
import sys

import pytest

import medimeta as mm


def stats(command, *arguments):
    done = command("stats", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


@pytest.mark.parametrize("name", ["bus", "pbc", "cxr", "dr_regular"])  # all four kinds of task, grey and colour
def test_numbers_for_machines_are_those_of_python(command, built_root, name):
    found = stats(command, name, "--root", built_root)
    train = mm.load(name, root=built_root, split="train")
    expected = mm.channel_statistics(train)
    assert (found["dataset"], found["splits"]) == (name, ["train"])
    assert (tuple(found["mean"]), tuple(found["std"]), found["images"], found["pixels"]) == expected
    assert list(found["tasks"]) == [task.name for task in train.tasks]
    for task in train.tasks:
        counts = {label: count._asdict() for label, count in train.class_counts(task).items()}
        assert found["tasks"][task.name] == {"target": task.target.value, "classes": counts}


def test_a_task_is_counted_alone(command, built_root):
    found = stats(command, "BUS/Malignancy", "--root", built_root)
    assert list(found["tasks"]) == ["malignancy"]
    assert found["mean"] == stats(command, "bus", "--root", built_root)["mean"]


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (["val"], ["val"]),
        (["train,val"], ["train", "val"]),
        (["train", "--split", "test"], ["train", "test"]),
        (["test,test"], ["test"]),
    ],
)
def test_splits_are_chosen(command, built_root, splits, expected):
    found = stats(command, "pbc", "--root", built_root, "--split", *splits)
    assert found["splits"] == expected
    assert found["images"] == len(mm.load("pbc", root=built_root, split=expected))


def test_people_see_the_same_numbers(command, built_root):
    done = command("stats", "pbc", "--root", built_root)
    found = stats(command, "pbc", "--root", built_root)
    assert (done.code, done.err) == (0, "")
    assert f"pbc, train: {found['images']} images, colour" in done.out
    for row in ("mean", "std"):
        [line] = [line for line in done.out.splitlines() if row in line]
        assert re.findall(r"\d\.\d{6}", line) == [f"{value:.6f}" for value in found[row]]
    assert "cell class: multi-class" in done.out
    for label, count in found["tasks"]["cell class"]["classes"].items():
        [line] = [line for line in done.out.splitlines() if f" {label} " in line]
        assert re.findall(r"\d+", line)[0] == str(count["positive"])


def test_what_is_shown_of_grey_images_has_one_channel(command, built_root):
    done = command("stats", "bus/malignancy", "--root", built_root)
    assert "images, grey" in done.out
    assert "blue" not in done.out
    assert "case category" not in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing argument 'ID'"),
        (["bsu"], 2, "error: unknown dataset 'bsu'. Did you mean 'bus'"),
        (["bus/malignant"], 2, "error: unknown task of bus 'malignant'. Did you mean 'malignancy'"),
        (["bus", "--split", "valid"], 2, "error: unknown split 'valid'. Known: train, val, test"),
        (["oct"], 1, "oct: is not there (under {root} there is bus, pbc). Build it with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_and_missing_data_are_told(command, small_root, arguments, code, message):
    done = command("stats", *arguments, "--root", small_root)
    assert (done.code, done.out) == (code, "")
    assert message.format(root=small_root) in done.err


def test_damage_leaves_with_1(command, damaged_root):
    done = command("stats", "bus", "--root", damaged_root)
    assert (done.code, done.out) == (1, "")
    assert "malignancy.npy: is missing" in done.err
    assert command("stats", "bus/case category", "--root", damaged_root).code == 0


def test_a_split_without_images_is_told(command, damaged_root):
    (damaged_root / "pbc" / "splits" / "val.txt").write_text("")
    done = command("stats", "pbc", "--split", "val", "--root", damaged_root)
    assert (done.code, done.out) == (2, "")
    assert "error: there are no images to take statistics of" in done.err


def test_labels_are_shown_as_they_are(command, damaged_root):
    info = damaged_root / "pbc" / "info.yaml"
    info.write_text(info.read_text().replace("basophil", "'[red]baso[/]'"))
    assert " [red]baso[/] " in command("stats", "pbc", "--root", damaged_root).out


def test_it_needs_no_torch(built_root):
    code = "import medimeta.cli.boundary as b, sys; b.run(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "stats", "bus", "--root", built_root], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
