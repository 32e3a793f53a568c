"""Train a model on one task: fit on train, choose on val, by the settings of a `TrainConfig`.

Lightning runs the loop; batches come from `medimeta.loading`, and are varied and normalised on the device.
"""

from __future__ import annotations

import math
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from medimeta.catalogue.schema import TaskCard
from medimeta.errors import MedimetaError, UsageError
from medimeta.learning.backbones import make_backbone
from medimeta.learning.config import TrainConfig
from medimeta.learning.device import Devices, check_devices, gpus
from medimeta.learning.metrics import macro_auroc
from medimeta.learning.model import TaskModel
from medimeta.loading.dataset import TaskDataset
from medimeta.loading.loader import BatchLoader, loader
from medimeta.store.table import class_indices

EpochDone = Callable[[int, dict[str, float]], None]
"""Called as ``epoch_done(epoch, figures)`` after each epoch, with ``train_loss``, ``val_loss`` and ``val_auroc``."""


@dataclass
class Trained:
    """A trained model, as it was after its best epoch.

    Attributes
    ----------
    model : TaskModel
        On the CPU, in evaluation mode.
    best_epoch, epochs : int
        The epoch that was chosen, counted from 1, and how many were run.
    chosen_by : str
        ``"val_auroc"``; ``"val_loss"`` where the validation split is too small to have an AUROC.
    history : list of dict
        Figures of every epoch.
    seconds : float
        Of fitting, validation included.
    images_per_second : float
        Training images a second, without validation.
    """

    model: TaskModel
    best_epoch: int
    epochs: int
    chosen_by: str
    history: list[dict[str, float]]
    seconds: float
    images_per_second: float


def train(
    train_set: TaskDataset,
    val_set: TaskDataset,
    config: TrainConfig,
    *,
    weights: Path | None = None,
    devices: Devices = "auto",
    epoch_done: EpochDone | None = None,
) -> Trained:
    """Train a model on one task.

    Parameters
    ----------
    train_set, val_set : TaskDataset
        Two splits of the same task.
    config : TrainConfig
        The settings.
    weights : Path, optional
        Weights file, where ``config.weights`` says so.
    devices : 1 or "auto"
        One GPU where there is one, else the CPU.
    epoch_done : callable, optional
        Called after each epoch.

    Returns
    -------
    Trained
        The model of the best epoch.

    Raises
    ------
    UsageError
        The datasets have no task, differ in it, or a split is empty.
    WeightsError
        The weights cannot be had, or do not fit.
    """
    task = _one_task(train_set, val_set)
    if (weights is None) == config.weights.startswith("sha256:"):
        raise UsageError(f"the settings say weights {config.weights!r}, but the file given is {weights}.")
    check_devices(devices)
    with quiet(), torch.random.fork_rng(gpus()), tempfile.TemporaryDirectory(prefix="medimeta-") as folder:
        torch.manual_seed(config.seed)
        backbone = make_backbone(config.backbone, pretrained=config.weights == "imagenet", weights=weights)
        info = train_set.stored.info
        model = TaskModel(backbone, task, channels=info.channels, size=info.size, normalize=config.normalize)
        module = _Module(model.to(memory_format=torch.channels_last), task, config)
        monitor = "val_loss" if math.isnan(_auroc_of_chance(val_set, task)) else "val_auroc"
        mode = "min" if monitor == "val_loss" else "max"
        best = ModelCheckpoint(folder, filename="best", monitor=monitor, mode=mode, save_weights_only=True)
        journal = _Journal(epoch_done)
        trainer = lightning.Trainer(
            accelerator="gpu" if gpus() else "cpu",
            devices=1,
            precision=config.precision,  # type: ignore[arg-type]
            max_epochs=config.max_epochs,
            callbacks=[journal, best, EarlyStopping(monitor, mode=mode, patience=config.patience)],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        started = time.perf_counter()
        try:
            trainer.fit(module, _batches(train_set, config, shuffle=True), _batches(val_set, config, shuffle=False))
        except SystemExit as error:  # so Lightning leaves on Ctrl-C
            raise KeyboardInterrupt from error
        seconds = time.perf_counter() - started
        figures = [epoch[monitor] for epoch in journal.history]
        if np.isnan(figures).all():
            raise MedimetaError(f"{task.id}: training diverged in its first epoch; try a lower learning rate.")
        state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["state_dict"])
    chosen = int(np.nanargmin(figures) if mode == "min" else np.nanargmax(figures))
    return Trained(
        model=module.model.cpu().eval(),
        best_epoch=chosen + 1,
        epochs=len(journal.history),
        chosen_by=monitor,
        history=journal.history,
        seconds=seconds,
        images_per_second=len(train_set) * len(journal.history) / journal.training_seconds,
    )


