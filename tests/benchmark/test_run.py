"""A grid is checked before it runs, keeps what is finished, and outlives a cell that fails."""

import json
import shutil

import numpy as np
import pytest
import torch
from tests.benchmark.odd import Notes

import medimeta as mm
from medimeta.benchmark import supervised
from medimeta.benchmark.grid import grid_from
from medimeta.benchmark.ledger import finished
from medimeta.benchmark.plan import Plan, plan_grid
from medimeta.benchmark.record import read_record
from medimeta.benchmark.run import Running, run_cells
from medimeta.errors import MedimetaError, WeightsError
from medimeta.learning.predictions import read_predictions
from medimeta.store.layout import split_text

pytestmark = pytest.mark.usefixtures("one_thread")

BACKBONE = "test_resnet.r160_in1k"
TASKS = ["bus", "bus/malignancy"]


def plan(root, tasks=TASKS, seeds=(0,), weights="none", **training):
    fields = {"tasks": tasks, "backbones": BACKBONE, "seeds": list(seeds), "weights": str(weights)}
    return plan_grid(grid_from({**fields, "training": {"max_epochs": 1, **training}}), root).cells


def run(cells, *arguments, **options):
    """Run cells; their outcomes, as they ended."""
    return list(run_cells(Plan(tuple(cells)), *arguments, **options))


@pytest.fixture(scope="module")
def first_run(small_root, tmp_path_factory):
    """A small grid that was run: its outcomes, and where its records lie. Do not change it: copy it first."""
    out = tmp_path_factory.mktemp("runs")
    return list(run(plan(small_root), out)), out


@pytest.fixture
def out(first_run, tmp_path):
    """A copy of the records, to be damaged."""
    return shutil.copytree(first_run[1], tmp_path / "runs")


@pytest.fixture
def own_root(small_root, tmp_path):
    """A copy of the root, to be changed."""
    return shutil.copytree(small_root, tmp_path / "root")


@pytest.fixture
def trained(monkeypatch):
    """The ids of the tasks that are trained from here on."""
    ids = []
    train = supervised.train

    def noted(train_set, *arguments, **options):
        ids.append(train_set.task.id)
        return train(train_set, *arguments, **options)

    monkeypatch.setattr(supervised, "train", noted)
    return ids


def test_a_grid_is_tasks_by_backbones_by_seeds(small_root):
    fields = {"tasks": TASKS, "backbones": ["resnet18", "resnet50"], "seeds": [3, 4]}
    grid = grid_from({**fields, "training": {"batch_size": 7, "max_epochs": 5}})
    cells = plan_grid(grid, small_root).cells
    names = [(cell.task.id, cell.config.backbone, cell.config.seed) for cell in cells]
    assert names == [
        (task, backbone, seed)
        for task in ("bus/case category", "bus/malignancy")
        for backbone in ("resnet18", "resnet50")
        for seed in (3, 4)
    ]
    assert {cell.config.learning_rate for cell in cells} == {1e-3, 1e-4}
    assert {(cell.config.batch_size, cell.config.max_epochs, cell.config.weights) for cell in cells} == {
        (7, 5, "imagenet")
    }
    assert len({cell.name for cell in cells}) == len(cells)


def test_the_papers_batch_size_is_the_default(small_root):
    assert [cell.config.batch_size for cell in plan(small_root)] == [64, 64]


def test_a_file_of_weights_is_known_by_its_digest(small_root, tmp_path):
    (tmp_path / "w.pt").write_bytes(b"abc")
    (cell,) = plan(small_root, ["bus"], weights=tmp_path / "w.pt")
    assert cell.config.weights == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert cell.weights == tmp_path / "w.pt"
    assert cell.name.startswith(f"bus__case_category/{BACKBONE}-w-seed0-")


def test_a_run_that_is_named_twice_is_one_run(small_root):
    """Else its figures would be averaged with themselves and count as two seeds."""
    cells = plan(small_root, ["bus", "bus/case category"], seeds=[0, 0])
    assert len(cells) == len({cell.name for cell in cells})


def test_every_cell_leaves_a_record_and_predictions(first_run):
    outcomes, out = first_run
    assert [outcome.kept for outcome in outcomes] == [False, False]
    model = [f".model/{name}" for name in ("model.safetensors", "model.json", "README.md")]
    left = {out / f"{outcome.cell.name}{suffix}" for outcome in outcomes for suffix in (".json", ".npz", *model)}
    assert {path for path in out.rglob("*") if path.is_file()} == left


