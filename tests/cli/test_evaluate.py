"""``medimeta evaluate``: what it prints is what the library computes."""

import json
import re

import numpy as np
import pytest

import medimeta as mm
from medimeta.learning.predictions import Predictions, write_predictions

MULTICLASS, SUBJECTS, ABSENT = "bus/case category", "mammo_mass/pathology", "fundus/disease labels"


@pytest.fixture
def written(built_root, tmp_path):
    """Write predictions of a task's test split; return the file and what it holds."""

    def write(name, suffix=".npz", seed=0, **changes):
        test = mm.load(name, root=built_root, split="test")
        rng = np.random.default_rng(seed)
        scores = rng.random(len(test) if test.task.outputs == 1 else (len(test), test.task.outputs))
        if test.task.target is mm.TaskTarget.MULTICLASS:
            scores /= scores.sum(axis=1, keepdims=True)
        subjects = test.stored.subjects()
        fields = {
            "data": test.stored.fingerprint(),
            "samples": test.indices,
            "labels": test.labels,
            "scores": scores,
            "subjects": None if subjects is None else subjects[test.indices],
        }
        made = Predictions(task=test.task.id, split="test", **fields | changes)
        path = tmp_path / f"{test.task.name}-{seed}{suffix}"
        write_predictions(path, {"test": made})
        return path, made

    return write


def told(result):
    return json.loads(json.dumps(result.as_dict()))


def test_a_file_is_evaluated_by_itself(command, written):
    for name in (MULTICLASS, SUBJECTS):
        path, made = written(name)
        done = command("evaluate", path, "--resamples", 50, "--seed", 3, "--json")
        assert (done.code, done.err) == (0, "")
        expected = mm.evaluate(name, made.labels, made.scores, resamples=50, seed=3, groups=made.subjects)
        assert json.loads(done.out) == {"file": str(path), "split": "test", **told(expected)}
        assert (expected.groups is None) == (name == MULTICLASS)


@pytest.mark.usefixtures("one_thread")
def test_the_predictions_of_a_benchmark_give_the_figures_of_its_record(command, small_root, tmp_path):
    arguments = ("--backbone", "test_resnet.r160_in1k", "--no-pretrained", "--max-epochs", 1, "--seeds", 1)
    done = command("train", MULTICLASS, "--root", small_root, "--out", tmp_path, *arguments, "--json")
    [record] = json.loads(done.out)
    [path] = tmp_path.rglob(record["predictions"])
    for split, expected in (("test", record["test"]), ("val", record["training"]["val"])):
        found = json.loads(command("evaluate", path, "--split", split, "--json").out)
        assert found == {"file": str(path), "split": split, **expected}
    assert command("evaluate", path, "--root", small_root, "--resamples", 0).code == 0


def test_options_are_those_of_the_library(command, written):
    path, made = written(SUBJECTS)
    options = ("--absent", "zero", "--confidence", "0.5", "--resamples", 30, "--by-image", "--json")
    found = json.loads(command("evaluate", path, *options).out)
    expected = mm.evaluate(SUBJECTS, made.labels, made.scores, absent="zero", confidence=0.5, resamples=30)
    assert found == {"file": str(path), "split": "test", **told(expected)}


def test_labels_and_patients_come_from_the_store(command, written, built_root, monkeypatch):
    _, made = written(SUBJECTS)
    test = mm.load(SUBJECTS, root=built_root, split="test")
    expected = told(mm.evaluate(SUBJECTS, test.labels, made.scores, resamples=20, groups=made.subjects))
    bare, _ = written(SUBJECTS, seed=0, labels=None, subjects=None, data=None)
    for options in (("--root", built_root), ()):
        monkeypatch.setenv("MEDIMETA_ROOT", str(built_root))
        found = json.loads(command("evaluate", bare, "--resamples", 20, "--json", *options).out)
        assert {name: found[name] for name in expected} == expected


def test_a_table_needs_the_task_and_says_the_same(command, written, tmp_path):
    path, made = written(MULTICLASS, ".csv")
    done = command("evaluate", path)
    assert (done.code, done.out) == (2, "")
    assert "does not say which task it is of" in done.err
    found = json.loads(command("evaluate", path, "--task", "BUS/case-category", "--resamples", 20, "--json").out)
    assert found["auroc"] == mm.evaluate(MULTICLASS, made.labels, made.scores, resamples=0).auroc


