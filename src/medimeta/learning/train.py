"""Train a model on one task: fit on train, choose on val, by the settings of a `TrainConfig`.

Lightning runs the loop; batches come from `medimeta.loading`, and are varied and normalised on the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from medimeta.catalogue.schema import TaskCard
from medimeta.errors import UsageError
from medimeta.learning.config import TrainConfig
from medimeta.learning.device import Accelerator, Devices, device_of
from medimeta.learning.model import TaskModel
from medimeta.learning.training.batches import plain_batches, share_of_batch
from medimeta.learning.training.failures import memory_explained
from medimeta.learning.training.fit import Fit, Fitted
from medimeta.learning.training.fit import quiet as quiet
from medimeta.learning.training.history import Figures, best_epoch
from medimeta.learning.training.journal import BatchDone as BatchDone
from medimeta.learning.training.journal import EpochDone as EpochDone
from medimeta.learning.training.launch import launch
from medimeta.learning.training.logs import LogKind, check_log
from medimeta.learning.training.processes import group_of
from medimeta.loading.dataset import TaskDataset
from medimeta.store.table import positives


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
        Figures of every epoch: ``train_loss``, ``val_loss`` and ``val_auroc``.
    seconds : float
        Of fitting, validation included, over all starts of the training.
    images_per_second : float
        Training images a second, without validation.
    loading_share : float
        Share of the training seconds that was spent on waiting for images.
    peak_memory_mb : float or None
        The largest memory in megabytes: of the GPU, or of the process on the CPU; of several the largest of one.
    resumed : int
        Epochs that were taken from a checkpoint.
    """

    model: TaskModel
    best_epoch: int
    epochs: int
    chosen_by: str
    history: list[Figures]
    seconds: float
    images_per_second: float
    loading_share: float
    peak_memory_mb: float | None
    resumed: int


def train(
    train_set: TaskDataset,
    val_set: TaskDataset,
    config: TrainConfig,
    *,
    weights: Path | None = None,
    devices: Devices = "auto",
    nodes: int = 1,
    accelerator: Accelerator = "auto",
    folder: Path | None = None,
    log: LogKind = "none",
    log_folder: Path | None = None,
    epoch_done: EpochDone | None = None,
    batch_done: BatchDone | None = None,
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
    devices : int or "auto"
        Devices of each node: GPUs, or processes on the CPU. Several share each batch, so that a step sees as many
        images as one device would give it. ``"auto"`` is one, or all that torchrun or SLURM has started.
    nodes : int
        Nodes of a cluster, each with so many devices.
    accelerator : {"auto", "cpu", "gpu"}
        What to compute on; ``"auto"`` is the GPU where there is one.
    folder : path, optional
        Where to keep checkpoints. The same call with the same folder goes on after the last finished epoch, and ends
        with the same numbers as one that was never stopped. The folder is the caller's to remove.
    log : {"none", "csv", "tensorboard"}
        What to write figures of every epoch to.
    log_folder : path, optional
        Where to.
    epoch_done, batch_done : callable, optional
        Called after each epoch, and now and then between; see `EpochDone` and `BatchDone`.

    Returns
    -------
    Trained
        The model of the best epoch.

    Raises
    ------
    UsageError
        The datasets have no task, differ in it, a split is empty, or train has one class alone; there are no such
        devices.
    WeightsError
        The weights cannot be had, or do not fit.
    DivergedError, OutOfMemoryError
        With what to try.
    CheckpointError
        A checkpoint cannot be written, does not read, or is of another training.
    TrainingProcessError
        One of several processes died.

    Examples
    --------
    >>> import medimeta as mm
    >>> train_set, val_set = (mm.load("bus/malignancy", getfixture("bus_root"), split) for split in ("train", "val"))
    >>> config = TrainConfig(backbone="test_resnet.r160_in1k", weights="none", max_epochs=1)
    >>> trained = train(train_set, val_set, config)
    >>> trained.epochs, sorted(trained.history[0])
    (1, ['train_loss', 'val_auroc', 'val_loss'])
    """
    _check(train_set, val_set)
    if (weights is None) == config.weights.startswith("sha256:"):
        raise UsageError(f"the settings say weights {config.weights!r}, but the file given is {weights}.")
    check_log(log)
    if log != "none" and log_folder is None:
        raise UsageError(f"a log of kind {log!r} needs a folder: pass log_folder=...")
    group = group_of(devices, nodes, accelerator)
    share_of_batch(len(train_set), config.batch_size, group.size)  # told before processes start
    fit = Fit(train_set, val_set, config, weights, accelerator, folder and Path(folder), log, log_folder)

    def told(event: str, *values: Any) -> None:
        listener = epoch_done if event == "epoch" else batch_done
        if listener is not None:
            listener(*values)

    fitted: Fitted = fit(group, told) if group.local_rank is not None else launch(fit, group, told)
    with torch.random.fork_rng([]):
        model = fit.model(pretrained=False)
    model.load_state_dict(fitted.unpacked())
    times = fitted.times
    return Trained(
        model=model.to(memory_format=torch.channels_last).eval(),
        best_epoch=best_epoch(fitted.history, fitted.monitor),
        epochs=len(fitted.history),
        chosen_by=fitted.monitor,
        history=fitted.history,
        seconds=times.seconds,
        images_per_second=times.images / times.training,
        loading_share=times.waiting / times.training,
        peak_memory_mb=fitted.peak_memory_mb,
        resumed=fitted.resumed,
    )


def predict(
    model: TaskModel, dataset: TaskDataset, config: TrainConfig, *, accelerator: Accelerator = "auto"
) -> npt.NDArray[np.float64]:
    """Return the scores of every sample, in order, on the GPU where there is one.

    Returns
    -------
    ndarray of float64, shape (n,) or (n, labels)
        Probabilities; see `Head.scores`.
    """
    if not len(dataset):
        raise UsageError(f"{dataset}: there is nothing to predict.")
    device = device_of(accelerator)
    model = model.to(device).eval()
    low = config.precision == "bf16-mixed"
    name = "the CPU" if device.type == "cpu" else str(device)
    with (
        memory_explained(model.head.task.id, config, name),
        torch.inference_mode(),
        torch.autocast(device.type, dtype=torch.bfloat16, enabled=low),
    ):
        batches = plain_batches(dataset, config.batch_size, device)
        parts = [model.head.scores(model(images)).double().cpu().numpy() for images, _ in batches]
    return np.concatenate(parts)


def _check(train_set: TaskDataset, val_set: TaskDataset) -> None:
    task: TaskCard | None = train_set.task
    if task is None or val_set.task != task:
        raise UsageError("training needs two splits of one and the same task: load them as 'dataset/task'.")
    for name, part in (("train", train_set), ("val", val_set)):
        if not len(part):
            raise UsageError(f"{task.id}: the {name} split has no samples, so there is nothing to train with.")
    have = positives(task, np.asarray(train_set.labels))
    if not ((have > 0) & (have < len(train_set))).any():
        there = [name for name, count in zip(task.classes, have, strict=True) if count]
        raise UsageError(
            f"{task.id}: all {len(train_set)} samples of the train split have the same label "
            f"({', '.join(map(repr, there)) or 'none of its labels'}), so there is nothing to learn."
        )
