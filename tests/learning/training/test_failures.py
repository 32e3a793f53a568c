"""What goes wrong while a model is fitted is told with what to try."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import medimeta as mm
from medimeta.errors import OutOfMemoryError, UsageError
from medimeta.learning.config import TrainConfig
from medimeta.learning.model import TaskModel
from medimeta.learning.train import train
from medimeta.store.layout import split_text

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = TrainConfig(backbone="test_resnet.r160_in1k", weights="none", batch_size=8, max_epochs=1)


def splits(root):
    return [mm.load("bus/malignancy", root=root, split=split) for split in ("train", "val")]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
    ids=["gpu", "cpu", "python"],
)
def test_out_of_memory_names_the_batch_size_to_try(small_root, monkeypatch, error):
    def forward(*_):
        raise error

    monkeypatch.setattr(TaskModel, "forward", forward)
    with pytest.raises(
        OutOfMemoryError, match=r"bus/malignancy: .* batches of 8\. Try --batch-size 4 \(batch_size=4\)"
    ):
        train(*splits(small_root), CONFIG)
    with pytest.raises(OutOfMemoryError, match="a smaller backbone"):
        train(*splits(small_root), replace(CONFIG, batch_size=1))


def test_memory_that_the_processor_really_does_not_have_is_told(small_root, monkeypatch):
    monkeypatch.setattr(TaskModel, "forward", lambda *_: torch.empty(1 << 60))
    with pytest.raises(OutOfMemoryError, match="--batch-size 4"):
        train(*splits(small_root), CONFIG)


def test_other_errors_are_left_as_they_are(small_root, monkeypatch):
    def forward(*_):
        raise RuntimeError("the shapes do not fit")

    monkeypatch.setattr(TaskModel, "forward", forward)
    with pytest.raises(RuntimeError, match="the shapes do not fit"):
        train(*splits(small_root), CONFIG)


def test_one_class_in_train_is_refused_by_its_name(small_root, tmp_path):
    root = shutil.copytree(small_root, tmp_path / "root")
    dataset = mm.load("bus/malignancy", root=root, split="train")
    normal = dataset.indices[dataset.labels == 0]
    (root / "bus" / "splits" / "train.txt").write_text(split_text(normal.tolist()))
    with pytest.raises(UsageError, match=r"samples of the train split have the same label \('no malignant finding'\)"):
        train(*splits(root), CONFIG)


def test_a_log_without_a_folder_is_refused(small_root):
    with pytest.raises(UsageError, match="needs a folder: pass log_folder"):
        train(*splits(small_root), CONFIG, log="csv")
    with pytest.raises(UsageError, match="unknown log 'cvs'. Did you mean 'csv'"):
        train(*splits(small_root), CONFIG, log="cvs")


def test_figures_are_logged_as_they_are_told(small_root, tmp_path):
    trained = train(*splits(small_root), replace(CONFIG, max_epochs=2), log="csv", log_folder=tmp_path)
    lines = (tmp_path / "epochs.csv").read_text().splitlines()
    assert lines[0] == "epoch,train_loss,val_loss,val_auroc"
    assert [float(cell) for cell in lines[2].split(",")] == [2, *trained.history[1].values()]


@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_tensorboard_reads_what_is_logged_for_it(small_root, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained = train(*splits(small_root), replace(CONFIG, max_epochs=2), log="tensorboard", log_folder=tmp_path)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("val_loss")]
    assert found == [(epoch, pytest.approx(figures["val_loss"])) for epoch, figures in enumerate(trained.history, 1)]


def test_balanced_weights_reach_the_loss(small_root, tmp_path):
    """At a rate at which nothing is learned every image costs about ln 2, weights aside.

    Of n images one is positive and counts n - 1, as much as the others together: the mean loss is almost doubled. Were
    the weight upside down, it would be smaller.
    """
    root = shutil.copytree(small_root, tmp_path / "root")
    dataset = mm.load("bus/malignancy", root=root, split="train")
    chosen = np.concatenate([dataset.indices[dataset.labels == 0], dataset.indices[dataset.labels == 1][:1]])
    (root / "bus" / "splits" / "train.txt").write_text(split_text(sorted(chosen.tolist())))
    losses = {}
    for weighting in ("none", "balanced"):
        config = replace(CONFIG, learning_rate=1e-12, batch_size=64, class_weighting=weighting)
        losses[weighting] = train(*splits(root), config).history[0]["train_loss"]
    assert losses["balanced"] > 1.5 * losses["none"]
