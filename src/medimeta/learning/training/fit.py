"""Fits a model in this process, alone or together with others."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import logging
import math
import signal
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.nn.parallel import DistributedDataParallel

from medimeta.catalogue.schema import TaskCard
from medimeta.learning.backbones import make_backbone
from medimeta.learning.config import TrainConfig
from medimeta.learning.device import Accelerator
from medimeta.learning.memory import forget_peak, peak_megabytes
from medimeta.learning.metrics import macro_auroc
from medimeta.learning.model import TaskModel
from medimeta.learning.training.batches import TrainingBatches, plain_batches
from medimeta.learning.training.checkpoints import Checkpoints, Progress, Tensors, Times
from medimeta.learning.training.failures import memory_explained
from medimeta.learning.training.history import Figures, Monitor, is_finished
from medimeta.learning.training.journal import Journal
from medimeta.learning.training.launch import Told
from medimeta.learning.training.logs import LogKind, open_log
from medimeta.learning.training.module import TrainingModule, everyones
from medimeta.learning.training.processes import Group, joined
from medimeta.loading.dataset import TaskDataset

COMPILE_FROM_STEPS = 2000  # below, compiling takes longer than it saves
LEAST_CAPABILITY = (7, 0)  # of a GPU, for the compiler's kernels


@dataclass(frozen=True)
class Fit:
    """What every process needs to know of a training. It pickles.

    Attributes
    ----------
    train_set, val_set : TaskDataset
        Two splits of one task.
    config : TrainConfig
        The settings.
    weights : Path or None
        A weights file.
    accelerator : str
        What to compute on.
    folder : Path or None
        Of checkpoints.
    log : str
        What log is kept.
    log_folder : Path or None
        Where.
    """

    train_set: TaskDataset
    val_set: TaskDataset
    config: TrainConfig
    weights: Path | None = None
    accelerator: Accelerator = "auto"
    folder: Path | None = None
    log: LogKind = "none"
    log_folder: Path | None = None

    def __call__(self, group: Group, told: Told) -> Fitted:
        """Fit the model; called in every process, which all return the same."""
        with quiet(), joined(group, self.accelerator) as device:
            cuda = [device.index] if device.type == "cuda" else []
            name = str(device) if cuda else "the CPU"
            with torch.random.fork_rng(cuda), memory_explained(self.task.id, self.config, name, group.size):
                return self._fit(group, device, told)

    @property
    def task(self) -> TaskCard:
        """What is learned."""
        card = self.train_set.task
        if card is None:
            raise TypeError("a dataset of a single task is fitted")
        return card

    @property
    def monitor(self) -> Monitor:
        """The figure that chooses the best epoch: the loss where labels do not define an AUROC."""
        labels = np.asarray(self.val_set.labels)
        shape = (len(labels),) if self.task.outputs == 1 else (len(labels), self.task.outputs)
        return "val_loss" if math.isnan(macro_auroc(self.task, labels, np.zeros(shape))) else "val_auroc"

    def model(self, *, pretrained: bool = True) -> TaskModel:
        """Make the model as it is before training; without its weights where it only is to be given others."""
        config, info = self.config, self.train_set.stored.info
        backbone = make_backbone(
            config.backbone,
            pretrained=pretrained and config.weights == "imagenet",
            weights=self.weights if pretrained else None,
        )
        return TaskModel(backbone, self.task, channels=info.channels, size=info.size, normalize=config.normalize)

    def _fit(self, group: Group, device: torch.device, told: Told) -> Fitted:
        forget_peak()
        share, config = group.share, self.config
        checkpoints = self._checkpoints(group)
        progress = everyones(checkpoints.load() if checkpoints and share.rank == 0 else None)[0] or Progress()
        torch.manual_seed(config.seed)
        model = self.model(pretrained=not progress.history).to(memory_format=torch.channels_last)
        batches = TrainingBatches(self.train_set, config, share, device)
        batches.begin_with(len(progress.history))
        compiled = self._is_compiled(device, len(batches))
        module = TrainingModule(model, self.train_set, self.val_set, config, compiled=compiled)
        resumed = len(progress.history)
        with ExitStack() as stack:
            log = open_log(self.log, self.log_folder, resumed) if share.rank == 0 else None
            if log is not None:
                stack.callback(log.close)
            journal = Journal(
                config,
                self.monitor,
                batches,
                share,
                progress,
                checkpoints=checkpoints if share.rank == 0 else None,
                log=log,
                epoch_done=lambda *values: told("epoch", *values),
                batch_done=lambda *values: told("batches", *values),
            )
            if not is_finished(progress.history, self.monitor, patience=config.patience, max_epochs=config.max_epochs):
                self._run(module, journal, batches, group, device)
        best: Tensors = {}
        if share.rank == 0:
            best = checkpoints.load_best() if checkpoints else journal.best
        peak = peak_megabytes(gpu=device.type == "cuda")
        peaks = [each for each in everyones(peak) if each is not None]
        return Fitted(
            parameters=_packed(everyones(best)[0]),
            monitor=self.monitor,
            history=progress.history,
            times=progress.times,
            resumed=resumed,
            peak_memory_mb=max(peaks) if peaks else None,
        )

    def _run(
        self, module: TrainingModule, journal: Journal, batches: TrainingBatches, group: Group, device: torch.device
    ) -> None:
        gpu = device.type == "cuda"
        several: dict[str, Any] = {}
        if group.size > 1:
            # Statistics of batch normalisation are made equal before each validation. DistributedDataParallel would do
            # it in each step, and wait for ever in validation, where not all have as many.
            buffers = [name for name, _ in module.named_buffers()]
            ignore: Any = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
            ignore(module, buffers)
            several = {
                "strategy": DDPStrategy(
                    cluster_environment=TorchElasticEnvironment(),
                    process_group_backend="nccl" if gpu else "gloo",
                    gradient_as_bucket_view=True,
                ),
                "sync_batchnorm": gpu,  # torch has it for GPUs alone
                "num_nodes": group.nodes,
            }
        trainer = lightning.Trainer(
            accelerator="gpu" if gpu else "cpu",
            devices=[device.index] if gpu and group.size == 1 else group.devices,
            precision=self.config.precision,  # type: ignore[arg-type]
            max_epochs=self.config.max_epochs - len(journal.progress.history),
            callbacks=[journal],
            benchmark=gpu,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            **several,
        )
        at_once = max(1, self.config.batch_size // group.size)
        validation = plain_batches(self.val_set, at_once, device, group.share)
        try:
            trainer.fit(module, batches, validation)
        except SystemExit as error:
            raise stopped_by(error) from error

    def _checkpoints(self, group: Group) -> Checkpoints | None:
        if self.folder is None:
            return None
        plain = {name: json.dumps(value) for name, value in self.config.as_dict().items()}
        made_for = {"task": self.task.id, **plain}
        made_for |= {"processes": str(group.size)}
        made_for |= {"train data": _digest(self.train_set), "val data": _digest(self.val_set)}
        return Checkpoints(self.folder, made_for)

    def _is_compiled(self, device: torch.device, steps: int) -> bool:
        if self.config.compile != "auto":
            return self.config.compile == "on"
        return (
            device.type == "cuda"
            and importlib.util.find_spec("triton") is not None
            and torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY
            and steps * self.config.max_epochs >= COMPILE_FROM_STEPS
        )


@dataclass(frozen=True)
class Fitted:
    """What comes of a fit, as plain values.

    Attributes
    ----------
    parameters : bytes
        Those of the best epoch; see `unpacked`.
    monitor : str
        The figure that chose it.
    history : list of dict
        Figures of every epoch.
    times : Times
        What it took.
    resumed : int
        Epochs that were there from before.
    peak_memory_mb : float or None
        The largest memory that one of the processes, or its GPU, took.
    """

    parameters: bytes
    monitor: Monitor
    history: list[Figures]
    times: Times
    resumed: int
    peak_memory_mb: float | None

    def unpacked(self) -> Tensors:
        """Return the parameters of the best epoch."""
        state: Tensors = torch.load(io.BytesIO(self.parameters), map_location="cpu", weights_only=True)
        return state


def stopped_by(error: SystemExit) -> BaseException:
    """Return what has stopped a fit that Lightning leaves by an exit of its own: Ctrl-C, or SIGTERM.

    In a command SIGTERM comes as Ctrl-C, see `medimeta._interrupts`. A script leaves with the code that shells know.
    """
    return SystemExit(128 + signal.SIGTERM) if isinstance(error, SIGTERMException) else KeyboardInterrupt()


def _packed(state: Tensors) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _digest(dataset: TaskDataset) -> str:
    digest = hashlib.sha256(dataset.stored.fingerprint().encode())
    digest.update(dataset.indices.astype("<i8").tobytes())
    return digest.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Lightning says about itself; its warnings of real trouble still come."""
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