def test_the_model_that_was_tested_is_kept(first_run, small_root):
    outcomes, out = first_run
    cell, record = outcomes[1].cell, outcomes[1].record
    model = mm.load_model((out / cell.name).with_name(record.model))
    test = mm.load("bus/malignancy", small_root, "test")
    scores = model.predict(torch.stack([image for image, _ in test]))
    with np.load(out / f"{cell.name}.npz") as predictions:
        assert np.allclose(scores, predictions["test_scores"], atol=1e-6)
    assert model.card.data[0].fingerprint == record.data
    assert model.card.scores["bus/malignancy"]["test"]["auroc"] == record.auroc


def test_a_record_says_what_its_figures_depend_on(first_run, small_root):
    outcomes, out = first_run
    cell, record = outcomes[1].cell, outcomes[1].record
    raw = json.loads((out / f"{cell.name}.json").read_text())
    assert raw["config"] == json.loads(json.dumps(cell.config.as_dict()))
    assert (raw["task"], raw["backbone"], raw["weights"], raw["seed"]) == ("bus/malignancy", BACKBONE, "none", 0)
    assert (raw["config_sha256"], raw["data"]) == (cell.config.digest(), cell.stored.fingerprint())
    assert raw["data_partial"] is True
    assert raw["samples"] == {split: len(mm.load("bus", small_root, split)) for split in ("train", "val", "test")}
    assert raw["package"] == f"medimeta {mm.__version__}"
    assert raw["versions"]["numpy"] == np.__version__
    assert raw["versions"].keys() == {"python", "torch", "timm", "lightning", "numpy"}
    assert (raw["method"], raw["weights_name"]) == ("supervised", "scratch")
    training = raw["training"]
    assert (training["epochs"], training["best_epoch"], len(training["history"])) == (1, 1, 1)
    assert read_record(out / f"{cell.name}.json").model_dump(mode="json") == record.model_dump(mode="json") == raw


def test_predictions_evaluate_to_the_recorded_figures(first_run, small_root):
    outcomes, out = first_run
    for cell, record in ((outcome.cell, outcome.record) for outcome in outcomes):
        found = read_predictions(out / f"{cell.name}.npz")
        assert found.keys() == {"val", "test"}
        for split, recorded in (("val", record.training.val), ("test", record.test)):
            samples = mm.load(cell.task.id, small_root, split)
            assert np.array_equal(found[split].samples, samples.indices)
            assert np.array_equal(found[split].labels, samples.labels)
            assert (found[split].task, found[split].data) == (cell.task.id, record.data)
            result = mm.evaluate(cell.task, samples.labels, found[split].scores, seed=cell.config.seed)
            assert result.as_dict() == recorded
            assert recorded["resamples"] > 0
        assert (record.auroc, record.interval) == (record.test["auroc"], record.test["auroc_interval"])


def test_finished_cells_are_kept(small_root, out, trained, first_run):
    outcomes = list(run(plan(small_root), out))
    assert trained == []
    assert [outcome.kept for outcome in outcomes] == [True, True]
    figures = [(outcome.record.auroc, outcome.record.interval) for outcome in outcomes]
    assert figures == [(outcome.record.auroc, outcome.record.interval) for outcome in first_run[0]]


@pytest.mark.parametrize("change", [{"max_epochs": 2}, {"batch_size": 6}, {"seeds": [1]}])
def test_other_settings_are_another_run(small_root, out, trained, change):
    before = {path: path.read_bytes() for path in out.glob("*/*.json")}
    assert [outcome.kept for outcome in run(plan(small_root, ["bus"], **change), out)] == [False]
    assert trained == ["bus/case category"]
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(out.glob("*/*.json"))) == len(before) + 1


@pytest.mark.parametrize("part", ["images.hdf5", "task_labels/malignancy.npy", "splits/test.txt"])
def test_other_data_are_another_run(own_root, out, trained, part):
    manifest = json.loads((own_root / "bus" / "manifest.json").read_text())
    manifest["files"][part]["sha256"] = "0" * 64
    (own_root / "bus" / "manifest.json").write_text(json.dumps(manifest))
    assert [outcome.kept for outcome in run(plan(own_root, ["bus/malignancy"]), out)] == [False]
    assert trained == ["bus/malignancy"]
    assert [outcome.kept for outcome in run(plan(own_root, ["bus/malignancy"]), out)] == [True]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b'{"task": "bus'),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text(json.dumps({"task": "bus/malignancy"})),
        lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 1})),
        lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"config_sha256": "0"})),
        lambda path: path.unlink(),
        lambda path: path.with_suffix(".npz").unlink(),
        lambda path: path.with_suffix(".npz").write_bytes(b"junk"),
        lambda path: shutil.rmtree(path.with_suffix(".model")),
        lambda path: (path.with_suffix(".model") / "model.json").write_text("{"),
        lambda path: (path.with_suffix(".model") / "model.safetensors").write_bytes(b"cut"),
    ],
    ids=[
        "empty",
        "cut",
        "no text",
        "fields missing",
        "other format",
        "other settings",
        "gone",
        "no predictions",
        "other predictions",
        "no model",
        "no card of the model",
        "a cut model",
    ],
)
def test_a_record_that_is_not_whole_is_run_again(small_root, out, trained, damage):
    cells = plan(small_root)
    damage(out / f"{cells[1].name}.json")
    assert [outcome.kept for outcome in run(cells, out)] == [True, False]
    assert trained == ["bus/malignancy"]
    assert all(finished(cell, out) for cell in cells)


