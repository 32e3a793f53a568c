"""Saved models come back the same, are whole or not there, and what does not fit is refused."""

import hashlib
import json
import shutil
import socket

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import medimeta as mm
from medimeta.errors import ModelError, ModelNotFoundError, UsageError
from medimeta.learning.backbones import make_backbone
from medimeta.learning.model import TaskModel
from medimeta.learning.model_card import describe_model
from medimeta.learning.multitask import MultiTaskModel
from medimeta.learning.saved_model import CARD, README, WEIGHTS, save_model
from medimeta.store.reader import open_dataset

pytestmark = pytest.mark.usefixtures("one_thread")

BACKBONE = "test_resnet.r160_in1k"
SCORES = {"val": {"samples": 3, "auroc": 0.75, "auroc_interval": (0.5, 1.0)}, "test": {"samples": 6, "auroc": None}}


def model_of(*tasks, channels):
    made = make_backbone(BACKBONE, pretrained=False)
    settings = {"channels": channels, "size": 32, "normalize": "imagenet"}
    return TaskModel(made, *tasks, **settings) if len(tasks) == 1 else MultiTaskModel(made, tasks, **settings)


def card_of(model, *stored, scores=SCORES, **fields):
    given = {
        "backbone": BACKBONE,
        "starts_from": "none",
        "config": {"learning_rate": 1e-3, "augmentation": {"rotation": 10.0}},
        "config_sha256": "1" * 64,
        "package": "medimeta 0",
        "versions": {"timm": "9"},
        "device": "CPU",
    }
    return describe_model(model, stored, scores=scores, **{**given, **fields})


@pytest.fixture(scope="module")
def bus(small_root, tmp_path_factory):
    """A model of a grey dataset after a step of training, so that statistics of batches count, and its folder."""
    torch.manual_seed(3)
    stored = open_dataset("bus", small_root)
    model = model_of(stored.info.task("case category"), channels=1).train()
    model(torch.randint(0, 256, (8, 1, 32, 32), dtype=torch.uint8))
    model.to(memory_format=torch.channels_last).eval()
    return model, save_model(tmp_path_factory.mktemp("saved") / "deep" / "bus", model, card_of(model, stored))


@pytest.fixture
def copy(bus, tmp_path):
    """A copy of the folder, for a test to spoil."""
    return shutil.copytree(bus[1], tmp_path / "copy")


def change_card(folder, **fields):
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **fields}))


def change_weights(folder, change):
    """Rewrite the weights, and the card with them, so that only the layers are wrong."""
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS)
    data = (folder / WEIGHTS).read_bytes()
    change_card(folder, weights={"name": WEIGHTS, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})


def without_metadata(folder):
    """Make the weights as a version wrote them that did not keep what the card says."""
    change_weights(folder, lambda state: None)


def swapped_labels(folder):
    """The tasks of a card, with the names of two labels changed for each other."""
    [task] = json.loads((folder / CARD).read_text())["tasks"]
    first, second, *others = task["labels"].items()
    return [{**task, "labels": dict([(first[0], second[1]), (second[0], first[1]), *others])}]


def test_a_model_of_a_version_that_kept_less_loads(copy):
    without_metadata(copy)
    assert mm.load_model(copy).size == 32


def test_scores_are_the_same_to_the_last_bit(bus, small_root):
    model, folder = bus
    images, labels = mm.load_arrays("bus/case category", small_root, split="train")
    again = mm.load_model(folder)
    scores = again.predict(images)
    assert np.array_equal(scores, model.predict(images))
    assert not again.training
    assert mm.evaluate(again.task, labels, scores, resamples=0).samples == len(labels)
    tensors = torch.stack([image for image, _ in mm.load("bus/case category", small_root, split="train")])
    assert np.array_equal(again.predict(tensors), scores)
    assert again.predict(images[:0]).shape == (0, 3)
    np.testing.assert_allclose(again.predict(images[4]), scores[4:5], atol=1e-6)


def test_the_mode_of_a_model_does_not_change_its_scores(bus, small_root):
    """Batch statistics of the images asked about would make them depend on each other."""
    images = mm.load_arrays("bus", small_root, split="test").images
    model = mm.load_model(bus[1])
    expected = model.predict(images)
    assert np.array_equal(model.train().predict(images), expected)
    assert model.training


def test_several_tasks_come_back_too(small_root, tmp_path):
    stored = open_dataset("bus", small_root)
    model = model_of(*stored.info.tasks, channels=1).eval()
    card = card_of(model, stored, scores={"bus/malignancy": SCORES})
    again = mm.load_model(save_model(tmp_path / "both", model, card))
    images = mm.load_arrays("bus", small_root, split="test").images
    expected, found = model.predict(images), again.predict(images)
    assert list(found) == ["bus/case category", "bus/malignancy"]
    assert all(np.array_equal(found[name], expected[name]) for name in found)
    assert again.card.tasks == stored.info.tasks


