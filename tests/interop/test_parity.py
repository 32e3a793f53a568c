"""Training is what the released classifier does: the same weights and the same batches give the same losses."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import medimeta as mm
from medimeta.learning.augment import Augmentation
from medimeta.learning.config import TrainConfig
from medimeta.learning.heads import Head
from medimeta.learning.model import TaskModel
from medimeta.learning.train import train

NETWORK = Path(__file__).parent / "scripts" / "network.py"
TASKS = {"pbc/cell class": "multi-class", "bus/malignancy": "binary", "cxr/disease labels": "multi-label"}
TASKS["dr_regular/Clarity"] = "ordinal"
STEPS = 20
LARGEST = 1e-4
CONFIG = TrainConfig(weights="none", batch_size=12, max_epochs=STEPS, patience=STEPS)
STILL = Augmentation(horizontal_flip=0, vertical_flip=0, rotation=0, crop=0)

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.released]


@pytest.fixture(scope="module")
def ours(with_torchcross, tiny_root, tmp_path_factory):
    """Train on each task, and write down where it started and what every step was given; return losses and files."""
    folder = tmp_path_factory.mktemp("steps")
    return {name: (folder / f"{name.replace('/', '--')}.npz", _steps(name, tiny_root, folder)) for name in TASKS}


def _steps(name, root, folder):
    given, losses = {}, []
    forward, loss = TaskModel.forward, Head.loss

    def noting_forward(model, images):
        if model.training and not given:
            given.update(
                {f"backbone.{key}": value.clone().numpy() for key, value in model.backbone.state_dict().items()}
            )
            given.update({f"head.{key}": value.clone().numpy() for key, value in model.head.state_dict().items()})
        if model.training and len(losses) < STEPS:
            given[f"images{len(losses)}"] = images.float().contiguous().numpy()
            given[f"inputs{len(losses)}"] = model.normalize(images).contiguous().numpy()
        return forward(model, images)

    def noting_loss(head, logits, targets, *more, **named):
        value = loss(head, logits, targets, *more, **named)
        if value.requires_grad and len(losses) < STEPS:
            keys = np.array(head.task.keys)
            classes = targets.numpy()
            given[f"labels{len(losses)}"] = classes if classes.ndim == 2 else keys[classes]
            losses.append(value.item())
        return value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TaskModel, "forward", noting_forward)
        patch.setattr(Head, "loss", noting_loss)
        network = runpy.run_path(str(NETWORK))["backbone"]
        patch.setattr("medimeta.learning.training.fit.make_backbone", lambda *_, **__: network())
        parts = (mm.load(name, root=root, split=split) for split in ("train", "val"))
        train(*parts, replace(CONFIG, augmentation=STILL))
    np.savez(folder / f"{name.replace('/', '--')}.npz", **given)
    return losses


@pytest.fixture(scope="module")
def theirs(ours, with_torchcross, tiny_root):
    """Return the released classifier's losses on the same batches, from the same weights."""
    return with_torchcross("losses.py", tiny_root, *(file for file, _ in ours.values()))


@pytest.mark.parametrize("name", TASKS)
def test_losses_are_those_of_the_released_classifier(ours, theirs, name):
    """Over 20 steps of Adam in float32, so that gradients and updates agree, too."""
    here, there = np.array(ours[name][1]), np.array(theirs[name])
    difference = np.abs(here - there)
    print(f"{TASKS[name]}: losses from {here[0]:.4f} to {here[-1]:.4f}, largest difference {difference.max():.1e}")
    assert len(here) == len(there) == STEPS
    assert difference.max() <= LARGEST
    assert np.ptp(here) > 100 * LARGEST  # something was learned, so that equality says something