def test_a_model_that_nobody_wants_may_be_gone(small_root, out, trained):
    """Deleting models is how people make room: figures and predictions are whole without them."""
    cells = plan(small_root)
    shutil.rmtree(out / f"{cells[1].name}.model")
    assert [outcome.kept for outcome in run(cells, out, Running(models=False))] == [True, True]
    assert trained == []


def test_a_run_that_was_chosen_by_loss_is_kept_too(own_root, tmp_path):
    """Its validation AUROC is not a number, which JSON does not have."""
    val = mm.load("bus/malignancy", own_root, "val")
    (own_root / "bus" / "splits" / "val.txt").write_text(split_text(val.indices[val.labels == 0].tolist()))
    cells = plan(own_root, ["bus/malignancy"])
    first = list(run(cells, tmp_path / "out"))
    assert first[0].record.training.chosen_by == "val_loss"
    assert first[0].record.training.val["auroc"] is None
    assert [outcome.kept for outcome in run(cells, tmp_path / "out")] == [True]


def test_a_cell_that_fails_does_not_stop_the_others(small_root, tmp_path, monkeypatch):
    train = supervised.train

    def failing(train_set, *arguments, **options):
        if train_set.task.name == "case category":
            raise MedimetaError("it diverged")
        return train(train_set, *arguments, **options)

    monkeypatch.setattr(supervised, "train", failing)
    cells = plan(small_root)
    outcomes = list(run(cells, tmp_path))
    assert [(outcome.cell, str(outcome.error)) for outcome in outcomes] == [
        (cells[0], "it diverged"),
        (cells[1], "None"),
    ]
    assert [outcome.record is None for outcome in outcomes] == [True, False]
    assert [finished(cell, tmp_path) is None for cell in cells] == [True, False]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_samples_is_told_before_anything_is_trained(own_root, tmp_path, split, trained):
    (own_root / "bus" / "splits" / f"{split}.txt").write_text("")
    with pytest.raises(MedimetaError) as caught:
        list(run(plan(own_root, ["pbc", "bus", "bus/malignancy"]), tmp_path / "out"))
    for task in TASKS:
        assert f"bus/{'malignancy' if '/' in task else 'case category'}: the {split} split has no samples" in str(
            caught.value
        )
    assert trained == []
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_of_one_class_is_told_before_anything_is_trained(own_root, tmp_path, split, trained):
    """It has no AUROC: there would be nothing to learn, or nothing to report."""
    part = mm.load("bus/malignancy", own_root, split)
    (own_root / "bus" / "splits" / f"{split}.txt").write_text(split_text(part.indices[part.labels == 0].tolist()))
    with pytest.raises(
        MedimetaError,
        match=f"bus/malignancy: the {split} split has one class alone, .*Build bus from the whole original",
    ):
        list(run(plan(own_root, ["pbc", "bus/malignancy"]), tmp_path / "out"))
    assert trained == []


def test_weights_that_no_cell_can_have_are_told_before_anything_is_trained(small_root, tmp_path, trained):
    (tmp_path / "w.pt").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"w\.pt: is neither"):
        list(run(plan(small_root, weights=tmp_path / "w.pt"), tmp_path / "out"))
    assert trained == []


def test_a_file_of_weights_is_used(small_root, tmp_path):
    import timm

    torch.save(timm.create_model(BACKBONE, pretrained=False, num_classes=3).state_dict(), tmp_path / "w.pt")
    (outcome,) = run(plan(small_root, ["bus/malignancy"], weights=tmp_path / "w.pt"), tmp_path / "out")
    assert outcome.record.weights.startswith("sha256:")
    assert [each.kept for each in run([outcome.cell], tmp_path / "out")] == [True]


def test_the_same_cell_gives_the_same_figures(small_root, tmp_path, first_run):
    (again,) = run(plan(small_root, ["bus/malignancy"]), tmp_path)
    assert again.record.test == first_run[0][1].record.test


def test_who_watches_is_told_each_epoch_of_each_cell_that_is_trained(small_root, out):
    cells = [*plan(small_root, ["bus"]), *plan(small_root, ["bus/malignancy"], max_epochs=2)]
    notes = Notes()
    run(cells, out, watcher=notes)
    title = cells[1].title
    assert notes.lines == [(title, "started"), (title, 1, 2), (title, 2, 2)]