def test_a_task_that_the_catalogue_lacks_is_read_from_the_card(small_root, tmp_path):
    """Own data: neither catalogue nor root is asked, and terms that nobody named allow nothing commercial."""
    own = shutil.copytree(small_root / "bus", tmp_path / "root" / "mine")
    info = yaml.safe_load((own / "info.yaml").read_text())
    (own / "info.yaml").write_text(yaml.safe_dump({**info, "id": "mine", "license": None, "sources": []}))
    (own / "manifest.json").unlink()
    stored = open_dataset("mine", tmp_path / "root")
    model = model_of(stored.info.task("malignancy"), channels=1)
    folder = save_model(tmp_path / "saved", model, card_of(model, stored))
    shutil.rmtree(tmp_path / "root")
    again = mm.load_model(folder)
    assert again.task.id == "mine/malignancy"
    assert again.task.classes == ("no malignant finding", "malignant finding")
    assert not again.card.commercial
    assert "**Non-commercial use only.**" in (folder / README).read_text()


def test_a_dataset_that_tells_too_little_costs_no_model(small_root, tmp_path):
    """Folders of others may lack counts: then terms count as not named, but what was trained is saved."""
    own = shutil.copytree(small_root / "bus", tmp_path / "root" / "mine")
    info = yaml.safe_load((own / "info.yaml").read_text())
    kept = {name: info[name] for name in ("name", "domain", "tasks", "input_size")}
    (own / "info.yaml").write_text(yaml.safe_dump({**kept, "id": "mine"}))
    (own / "manifest.json").unlink()
    stored = open_dataset("mine", tmp_path / "root")
    model = model_of(stored.info.tasks[0], channels=1)
    assert [licence.id for licence in card_of(model, stored).licences] == ["unspecified"]


