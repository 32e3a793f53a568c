"""What is written is read again, what others write is read, and what cannot be used is told, all of it at once."""

import hashlib
import json
import pickle
import re

import numpy as np
import pytest

import medimeta as mm
from medimeta.errors import PredictionsError, PredictionsNotFoundError, UnknownNameError, UsageError
from medimeta.learning.predictions import Predictions, as_arrays, read_predictions, write_predictions

BINARY, MULTICLASS, MULTILABEL, ORDINAL = (
    "bus/malignancy",
    "bus/case category",
    "cxr/disease labels",
    "dr_regular/Clarity",
)
every_kind = pytest.mark.parametrize("name", [BINARY, MULTICLASS, MULTILABEL, ORDINAL])
FIELDS = ("samples", "labels", "scores", "subjects")


def same(first, second, fields=FIELDS):
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in fields)


@every_kind
@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_what_is_written_is_read_again_to_the_last_bit(name, suffix, predicted, tmp_path):
    made = {split: predicted(name, split) for split in ("val", "test")}
    path = tmp_path / "new" / f"mine{suffix}"
    write_predictions(path, made)
    read = read_predictions(path, None if suffix == ".npz" else name)
    assert list(read) == ["val", "test"]
    subjects = ("subjects",) if suffix == ".npz" else ()  # a CSV counts those of each split anew
    for split, each in read.items():
        assert (each.task, each.split) == (name, split)
        assert same(each, made[split], ("samples", "labels", "scores", *subjects))
        assert each.data == (made[split].data if suffix == ".npz" else None)
        if each.subjects is not None:
            pairs = np.stack([each.subjects, made[split].subjects], axis=1)
            assert len(np.unique(pairs, axis=0)) == len(np.unique(each.subjects)) == len(np.unique(pairs[:, 1]))
    before = path.read_bytes()
    write_predictions(path, made)
    assert path.read_bytes() == before


def test_the_fingerprint_of_a_split_is_that_of_its_file(predicted, built_root):
    digest = hashlib.sha256((built_root / "bus" / "splits" / "test.txt").read_bytes()).hexdigest()
    made = predicted(BINARY)
    assert made.samples_sha256 == digest == str(as_arrays({"test": made})["test_samples_sha256"])
    other = predicted(BINARY, samples=made.samples[::-1])
    assert other.samples_sha256 != digest


@every_kind
def test_arrays_of_another_framework_are_taken(name, predicted, tmp_path):
    made, card = predicted(name), mm.task(name)
    columns = made.scores.reshape(len(made), -1)
    names = card.classes[1:] if name == BINARY else card.classes
    files = [f"images/{index:06d}.tiff" for index in made.samples]
    by_label = dict(zip(names, columns.T.astype(np.float32), strict=True))
    for arrays in (
        {"index": made.samples.astype(np.int32), "label": made.labels, "scores": columns},
        {"filepath": np.array(files), **by_label},
        {"indices": made.samples, "scores": made.scores, "labels": made.labels.astype(np.uint8)},
        {"label": made.labels, "scores": made.scores},
    ):
        np.savez(tmp_path / "other.npz", **arrays)
        [(split, read)] = read_predictions(tmp_path / "other.npz", name, split="val").items()
        assert (split, read.split, read.data) == ("val", "val", None)
        np.testing.assert_allclose(read.scores, made.scores, atol=1e-7)
        if "label" not in arrays and "labels" not in arrays:
            assert read.labels is None
        else:
            np.testing.assert_array_equal(read.labels, made.labels)
        if set(arrays) == {"label", "scores"}:
            assert read.samples is None
            assert read.samples_sha256 is None
        else:
            np.testing.assert_array_equal(read.samples, made.samples)