def test_the_screen_shows_every_figure_and_class(command, written):
    path, made = written(MULTICLASS)
    done = command("evaluate", path, "--resamples", 20)
    result = mm.evaluate(MULTICLASS, made.labels, made.scores, resamples=20)
    low, high = result.auroc_interval
    assert f"{100 * result.auroc:.1f} % │ [{100 * low:.1f}, {100 * high:.1f}]" in re.sub(" +", " ", done.out)
    for words in ("Average precision", "Balanced accuracy", "Expected calibration error", "normal", "20 resamples of"):
        assert words in done.out
    assert "kappa" not in done.out
    assert command("evaluate", path, "--resamples", 0).code == 0


def test_absent_classes_are_named_with_what_the_other_rule_says(command, written):
    _, made = written(ABSENT)
    labels = made.labels.copy()
    labels[:, 3] = 0
    path, made = written(ABSENT, labels=labels)
    result = mm.evaluate(ABSENT, made.labels, made.scores, resamples=0)
    assert mm.task(ABSENT).classes[3] in result.absent_classes
    for rule, words in (("skip", "left out of the means"), ("zero", "counted as 0 in the means")):
        done = command("evaluate", path, "--absent", rule, "--resamples", 0)
        assert words in done.out
        assert f"{100 * result.auroc_by_rule['zero']:.1f} %" in done.out
        assert f"{100 * result.auroc_by_rule['skip']:.1f} %" in done.out


def test_two_models_are_compared(command, written):
    first, made = written(SUBJECTS)
    second, other = written(SUBJECTS, ".csv", seed=1)
    arguments = ("evaluate", first, "--compare", second, "--resamples", 40)
    expected = mm.compare(SUBJECTS, made.labels, made.scores, other.scores, resamples=40, groups=made.subjects)
    found = json.loads(command(*arguments, "--json").out)
    assert found == {"files": [str(first), str(second)], "split": "test", **told(expected)}
    shown = command(*arguments).out
    assert f"{100 * expected.differences['auroc'].value:+.1f} %" in shown
    assert f"{expected.differences['auroc'].p_value:.3f}" in shown
    third, _ = written(SUBJECTS, seed=2, labels=made.labels[::-1].copy())
    done = command("evaluate", first, "--compare", third)
    assert (done.code, done.out) == (1, "")
    assert "the labels differ, first in row" in done.err


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_scores_that_do_not_sum_to_1_are_told_with_their_line(command, written, suffix):
    _, made = written(MULTICLASS)
    sigmoids = np.full_like(made.scores, 0.9)
    path, _ = written(MULTICLASS, suffix, scores=sigmoids)
    arguments = ("evaluate", path, "--task", MULTICLASS, "--resamples", 0)
    done = command(*arguments)
    assert (done.code, done.out) == (1, "")
    first = "line 2" if suffix == ".csv" else "row 0"
    assert f"{path}: cannot be used." in done.err
    assert f"do not sum to 1 over the classes, the first are those of {first}: expected 1" in done.err
    assert "--one-vs-rest" in done.err
    assert command(*arguments, "--one-vs-rest").code == 0
    assert command(*arguments, "--one-vs-rest", "--compare", path).code == 0


def test_predictions_that_do_not_fit_the_store_are_refused(command, written, built_root):
    path, made = written(MULTICLASS)
    path, _ = written(MULTICLASS, samples=made.samples[::-1].copy(), labels=None)
    done = command("evaluate", path, "--root", built_root)
    assert (done.code, done.out) == (1, "")
    assert "the samples are those of the split, but in another order" in done.err
    assert "the first row that differs is row 0" in done.err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--split", "val"], 2, "has no predictions of val, but of test. Pass one as --split."),
        (["--split", "tset"], 2, "unknown split 'tset'"),
        (["--task", "bus/malignancy"], 1, "holds predictions of 'bus/case category', not of 'bus/malignancy'"),
        (["--absent", "omit"], 2, "absent must be 'skip' or 'zero', got 'omit'"),
        (["--confidence", "95"], 2, "confidence must be a number between 0 and 1"),
        (["--by-subject"], 2, "its source tells no patients, so only images can be drawn: pass --by-image"),
        (["--compare", "nowhere.npz"], 1, "nowhere.npz: there is no such file"),
    ],
)
def test_wrong_use_is_told(command, written, built_root, monkeypatch, options, code, words):
    monkeypatch.setenv("MEDIMETA_ROOT", str(built_root))
    path, _ = written(MULTICLASS)
    done = command("evaluate", path, *options)
    assert (done.code, done.out) == (code, "")
    assert words in " ".join(done.err.split())