def test_loading_needs_no_network_and_leaves_chance_alone(bus, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    before = torch.get_rng_state()
    mm.load_model(bus[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_model_is_the_same_bytes(bus, small_root, tmp_path):
    model, folder = bus
    again = save_model(tmp_path / "again", model, card_of(model, open_dataset("bus", small_root)))
    for name in (CARD, README, WEIGHTS):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_a_model_is_replaced_but_nothing_else_is(bus, copy, small_root, tmp_path):
    model, _ = bus
    card = card_of(model, open_dataset("bus", small_root), method="again")
    save_model(copy, model, card)
    assert mm.load_model(copy).card.method == "again"
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is no saved model. Choose another folder"):
        save_model(copy, model, card)
    assert (copy / "notes.txt").read_text() == "mine"


def test_a_full_disk_leaves_what_was_there(bus, copy, small_root, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    model, _ = bus
    monkeypatch.setattr("medimeta.learning.saved_model.readme_text", full)
    for place in (copy, tmp_path / "new"):
        with pytest.raises(ModelError, match=r"the model cannot be written \(No space left on device\)"):
            save_model(place, model, card_of(model, open_dataset("bus", small_root), method="again"))
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    assert mm.load_model(copy).card.method == "supervised"


def test_the_card_has_what_a_user_must_know(bus, small_root):
    card = mm.load_model(bus[1]).card
    stored = open_dataset("bus", small_root)
    assert card.data[0].fingerprint == stored.fingerprint()
    assert card.data[0].partial
    assert {licence.id for licence in card.licences} == {"CC-BY-SA-4.0", "CC-BY-4.0"}
    assert card.commercial
    assert card.scores["bus/case category"]["val"] == {"samples": 3, "auroc": 0.75, "auroc_interval": [0.5, 1.0]}
    text = (bus[1] / README).read_text()
    matter = yaml.safe_load(text.split("---")[1])
    assert matter["license"] == "other"
    assert matter["license_name"] == "CC-BY-SA-4.0 and CC-BY-4.0"
    for said in (
        "0.75 (0.5 to 1)",
        "| 2 | 2 | malignant |",
        "@article{aldhabyani2020,",
        stored.fingerprint(),
        "It is not a medical device",
        "| augmentation: rotation | 10 |",
        "Pass it on under the same licence (CC-BY-SA-4.0) only.",
    ):
        assert said in text


def test_names_cannot_break_the_page(small_root, tmp_path):
    """A label with a bar would make a column, and one with a tag would run in a browser."""
    stored = open_dataset("bus", small_root)
    labels = {0: "a|b", 1: "<script>x</script>", 2: "`c`"}
    model = model_of(stored.info.task("case category").model_copy(update={"labels": labels}), channels=1)
    text = (save_model(tmp_path / "m", model, card_of(model, stored)) / README).read_text()
    assert r"| 0 | 0 | a\|b |" in text
    assert r"\<script>" in text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / CARD).unlink(), "no saved model here: model.json is missing"),
        (lambda folder: (folder / WEIGHTS).unlink(), "model.safetensors: is missing. Copy the whole folder"),
        (lambda folder: (folder / CARD).write_text("{"), "model.json: is not valid JSON"),
        (lambda folder: (folder / CARD).write_text("[" * 100_000), "model.json: is not valid JSON"),
        (lambda folder: (folder / CARD).write_bytes(b" " * 16_000_001), "larger than the 16,000,000 bytes"),
        (lambda folder: change_card(folder, format_version=2, more=1), "format version 2, newer than the 1"),
        (lambda folder: change_card(folder, weights=None), "does not say which weights belong to it"),
        (
            lambda folder: (without_metadata(folder), change_card(folder, backbone="resnet0")),
            "names the backbone 'resnet0', which the timm install",
        ),
        (lambda folder: change_card(folder, size=10**23), "size: .* less than or equal to 4096"),
        (lambda folder: change_card(folder, size=64), "size: expected 32, got 64"),
        (lambda folder: change_card(folder, channels=3), "channels: expected 1, got 3"),
        (lambda folder: change_card(folder, std=[1, 1, 1]), "std: expected .0.229, .* got .1.0, 1.0, 1.0"),
        (lambda folder: change_card(folder, tasks=swapped_labels(folder)), "tasks: expected .*'normal', .* got"),
        (
            lambda folder: (without_metadata(folder), change_card(folder, backbone="vit_tiny_patch16_224")),
            "vit_tiny_patch16_224 cannot be made for images of 1 channels and 32 x 32 pixels .*Input height",
        ),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"short"), "has 5 bytes, but model.json says"),
        (lambda folder: change_weights(folder, lambda state: state.pop("head.bias")), "  - head.bias is missing"),
        (
            lambda folder: change_weights(folder, lambda state: state.update(extra=torch.zeros(1))),
            "  - extra is not part of the model",
        ),
        (
            lambda folder: change_weights(folder, lambda state: state.update({"head.bias": torch.zeros(4)})),
            r"  - head.bias has the shape \(4,\), expected \(3,\)",
        ),
        (
            lambda folder: change_weights(folder, lambda state: state.update({"head.bias": torch.zeros(3).half()})),
            "  - head.bias is float16, expected float32",
        ),
    ],
)
def test_what_is_damaged_is_named(copy, spoil, message):
    spoil(copy)
    with pytest.raises(ModelError, match=message):
        mm.load_model(copy)


def test_a_changed_bit_of_the_weights_is_seen(copy):
    data = bytearray((copy / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (copy / WEIGHTS).write_bytes(data)
    with pytest.raises(ModelError, match="is not the file that model.json describes: its SHA-256 differs"):
        mm.load_model(copy)


def test_every_wrong_field_of_a_card_is_named(copy):
    change_card(copy, channels=2, std=[1, 2], tasks=[], surprise=1)
    with pytest.raises(ModelError, match="is not the card of a model") as caught:
        mm.load_model(copy)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "tasks",
        "channels",
        "std.2",
        "surprise",
    ]


def test_a_pickle_is_not_run(copy, tmp_path):
    """A file that torch.load would run code of is no safetensors file, whatever its name and digest."""
    torch.save({"head.bias": torch.zeros(3)}, copy / WEIGHTS)
    data = (copy / WEIGHTS).read_bytes()
    file = {"name": WEIGHTS, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    change_card(copy, weights=file)
    with pytest.raises(ModelError, match="is no safetensors file"):
        mm.load_model(copy)
    change_card(copy, weights={**file, "name": "../model.pt"})
    with pytest.raises(ModelError, match="weights.name"):
        mm.load_model(copy)


def test_missing_models_and_devices_are_the_errors_that_one_expects(bus, tmp_path):
    with pytest.raises(FileNotFoundError):
        mm.load_model(tmp_path)
    assert issubclass(ModelNotFoundError, ModelError)
    with pytest.raises(UsageError, match=r"device 'gpu' cannot be used here .* Pass --device cpu \(device='cpu'\)"):
        mm.load_model(bus[1], device="gpu")
    for device in ("meta", 3.5, None, "cuda:99"):
        with pytest.raises(UsageError, match="cannot be used here .* or --device auto"):
            mm.load_model(bus[1], device=device)
