"""Training learns, repeats with its seed, keeps the best epoch, and leaves no trace outside."""

import logging
import math
import random
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

import medimeta as mm
from medimeta.errors import DivergedError, UsageError, WeightsError
from medimeta.learning.augment import Augmentation
from medimeta.learning.config import TrainConfig
from medimeta.learning.metrics import evaluate, macro_auroc
from medimeta.learning.train import predict, train
from medimeta.store.layout import split_text

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = TrainConfig(
    backbone="test_resnet.r160_in1k", weights="none", learning_rate=5e-3, batch_size=16, max_epochs=8, patience=2
)
SHORT = TrainConfig(backbone="test_resnet.r160_in1k", weights="none", batch_size=8, max_epochs=1)


def splits(name, root, *names):
    return [mm.load(name, root=root, split=split) for split in names or ("train", "val")]


@pytest.fixture(scope="module")
def cells(small_root):
    """A run on the synthetic blood cells: its datasets, what came of it, and what it told meanwhile."""
    train_set, val_set = splits("pbc/cell class", small_root)
    told = []
    trained = train(train_set, val_set, CONFIG, epoch_done=lambda *figures: told.append(figures))
    return train_set, val_set, trained, told


@pytest.fixture
def own_root(small_root, tmp_path):
    """A copy of the root, whose splits a test may write."""
    return shutil.copytree(small_root, tmp_path / "root")


def test_training_learns(cells):
    train_set, _, trained, _ = cells
    result = evaluate(train_set.task, train_set.labels, predict(trained.model, train_set, CONFIG), resamples=0)
    assert result.auroc > 0.85


def test_the_model_is_that_of_the_best_epoch(cells):
    _, val_set, trained, _ = cells
    areas = [epoch["val_auroc"] for epoch in trained.history]
    assert trained.chosen_by == "val_auroc"
    assert trained.best_epoch == 1 + areas.index(max(areas))
    found = macro_auroc(val_set.task, val_set.labels, predict(trained.model, val_set, CONFIG))
    assert found == pytest.approx(max(areas), abs=1e-6)


def test_every_epoch_is_told_and_kept(cells):
    _, _, trained, told = cells
    speeds = [figures["images_per_second"] for _, figures in told]
    assert told == [
        (epoch, {**figures, "images_per_second": speed})
        for epoch, (figures, speed) in enumerate(zip(trained.history, speeds, strict=True), 1)
    ]
    assert all(speed > 0 for speed in speeds)
    assert trained.epochs == len(told)
    assert all(epoch.keys() == {"train_loss", "val_loss", "val_auroc"} for epoch in trained.history)
    assert trained.history[-1]["train_loss"] < trained.history[0]["train_loss"]
    assert trained.seconds > 0
    assert trained.images_per_second > 0
    assert 0 <= trained.loading_share < 0.9
    assert trained.peak_memory_mb > 10


def test_training_stops_where_patience_ends(small_root, monkeypatch):
    """An epoch as good as the best is no better, so that two epochs of patience end after the fourth."""
    areas = iter([0.6, 0.8, 0.8, 0.7, 0.9])
    monkeypatch.setattr("medimeta.learning.training.fit.macro_auroc", lambda *_: 0.5)
    monkeypatch.setattr("medimeta.learning.training.module.macro_auroc", lambda *_: next(areas))
    trained = train(*splits("bus/malignancy", small_root), replace(SHORT, max_epochs=5, patience=2))
    assert (trained.epochs, trained.best_epoch) == (4, 2)


def test_the_model_is_ready_on_the_cpu(cells):
    _, _, trained, _ = cells
    assert not trained.model.training
    assert {parameter.device.type for parameter in trained.model.parameters()} == {"cpu"}


def test_scores_come_in_the_order_of_the_samples(cells):
    _, val_set, trained, _ = cells
    single = [trained.model.predict(val_set[index][0][None])[0] for index in range(len(val_set))]
    np.testing.assert_allclose(predict(trained.model, val_set, replace(CONFIG, batch_size=3)), single, atol=1e-5)


@pytest.mark.parametrize("name", ["bus/malignancy", "bus/case category"])
def test_the_seed_decides_everything(small_root, name):
    train_set, val_set, test_set = splits(name, small_root, "train", "val", "test")

    def scores(seed):
        config = replace(SHORT, seed=seed)
        return predict(train(train_set, val_set, config).model, test_set, config)

    torch.manual_seed(11)
    first = scores(1)
    torch.manual_seed(12)
    assert np.array_equal(scores(1), first)
    assert not np.allclose(scores(2), first)
    assert first.shape == ((6,) if name == "bus/malignancy" else (6, 3))


def test_chance_outside_is_left_alone(small_root):
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    train(*splits("bus/malignancy", small_root), SHORT)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == states[1:]