def predict(model: TaskModel, dataset: TaskDataset, config: TrainConfig) -> npt.NDArray[np.float64]:
    """Return the scores of every sample, in order, on the GPU where there is one.

    Returns
    -------
    ndarray of float64, shape (n,) or (n, labels)
        Probabilities; see `Head.scores`.
    """
    if not len(dataset):
        raise UsageError(f"{dataset}: there is nothing to predict.")
    device = torch.device("cuda", gpus()[0]) if gpus() else torch.device("cpu")
    model = model.to(device).eval()
    low = config.precision == "bf16-mixed"
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=low):
        parts = [model.predict(images.to(device)) for images, _ in _batches(dataset, config, shuffle=False)]
    return np.concatenate(parts)


class _Module(lightning.LightningModule):
    """What Lightning needs to know of a model and its task."""

    def __init__(self, model: TaskModel, task: TaskCard, config: TrainConfig) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.config = config
        self.chance = torch.Generator().manual_seed(config.seed)
        self._labels: list[torch.Tensor] = []
        self._logits: list[torch.Tensor] = []

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        images, labels = batch
        with torch.autocast(images.device.type, enabled=False):
            varied = self.config.augmentation(images, self.chance)
        loss = self.model.head.loss(self.model(varied), self._targets(labels))
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        images, labels = batch
        self._logits.append(self.model(images).float())
        self._labels.append(labels)

    def on_validation_epoch_end(self) -> None:
        logits, labels = torch.cat(self._logits), torch.cat(self._labels)
        self._logits.clear()
        self._labels.clear()
        self.log("val_loss", self.model.head.loss(logits, self._targets(labels)), sync_dist=True)
        scores = self.model.head.scores(logits).double().cpu().numpy()
        auroc = macro_auroc(self.task, labels.cpu().numpy(), scores) if np.isfinite(scores).all() else math.nan
        self.log("val_auroc", auroc, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.config.learning_rate)

    def _targets(self, labels: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(class_indices(self.task, labels.cpu().numpy())).to(labels.device)


@dataclass
class _Journal(Callback):
    """Keeps the figures of every epoch, and the time spent on training batches."""

    epoch_done: EpochDone | None
    history: list[dict[str, float]] = field(default_factory=list)
    training_seconds: float = 0.0
    _started: float = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        self._started = time.perf_counter()

    def on_validation_epoch_start(self, *_: Any) -> None:
        # Validation runs inside the training epoch, after its last batch.
        self.training_seconds += time.perf_counter() - self._started

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.history.append({name: figures[name] for name in ("train_loss", "val_loss", "val_auroc")})
        if self.epoch_done is not None:
            self.epoch_done(len(self.history), self.history[-1])


def _batches(dataset: TaskDataset, config: TrainConfig, *, shuffle: bool) -> BatchLoader:
    # In training, a last batch of a single image would teach batch normalisation nothing, or break it.
    lonely = shuffle and len(dataset) > config.batch_size and len(dataset) % config.batch_size == 1
    return loader(dataset, config.batch_size, shuffle, config.seed, normalize=None, drop_last=lonely)


def _one_task(train_set: TaskDataset, val_set: TaskDataset) -> TaskCard:
    if train_set.task is None or val_set.task != train_set.task:
        raise UsageError("training needs two splits of one and the same task: load them as 'dataset/task'.")
    for name, part in (("train", train_set), ("val", val_set)):
        if not len(part):
            raise UsageError(
                f"{train_set.task.id}: the {name} split has no samples, so there is nothing to train with."
            )
    return train_set.task


def _auroc_of_chance(dataset: TaskDataset, task: TaskCard) -> float:
    """Return the AUROC of constant scores: one half, or NaN where the labels do not define an AUROC."""
    labels = dataset.labels
    if isinstance(labels, dict):
        labels = labels[task.name]
    shape = (len(labels),) if task.outputs == 1 else (len(labels), task.outputs)
    return macro_auroc(task, labels, np.zeros(shape))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Lightning says about itself; its warnings of real trouble still come."""
    import logging

    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Advice on worker processes and logging steps, which our loader and records do not need.
            warnings.filterwarnings("ignore", module=r"lightning\.pytorch\..*", category=UserWarning)
            warnings.filterwarnings("ignore", message=r".*LeafSpec.*is deprecated", category=FutureWarning)
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