def test_tables_of_another_framework_are_taken(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text(
        "\ufeffindex,malignant,normal,benign,label,subject\r\n"
        '7,0.1,0.6,0.3,normal,"P1"\r\n'
        "\r\n"
        "3,0.5,0.25,0.25,2,\r\n"
        "5,1e-3,0,0.999,benign,P1\r\n"
    )
    [read] = read_predictions(path, "bus/Case-Category").values()
    assert read.samples.tolist() == [7, 3, 5]
    assert read.labels.tolist() == [0, 2, 1]
    assert read.scores.tolist() == [[0.6, 0.3, 0.1], [0.25, 0.25, 0.5], [0, 0.999, 0.001]]
    assert read.subjects.tolist() == [0, 1, 0]


def test_a_binary_table_may_have_the_scores_of_both_labels(tmp_path):
    path = tmp_path / "both.csv"
    path.write_text("index,no malignant finding,malignant finding\n1,0.75,0.25\n2,0.1,0.9\n")
    [read] = read_predictions(path, BINARY).values()
    assert (read.scores.tolist(), read.labels) == ([0.25, 0.9], None)
    path.write_text("index,no malignant finding,malignant finding\n1,0.75,0.25\n2,0.9,0.9\n")
    with pytest.raises(PredictionsError, match="scores of both labels do not add up to 1 in line 3"):
        read_predictions(path, BINARY)


HEAD = "index,label,normal,benign,malignant\n"
RIGHT = HEAD + "1,0,0.5,0.25,0.25\n2,1,0.5,0.25,0.25\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        (HEAD, "there are no samples"),
        (RIGHT.replace("benign", "benignn"), "unknown columns 'benignn'; beside index or filepath"),
        (RIGHT.replace("benign", "benignn"), "there are no scores of 'benign'"),
        (RIGHT.replace("benign", "normal"), "two columns are called 'normal'"),
        (RIGHT.replace("normal", "scores"), "columns 'scores', 'task' and 'data' are of npz files"),
        (RIGHT.replace("2,1,0.5", "2,1,nan"), r"scores are not finite \(NaN or infinite\) in line 3"),
        (RIGHT.replace("1,0,0.5", "1,0,inf"), r"scores are not finite \(NaN or infinite\) in line 2"),
        (RIGHT.replace("2,1,0.5", "2,1,-4"), "scores must be probabilities in 0..1, got -4 to"),
        (RIGHT.replace("2,1,0.5", "2,1,high"), "'normal' must be numbers, got 'high' and such in line 3"),
        (RIGHT.replace("2,1,0.5", "2,1,"), "'normal' must be numbers, got '' and such in line 3"),
        (RIGHT.replace("\n2,", "\n1,"), "samples come twice: images/000001.tiff in line 2 and line 3"),
        (RIGHT.replace("\n2,", "\n1.5,"), "'index' must be whole numbers, got '1.5' and such in line 3"),
        (RIGHT.replace("\n2,", "\n-2,"), "index must be whole numbers, 0 or more"),
        (RIGHT.replace("\n2,", f"\n{10**30},"), "'index' must be whole numbers"),
        (
            RIGHT.replace("\n2,1,", "\n2,cyst,"),
            r"labels are unknown, 'cyst' the first, in line 3; the task has 0 \(normal",
        ),
        (RIGHT.replace("\n2,1,", "\n2,3,"), "labels are unknown, '3' the first, in line 3"),
        (
            RIGHT.replace("index", "filepath"),
            "filepath must be names such as images/000000.tiff; '1' and others are not",
        ),
        (
            RIGHT.replace("index,label,", "index,split,"),
            "splits are train, val, test, got '0' and such in line 2, line 3",
        ),
        (RIGHT.replace("index,label,", "a,b,"), "there is neither 'index' nor 'filepath' .* nor 'label'"),
        (RIGHT.replace(",0.25\n2", "\n2"), "line 2: has 4 cells, the head has 5"),
    ],
)
def test_tables_that_cannot_be_used_are_told(tmp_path, text, told):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(PredictionsError, match=told) as caught:
        read_predictions(path, MULTICLASS)
    assert str(caught.value).startswith(f"{path}: cannot be used.")
    assert len(caught.value.problems) <= 3


def test_multi_label_cells_are_lists(predicted, tmp_path):
    path = tmp_path / "labels.csv"
    write_predictions(path, {"test": predicted(MULTILABEL)})
    text = path.read_text()
    for wrong in ("[0, 2", "[0]", "{}", '["a"]', "x"):
        path.write_text(re.sub(r'"\[[^"]*\]"', json.dumps(wrong), text, count=1))
        with pytest.raises(
            PredictionsError, match=r"'label' must be JSON lists of 14 numbers 0 or 1, got .* in line 2"
        ):
            read_predictions(path, MULTILABEL)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scores": np.full((3, 3), np.nan)}, "test: scores are not finite (NaN or infinite) in row 0, row 1, row 2"),
        ({"scores": np.ones((3, 2))}, "scores must have the shape (3, 3), got (3, 2)"),
        ({"scores": np.ones((3, 0))}, "scores must have the shape (3, 3), got (3, 0)"),
        ({"scores": np.float64(1)}, "'scores' must be an array with one row a sample, got a single value"),
        ({"scores": np.array([["a"] * 3] * 3)}, "scores must be numbers, got <U1 (3, 3)"),
        ({"scores": np.ones((3, 3)) * 1j}, "scores must be numbers, got complex128 (3, 3)"),
        ({"index": np.array([4, 5])}, "all columns must be of the same number of samples, got index 2, label 3"),
        (
            {"index": np.array([4.0, 5.0, 6.0])},
            "index must be whole numbers, 0 or more; got float64",
        ),
        ({"index": np.array([9, 8, 9])}, "samples come twice: images/000009.tiff in row 0 and row 2"),
        ({"index": np.eye(3, dtype=int)}, "index must have one value a sample"),
        ({"label": np.array([0.0, 1.0, 1.0])}, "labels must be integers of shape (3,), got float64 (3,)"),
        ({"label": np.array([0, 1, 7])}, "labels hold [7], which the task does not know"),
        ({"benign": np.ones(3)}, "scores come twice, as 'scores' and as 'benign'"),
        ({"logits": np.ones(3)}, "unknown columns 'logits'"),
        ({"filepath": np.array(["images/000004.tiff"] * 3)}, "index and filepath differ in row 1, row 2"),
        (
            {"test_samples_sha256": np.array("0" * 64)},
            "the samples are not those that the fingerprint in the file is of",
        ),
    ],
)
def test_arrays_that_cannot_be_used_are_told(tmp_path, changes, told):
    arrays = {"index": np.array([4, 5, 6]), "label": np.array([0, 1, 2]), "scores": np.eye(3)}
    np.savez(tmp_path / "bad.npz", **arrays | changes)
    with pytest.raises(PredictionsError) as caught:
        read_predictions(tmp_path / "bad.npz", MULTICLASS)
    assert told in str(caught.value)