def test_no_files_and_no_words_are_left_behind(small_root, tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.chdir(tmp_path)
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        monkeypatch.setattr(logger, "propagate", True)  # to where caplog listens
    train(*splits("bus/malignancy", small_root), SHORT)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []
    assert [logger.level for logger in loggers] == levels


@dataclass(frozen=True)
class Noting(Augmentation):
    """Varies nothing, and keeps the mean of every image that it is given."""

    seen: list = field(default_factory=list)

    def __call__(self, images, generator):
        self.seen.extend(images.float().mean(dim=(1, 2, 3)).tolist())
        return images.float()


def test_each_epoch_visits_every_training_image_once_in_a_new_order(small_root):
    train_set, val_set = splits("bus/malignancy", small_root)
    noting = Noting()
    train(train_set, val_set, replace(SHORT, max_epochs=2, augmentation=noting))
    means = [image.float().mean().item() for image, _ in train_set]
    first, second = noting.seen[: len(means)], noting.seen[len(means) :]
    assert sorted(first) == sorted(second) == pytest.approx(sorted(means))
    assert first != second
    assert first != pytest.approx(means)


def test_a_validation_split_without_auroc_chooses_by_loss(own_root):
    normal = mm.load("bus/malignancy", root=own_root, split="val")
    one_class = normal.indices[normal.labels == 0]
    (own_root / "bus" / "splits" / "val.txt").write_text(split_text(one_class.tolist()))
    trained = train(*splits("bus/malignancy", own_root), replace(SHORT, max_epochs=3))
    assert trained.chosen_by == "val_loss"
    losses = [epoch["val_loss"] for epoch in trained.history]
    assert trained.best_epoch == 1 + losses.index(min(losses))
    assert all(math.isnan(epoch["val_auroc"]) for epoch in trained.history)


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_empty_split_is_refused(own_root, split):
    (own_root / "bus" / "splits" / f"{split}.txt").write_text("")
    with pytest.raises(UsageError, match=f"bus/malignancy: the {split} split has no samples"):
        train(*splits("bus/malignancy", own_root), SHORT)


@pytest.mark.parametrize(
    ("first", "second"),
    [("bus/malignancy", "bus/case category"), ("bus", "bus"), ("bus/malignancy", "bus"), ("bus", "bus/malignancy")],
)
def test_anything_but_two_splits_of_one_task_is_refused(small_root, first, second):
    train_set, val_set = mm.load(first, root=small_root), mm.load(second, root=small_root)
    with pytest.raises(UsageError, match="two splits of one and the same task"):
        train(train_set, val_set, SHORT)


@pytest.mark.parametrize("devices", [0, -1, 1.5, "two"])
def test_devices_that_are_no_number_are_refused(small_root, devices):
    with pytest.raises(UsageError, match="devices must be a whole number from 1 to 1,024, or auto"):
        train(*splits("bus/malignancy", small_root), SHORT, devices=devices)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(small_root):
    with pytest.raises(UsageError, match=r"a GPU was asked for, but PyTorch sees none.*--accelerator auto or cpu"):
        train(*splits("bus/malignancy", small_root), SHORT, accelerator="gpu")


def test_weights_of_a_file_are_where_training_starts(small_root, tmp_path):
    """At a rate at which next to nothing is learned, the backbone is still that of the file."""
    source = timm.create_model(SHORT.backbone, pretrained=False, num_classes=10)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    config = replace(SHORT, weights="sha256:0", learning_rate=1e-12)
    trained = train(*splits("bus/malignancy", small_root), config, weights=tmp_path / "w.pt")
    expected = {key: value for key, value in source.named_parameters() if not key.startswith("fc.")}
    own = dict(trained.model.backbone.named_parameters())
    torch.testing.assert_close(own, expected, rtol=0, atol=1e-6)


def test_weights_that_cannot_be_had_end_it(small_root, tmp_path):
    config = replace(SHORT, weights="sha256:00")
    with pytest.raises(WeightsError, match="no such file"):
        train(*splits("bus/malignancy", small_root), config, weights=tmp_path / "none.pt")


@pytest.mark.parametrize(("said", "given"), [("none", "file.pt"), ("imagenet", "file.pt"), ("sha256:00", None)])
def test_weights_that_the_settings_do_not_name_are_refused(small_root, said, given):
    """A record must not name another origin than the true one."""
    with pytest.raises(UsageError, match="the settings say weights"):
        train(*splits("bus/malignancy", small_root), replace(SHORT, weights=said), weights=given and Path(given))


def test_a_last_batch_of_one_image_is_left_out_of_training(small_root):
    """Batch normalisation of 1x1 feature maps would break on it."""
    train_set, val_set = splits("bus/malignancy", small_root)
    trained = train(train_set, val_set, replace(SHORT, batch_size=len(train_set) - 1))
    assert trained.epochs == SHORT.max_epochs


def test_training_that_diverges_at_once_says_so(small_root):
    message = r"bus/malignancy: training diverged in epoch 1: at the learning rate 1e\+09 .* --learning-rate 1e\+08"
    with pytest.raises(DivergedError, match=message):
        train(*splits("bus/malignancy", small_root), replace(SHORT, learning_rate=1e9))


def test_low_precision_trains_too(small_root):
    config = replace(SHORT, precision="bf16-mixed")
    train_set, val_set = splits("bus/case category", small_root)
    scores = predict(train(train_set, val_set, config).model, val_set, config)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
