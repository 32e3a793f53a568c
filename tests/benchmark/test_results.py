"""What lies in a folder is read, and what cannot be read is named."""

import json
import math

import numpy as np
import pytest
from tests.benchmark.made import predicted, write_few_shot, write_run

import medimeta as mm
from medimeta.benchmark.record import Record, read_record
from medimeta.benchmark.results import OneVsRest, read_one_vs_rest, read_results
from medimeta.errors import ResultsNotFoundError


@pytest.fixture
def out(tmp_path):
    """A folder with two runs."""
    write_run(tmp_path, "bus/case category")
    write_run(tmp_path, "bus/malignancy")
    return tmp_path


def test_records_are_found_and_nothing_else(out):
    (out / "table.json").write_text("{}")
    (out / "bus__malignancy" / "notes.json").write_text('{"task": "bus/malignancy"}')
    (out / "bus__malignancy" / "run.model").mkdir()
    (out / "bus__malignancy" / "run.model" / "model.json").write_text('{"config_sha256": ""}')
    (out / ".cache").mkdir()
    (out / ".cache" / "any.json").write_text("not JSON")
    results = read_results(out)
    assert [record.task for record in results.records] == ["bus/case category", "bus/malignancy"]
    assert (results.failed, results.problems) == ((), ())
    assert [results.path_of(record).parent.name for record in results.records] == [
        *("bus__case_category", "bus__malignancy"),
    ]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda raw: b"", "is damaged"),
        (lambda raw: b'{"task": "bus', "is damaged"),
        (lambda raw: b"\xff\xfe", "is damaged"),
        (lambda raw: b"[" * 100_000, "is damaged"),
        (lambda raw: raw | {"format_version": 1}, "is of format 1, and this version reads 2"),
        (lambda raw: raw | {"seed": "none", "seconds": None}, "is damaged: seconds, seed cannot be used"),
        (lambda raw: raw | {"test": {}}, "is damaged: test cannot be used"),
        (lambda raw: raw | {"test": {"auroc": 0.5, "auroc_interval": [0.1]}}, "is damaged: test cannot be used"),
        (lambda raw: raw | {"test": {"auroc": "high", "auroc_interval": None}}, "is damaged: test cannot be used"),
    ],
)
def test_a_record_that_cannot_be_used_is_named_and_the_others_count(out, damage, told):
    path = next((out / "bus__malignancy").glob("*.json"))
    damaged = damage(json.loads(path.read_bytes()))
    path.write_bytes(damaged if isinstance(damaged, bytes) else json.dumps(damaged).encode())
    results = read_results(out)
    assert [record.task for record in results.records] == ["bus/case category"]
    (problem,) = results.problems
    assert problem.startswith(f"bus__malignancy/{path.name}: ")
    assert told in problem


def test_a_run_that_lies_there_twice_counts_once(out):
    """Else it would be averaged with itself and count as two seeds."""
    path = next((out / "bus__malignancy").glob("*.json"))
    (out / "copies").mkdir()
    (out / "copies" / "a.json").write_bytes(path.read_bytes())
    results = read_results(out)
    assert len(results.records) == 2
    assert results.problems == (f"copies/a.json: is the same run as bus__malignancy/{path.name}, and left out.",)


def test_failed_cells_are_told(out):
    told = {"cell": "bus/malignancy, resnet50, imagenet, seed 0", "error": "it diverged"}
    (out / "bus__malignancy" / "resnet50.failed.json").write_text(json.dumps(told))
    (out / "bus__malignancy" / "resnet34.failed.json").write_text("{")
    results = read_results(out)
    assert [(cell.cell, cell.error) for cell in results.failed] == [(told["cell"], told["error"])]
    assert len(results.records) == 2
    assert "resnet34.failed.json: tells of a cell that failed, but is damaged itself" in results.problems[0]


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(ResultsNotFoundError, match="there is no record here"):
        read_results(tmp_path)
    with pytest.raises(ResultsNotFoundError, match="there is no such folder"):
        read_results(tmp_path / "nowhere")