def test_all_problems_of_a_file_are_told_at_once(tmp_path):
    scores = np.eye(3)
    scores[1, 1] = np.nan
    arrays = {"test_indices": np.array([1, 1, 2]), "test_labels": np.array([0, 9, 1]), "test_scores": scores}
    np.savez(
        tmp_path / "bad.npz", task=np.array(MULTICLASS), **arrays, val_scores=np.eye(3), val_labels=np.array([0.5])
    )
    with pytest.raises(PredictionsError) as caught:
        read_predictions(tmp_path / "bad.npz")
    words = ("not finite", "come twice", "labels hold [9]", "val: all columns", "val: labels must be integers")
    assert all(word in str(caught.value) for word in words)
    assert len(caught.value.problems) == len(words)


class Trap:
    """Fails the test if it is ever unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "trap.npz"
    np.savez(path, index=np.array([0]), scores=np.array([Trap()], dtype=object))
    with pytest.raises(PredictionsError, match="holds Python objects, which are never read"):
        read_predictions(path, BINARY)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(PredictionsError, match="is no npz file"):
        read_predictions(path, BINARY)


def test_files_that_are_none_are_told(predicted, tmp_path):
    path = tmp_path / "mine.npz"
    write_predictions(path, {"test": predicted(BINARY)})
    whole = path.read_bytes()
    np.savez(path, index=np.arange(9), scores=np.full(9, 0.5))
    plain = path.read_bytes()
    changed = plain.replace(b"\x93NUMPY", b"\x93NUMPX"), plain.replace(b"'shape': (9,)", b"'shape': (8,)")
    for damaged in (b"", b"PK", whole[: len(whole) // 2], whole[:-40], *changed):
        path.write_bytes(damaged)
        with pytest.raises(PredictionsError, match="is no npz file|is damaged"):
            read_predictions(path, BINARY)
    with path.open("wb") as file:
        np.save(file, np.eye(3))
    with pytest.raises(PredictionsError, match="is no npz file"):
        read_predictions(path)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x00")
    with pytest.raises(PredictionsError, match="is no CSV file"):
        read_predictions(tmp_path / "binary.csv", BINARY)
    with pytest.raises(PredictionsNotFoundError, match="there is no such file"):
        read_predictions(tmp_path / "nowhere.npz", BINARY)


def test_the_task_is_said_by_the_file_or_the_call(predicted, tmp_path):
    write_predictions(tmp_path / "mine.npz", {"test": predicted(BINARY)})
    write_predictions(tmp_path / "mine.csv", {"test": predicted(BINARY)})
    assert same(read_predictions(tmp_path / "mine.npz", mm.task(BINARY))["test"], predicted(BINARY))
    with pytest.raises(PredictionsError, match="holds predictions of 'bus/malignancy', not of 'bus/case category'"):
        read_predictions(tmp_path / "mine.npz", MULTICLASS)
    with pytest.raises(UsageError, match="does not say which task it is of"):
        read_predictions(tmp_path / "mine.csv")
    with pytest.raises(UnknownNameError, match="Did you mean 'malignancy'"):
        read_predictions(tmp_path / "mine.csv", "bus/malignanc")
    with pytest.raises(UnknownNameError, match="unknown split 'tset'"):
        read_predictions(tmp_path / "mine.npz", split="tset")
    with pytest.raises(UsageError, match=r"files named \*.npz or \*.csv"):
        read_predictions(tmp_path / "mine.pt")


def test_what_cannot_be_written_is_told(predicted, tmp_path):
    first, second = predicted(BINARY), predicted(MULTICLASS)
    for name in ("mine.npz", "mine.csv"):
        with pytest.raises(UsageError, match="of one task"):
            write_predictions(tmp_path / name, {"test": first, "val": second})
        with pytest.raises(UsageError, match="of at least one split"):
            write_predictions(tmp_path / name, {})
    with pytest.raises(UsageError, match="needs the samples and their labels"):
        write_predictions(tmp_path / "mine.csv", {"test": Predictions(BINARY, "test", None, None, None, first.scores)})
    (tmp_path / "file").write_text("")
    with pytest.raises(PredictionsError, match="cannot be written"):
        write_predictions(tmp_path / "file" / "mine.npz", {"test": first})


def test_a_file_that_unpacks_to_more_than_predictions_take_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    from medimeta.learning.predictions import npz_files

    monkeypatch.setattr(npz_files, "MAX_BYTES", 10_000)
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, scores=np.zeros(100_000))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(PredictionsError, match=r"bomb.npz: unpacks to 800,\d+ bytes, and predictions may have 10,000"):
        npz_files.read_arrays(path)
