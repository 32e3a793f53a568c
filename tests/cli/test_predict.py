"""``medimeta predict``: scores of a split for ``evaluate``, scores of image files, and wrong use."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import medimeta as mm
from medimeta.learning.predictions import read_predictions

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_split_is_predicted_and_can_be_evaluated(command, saved_model, built_root, tmp_path):
    out = tmp_path / "scores.npz"
    done = command("predict", saved_model, "--root", built_root, "--split", "train", "--out", out, "--json")
    ds = mm.load("bus/malignancy", built_root, split="train")
    told = {"task": "bus/malignancy", "split": "train", "samples": len(ds), "out": str(out)}
    assert (done.code, json.loads(done.out)) == (0, told)
    found = read_predictions(out)["train"]
    images = mm.load_arrays("bus/malignancy", built_root, split="train").images
    np.testing.assert_allclose(found.scores, mm.load_model(saved_model).predict(images), atol=1e-6)
    assert np.array_equal(found.labels, ds.labels)
    assert np.array_equal(found.samples, ds.indices)
    assert found.data == ds.stored.fingerprint()
    assert command("evaluate", out, "--root", built_root, "--split", "train", "--resamples", 0).code == 0


def test_a_split_without_samples_has_scores_of_the_usual_shape(command, saved_model, built_root, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(built_root / "bus", root / "bus")
    (root / "bus" / "splits" / "val.txt").write_text("")
    assert command("predict", saved_model, "--root", root, "--split", "val", "--out", tmp_path / "none.npz").code == 0
    with np.load(tmp_path / "none.npz") as found:
        assert found["val_scores"].shape == (0,)


def test_a_dataset_and_its_task_mean_the_same(command, saved_model, built_root, tmp_path):
    for number, name in enumerate(("bus", "BUS/Malignancy")):
        assert (
            command("predict", saved_model, name, "--root", built_root, "--out", tmp_path / f"{number}.csv").code == 0
        )
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()


def test_image_files_are_predicted(command, saved_model, tmp_path):
    """One has the model's size; the other is padded and scaled."""
    rng = np.random.default_rng(0)
    Image.fromarray(square := rng.integers(0, 256, (224, 224), dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(rng.integers(0, 256, (300, 200, 3), dtype=np.uint8)).save(tmp_path / "b.jpg")
    out = tmp_path / "scores.csv"
    done = command("predict", saved_model, tmp_path / "a.png", tmp_path / "b.jpg", "--out", out)
    assert (done.code, done.err) == (0, "")
    with out.open() as file:
        first, second = csv.DictReader(file)
    [expected] = mm.load_model(saved_model).predict(square)
    assert float(first["bus/malignancy: malignant finding"]) == pytest.approx(expected, abs=1e-6)
    assert second["file"] == str(tmp_path / "b.jpg")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["pbc/cell class"], 2, "the model does not predict pbc/cell class (neutrophil, "),
        (["pbc"], 2, "none of this dataset"),
        (["bus/malignancy", "pbc"], 2, "name one task, or image files that are there"),
        (["--split", "all"], 2, "unknown split 'all'"),
        (["--device", "gpu"], 2, "device 'gpu' cannot be used here"),
        (["--out", "scores.txt"], 2, "scores.txt"),
        (["{image}", "gone.png"], 2, "there is no such file: gone.png"),
        (["{image}", "--out", "scores.npz"], 2, "written as *.csv"),
        (["{text}"], 1, "is not an image that can be read"),
    ],
)
def test_wrong_use_is_told(command, saved_model, built_root, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("no image")
    given = [each.format(image=tmp_path / "a.png", text=tmp_path / "a.txt") for each in arguments]
    done = command("predict", saved_model, *given, "--root", built_root)
    assert done.code == code
    assert message in " ".join(done.err.replace("│", " ").split())


def test_a_folder_without_a_model_is_told(command, tmp_path, saved_model):
    done = command("predict", tmp_path)
    assert (done.code, done.err) == (
        1,
        f"error: {tmp_path}: there is no saved model here: model.json is missing. Pass the folder that holds it.\n",
    )
    copy = shutil.copytree(saved_model, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes(b"")
    assert "has 0 bytes, but model.json says" in command("predict", copy).err