@pytest.mark.parametrize("task", ["bus/case category", "bus/malignancy", "cxr/disease labels", "dr_regular/Clarity"])
def test_predictions_are_read_without_the_tasks_card(tmp_path, task):
    """So that people's own tasks have curves: grades with gaps are told apart by who is counted in the record."""
    path = write_run(tmp_path, task, count=70)
    found = read_one_vs_rest(path, read_record(path))
    card = mm.task(task)
    labels, scores = predicted(card, 70, [0, len("resnet18")])
    assert isinstance(found, OneVsRest)
    assert found.names == (card.classes[1:] if len(scores.shape) == 1 else card.classes)
    assert np.array_equal(found.scores, scores.reshape(70, -1))
    keys = [1] if scores.ndim == 1 else card.keys
    expected = labels == 1 if labels.ndim == 2 else labels[:, None] == np.array(keys)
    assert np.array_equal(found.positive, expected)
    assert found.exclusive is (labels.ndim == 1 and scores.ndim == 2)


def test_grades_that_no_sample_has_do_not_shift_the_others(tmp_path):
    """Only the second and the last of five grades, 4 and 10 of 1, 4, 6, 8 and 10, are there."""
    path = write_run(tmp_path, "dr_regular/Clarity")
    raw = json.loads(path.read_bytes())
    for place, each in enumerate(raw["test"]["per_class"].values()):
        each["positives"] = {1: 2, 4: 1}.get(place, 0)
    raw["predictions_sha256"] = None
    np.savez(path.with_suffix(".npz"), test_labels=np.array([10, 4, 4]), test_scores=np.full((3, 5), 0.2))
    found = read_one_vs_rest(path, Record.model_validate(raw))
    assert found.positive.argmax(axis=1).tolist() == [4, 1, 1]
    assert found.positive.sum(axis=1).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is damaged"),
        (lambda path: np.savez(path, test_labels=np.array([{}], dtype=object), test_scores=np.zeros(1)), "is damaged"),
        (lambda path: np.savez(path, other=np.zeros(3)), "is damaged"),
        (lambda path: np.savez(path, test_labels=np.zeros(3, int), test_scores=np.zeros((3, 7))), "does not fit"),
        (
            lambda path: np.savez(path, test_labels=np.zeros(3, int), test_scores=np.full((3, 3), np.nan)),
            "does not fit",
        ),
        (lambda path: np.savez(path, test_labels=np.zeros(2, int), test_scores=np.zeros((3, 3))), "does not fit"),
        (lambda path: np.savez(path, test_labels=np.zeros(3, int), test_scores=np.zeros((3, 3))), "does not fit"),
    ],
)
def test_predictions_that_cannot_be_used_are_named(out, change, told):
    path = next((out / "bus__case_category").glob("*.json"))
    change(path.with_suffix(".npz"))
    record = read_back(path).model_copy(update={"predictions_sha256": None})  # else that alone would tell
    found = read_one_vs_rest(path, record)
    assert isinstance(found, str)
    assert told in found
    assert path.with_suffix(".npz").name in found


def test_predictions_of_another_run_are_told_and_the_run_is_not_finished(tmp_path):
    """Else the page would draw curves that are not those of the figures beside them."""
    paths = [write_run(tmp_path, "bus/malignancy", seed=seed) for seed in (0, 1)]
    files = [path.with_suffix(".npz") for path in paths]
    first, second = (file.read_bytes() for file in files)
    assert first != second
    files[0].write_bytes(second)
    files[1].write_bytes(first)
    results = read_results(tmp_path)
    assert len(results.records) == 2  # the figures hold
    assert len(results.problems) == 2
    for file, path, problem in zip(files, paths, results.problems, strict=True):
        assert problem.startswith(f"bus__malignancy/{file.name}: is damaged, or of another run")
        assert read_record(path) is None
        assert "of another run" in read_one_vs_rest(path, read_back(path))


@pytest.mark.parametrize(
    "change",
    [
        {"predictions": "../other.npz"},
        {"model": ".."},
        {"test": {"auroc": math.nan, "auroc_interval": None}},
        {"test": {"auroc": 0.5, "auroc_interval": None, "per_class": {"a": 5}}},
        {"test": {"auroc": 0.5, "auroc_interval": None, "per_class": {"a": {"auroc": math.inf}}}},
    ],
)
def test_what_would_break_the_page_or_lead_elsewhere_is_found_when_a_record_is_read(out, change):
    path = next((out / "bus__malignancy").glob("*.json"))
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    (problem,) = read_results(out).problems
    assert f"is damaged: {next(iter(change))} cannot be used" in problem
    assert read_record(path) is None


def read_back(path):
    """A record whose predictions may be gone."""
    return Record.model_validate_json(path.read_bytes())


def test_few_shot_runs_are_records_like_others(tmp_path):
    write_few_shot(tmp_path, shots=5)
    (record,) = read_results(tmp_path).records
    assert (record.method, record.shots) == ("protonet", 5)
