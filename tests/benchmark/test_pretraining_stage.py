"""Backbones are pre-trained before the cells, once for all that share them."""

import shutil

import pytest
import torch

from medimeta.benchmark import pretraining
from medimeta.benchmark.grid import grid_from
from medimeta.benchmark.plan import plan_grid
from medimeta.benchmark.run import run_cells
from medimeta.errors import MedimetaError, UsageError

pytestmark = pytest.mark.usefixtures("one_thread")

BACKBONE = "test_resnet.r160_in1k"
GRID = {
    "tasks": ["bus", "bus/malignancy", "pbc"],
    "backbones": BACKBONE,
    "weights": ["none", "multi-domain"],
    "methods": "protonet",
    "shots": 1,
    "few_shot": {"queries": 2, "episodes": 2},
    "pretraining": {"weights": "none", "datasets": ["bus", "pbc"]},
}


@pytest.fixture
def trained(monkeypatch):
    """What is pre-trained, each in a moment; the weights differ."""
    import timm

    targets = []

    def in_a_moment(plan, root, out, config, **options):
        targets.append((plan.target, [task.id for task in plan.sources.tasks]))
        torch.manual_seed(len(targets))
        folder = out / plan.name
        folder.mkdir(parents=True)
        from safetensors.torch import save_file

        save_file(timm.create_model(BACKBONE, num_classes=0).state_dict(), folder / "backbone.safetensors")
        return folder / "backbone.safetensors"

    monkeypatch.setattr(pretraining, "pretrain_for", in_a_moment)
    return targets


def test_each_target_has_weights_that_never_saw_it_and_they_are_made_once(small_root, tmp_path, trained):
    plan = plan_grid(grid_from(GRID), small_root)
    outcomes = sorted(run_cells(plan, tmp_path), key=lambda outcome: outcome.place)
    assert trained == [
        ("bus/case category", ["pbc/cell class"]),
        ("pbc/cell class", ["bus/case category", "bus/malignancy"]),
    ]
    records = [outcome.record for outcome in outcomes]
    assert [record.weights_name for record in records] == ["scratch", "multi-domain"] * 3
    bus, malignancy, pbc = (record.weights for record in records if record.weights_name == "multi-domain")
    assert bus == malignancy != pbc
    assert all(weights.startswith("sha256:") and len(weights) == 71 for weights in (bus, pbc))
    assert [outcome.kept for outcome in run_cells(plan, tmp_path)] == [True] * 6
    assert len(trained) == 2


def test_a_pretraining_that_fails_fails_its_cells_alone(small_root, tmp_path, trained, monkeypatch):
    made = pretraining.pretrain_for

    def failing(plan, *arguments, **options):
        if plan.target.startswith("bus"):
            raise MedimetaError("it diverged")
        return made(plan, *arguments, **options)

    monkeypatch.setattr(pretraining, "pretrain_for", failing)
    plan = plan_grid(grid_from({**GRID, "weights": "multi-domain"}), small_root)
    outcomes = sorted(run_cells(plan, tmp_path), key=lambda outcome: outcome.place)
    told = "its pre-training failed: it diverged"
    assert [str(outcome.error) for outcome in outcomes] == [told, told, "None"]
    assert len(list(tmp_path.glob("*/*.failed.json"))) == 2


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"epochs": 3}, "Did you mean 'max_epochs'"),
        ({"max_epochs": 0}, "max_epochs must be from 1 to 1,000,000, got 0"),
        ({"weights": "maml"}, "it cannot start from itself"),
        ({"datasets": ["bus"]}, "nothing is left to pre-train on"),
        ({"method": "maml"}, "write it there, as weights"),
    ],
)
def test_settings_that_cannot_be_are_told_before_anything_is_trained(small_root, section, told):
    with pytest.raises(UsageError, match=told):
        plan_grid(grid_from({**GRID, "pretraining": section}), small_root)


def test_what_is_missing_to_learn_from_is_told_with_all_that_is_missing(small_root, tmp_path):
    """A dry run lists both."""
    root = tmp_path / "root"
    shutil.copytree(small_root / "bus", root / "bus")
    fields = {**GRID, "tasks": ["bus", "oct"], "weights": "maml", "pretraining": {}}
    plan = plan_grid(grid_from(fields), root)
    assert [cell.task.id for cell in plan.cells] == ["bus/case category"]
    with pytest.raises(MedimetaError) as caught:
        plan.raise_for_missing()
    assert all(part in str(caught.value) for part in ("medimeta build oct", "nothing is left to pre-train on"))
