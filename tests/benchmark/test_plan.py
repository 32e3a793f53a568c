"""Whatever is wrong with a grid is told before it runs, all of it at once."""

import pytest

from medimeta.benchmark.grid import changed, grid_from, preset, presets, read_fields
from medimeta.benchmark.plan import plan_grid
from medimeta.errors import DatasetNotFoundError, UnknownNameError, UsageError, WeightsError

BACKBONE = "test_resnet.r160_in1k"


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"tasks": ["bus", "bus/malignancies"]}, UnknownNameError, "malignancy"),
        ({"tasks": ["bis"]}, UnknownNameError, "Did you mean 'bus'"),
        ({"tasks": ["oct"]}, DatasetNotFoundError, "medimeta build oct --source"),
        ({"backbones": [BACKBONE, "resnet81"]}, UnknownNameError, "Did you mean 'resnet18'"),
        ({"methods": ["supervise"]}, UnknownNameError, "Did you mean 'supervised'"),
        ({"weights": "nowhere/w.pt"}, WeightsError, "w.pt: there is no such file"),
        ({"tasks": []}, UsageError, "datasets and tasks are empty"),
        ({"backbones": []}, UsageError, "backbones is empty"),
        ({"seeds": []}, UsageError, "seeds is empty"),
        ({"seeds": [-1]}, UsageError, "seeds: must be from 0 to"),
        ({"shots": [0]}, UsageError, "shots: must be from 1 to 1,000,000"),
        ({"training": {"max_epochs": 0}}, UsageError, "max_epochs must be from 1 to 1,000,000"),
        ({"training": {"batch_size": 0}}, UsageError, "batch_size must be from 1 to 1,000,000"),
        ({"training": {"max_epoch": 2}}, UsageError, "Did you mean 'max_epochs'"),
        ({"training": {"seed": 2}}, UsageError, "write it there, as seeds"),
    ],
)
def test_what_is_wrong_with_a_grid_is_told(small_root, change, error, told):
    fields = {"tasks": ["bus"], "backbones": [BACKBONE], "weights": "none", "seeds": [0]} | change
    with pytest.raises(error, match=told):
        plan_grid(grid_from(fields), small_root).raise_for_missing()


def test_all_that_is_wrong_is_told_at_once(small_root, tmp_path):
    wrong = {
        "datasets": ["bis", "bus"],
        "backbones": ["resnet81", "resnet18"],
        "weights": ["none", str(tmp_path / "w.pt")],
        "training": {"max_epochs": 0},
    }
    with pytest.raises(UsageError) as caught:
        plan_grid(grid_from(wrong), small_root)
    told = ("unknown dataset 'bis'", "unknown backbone 'resnet81'", "w.pt: there is no such file", "max_epochs must be")
    assert [part for part in told if part not in str(caught.value)] == []


def test_every_dataset_that_is_missing_is_named(small_root):
    plan = plan_grid(grid_from({"datasets": "all", "weights": "none", "backbones": BACKBONE}), small_root)
    assert {cell.task.dataset for cell in plan.cells} == {"bus", "pbc"}
    with pytest.raises(DatasetNotFoundError) as caught:
        plan.raise_for_missing()
    told = str(caught.value)
    assert told.count(str(small_root)) == 4  # once for all 17
    assert f"{small_root}: aml, crc, " in told
    assert "skinl_photo are not there" in told
    assert f"Build each with: medimeta build ID --source PATH --root {small_root}" in told
    assert "medimeta download aml crc " in told
    assert "--datasets built" in str(caught.value)


def test_built_means_what_lies_under_the_root(small_root):
    plan = plan_grid(grid_from({"datasets": "built", "weights": "none", "backbones": BACKBONE}), small_root)
    assert [cell.task.id for cell in plan.cells] == ["bus/case category", "pbc/cell class"]
    assert not plan.missing


def test_a_file_is_read_with_all_of_its_problems(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text("dataset: bus\nseeds: [0, one, true]\nbackbones: [3]\ntraining: 5\n")
    with pytest.raises(UsageError) as caught:
        grid_from(read_fields(path), str(path))
    assert str(caught.value).splitlines() == [
        f"{path}: 4 problems:",
        "  - dataset: there is no such field. Did you mean 'datasets'?",
        "  - seeds: must be a whole number, got 'one', and a whole number, got True",
        "  - backbones: must be text, got 3",
        "  - training: expected settings by name, got 5",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must be a mapping"),
        ("a: [", "is not valid YAML"),
        ("- a", "must be a mapping"),
        ("!!python/x 1", "not valid"),
    ],
)
def test_a_file_that_is_no_grid_is_told(tmp_path, text, told):
    (tmp_path / "grid.yaml").write_text(text)
    with pytest.raises(UsageError, match=told):
        read_fields(tmp_path / "grid.yaml")
    with pytest.raises(UsageError, match=r"none.yaml: there is no such file of a grid\.$"):
        read_fields(tmp_path / "none.yaml")


def test_weights_files_of_a_grid_lie_beside_it(tmp_path):
    (tmp_path / "grid.yaml").write_text("datasets: bus\nweights: [none, w.pt, /abs/w.pt]\n")
    assert read_fields(tmp_path / "grid.yaml")["weights"] == ["none", str(tmp_path / "w.pt"), "/abs/w.pt"]


def test_presets_are_the_papers():
    assert presets() == ("paper", "paper-fewshot")
    paper = grid_from(preset("paper"))
    assert (paper.datasets, paper.backbones, paper.weights) == (("all",), ("resnet18", "resnet50"), ("imagenet",))
    assert len(paper.seeds) > 1
    few = grid_from(preset("paper-fewshot"))
    assert (few.methods, few.shots, few.weights) == (("finetune",), (5,), ("imagenet", "multi-domain", "maml"))
    assert few.few_shot == {"queries": 10, "episodes": 100, "steps": 50, "learning_rate": 0.001}
    with pytest.raises(UnknownNameError, match="Did you mean 'paper'"):
        preset("papers")


def test_what_is_named_replaces_what_was_named_and_settings_are_added():
    given = {"datasets": "all", "seeds": [1], "training": {"patience": 3}}
    grid = grid_from(changed(given, {"tasks": ["bus/malignancy"], "training": {"max_epochs": 2}}))
    assert (grid.datasets, grid.tasks, grid.seeds) == ((), ("bus/malignancy",), (1,))
    assert grid.training == {"patience": 3, "max_epochs": 2}
