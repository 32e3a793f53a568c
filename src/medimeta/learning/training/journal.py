"""Keeps the figures of every epoch, its times and checkpoints, and ends training when it is time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from medimeta.learning.config import TrainConfig
from medimeta.learning.training.batches import Share, TrainingBatches
from medimeta.learning.training.checkpoints import Checkpoints, Progress, Tensors
from medimeta.learning.training.failures import diverged
from medimeta.learning.training.history import Monitor, best_epoch, has_diverged, is_finished
from medimeta.learning.training.logs import Log
from medimeta.learning.training.module import TrainingModule
from medimeta.loading.order import chance

TELL_SECONDS = 0.5  # between two calls that tell how far an epoch is
MODEL_CHANCE = 2  # number of the stream of chance, as of dropout; 0 is the order's and 1 the augmentation's

EpochDone = Callable[[int, dict[str, float]], None]
"""Called as ``epoch_done(epoch, figures)`` after each epoch, counted from 1, with ``train_loss``, ``val_loss``,
``val_auroc`` and ``images_per_second``."""
BatchDone = Callable[[int, int, int], None]
"""Called as ``batch_done(epoch, images, of)`` now and then while an epoch is trained, with the images done and all."""


class Journal(Callback):
    """What is done around the steps of a training.

    Parameters
    ----------
    config : TrainConfig
        The settings.
    monitor : str
        The figure that chooses the best epoch.
    batches : TrainingBatches
        Those of training.
    share : Share
        That of this process; the first alone writes and tells.
    progress : Progress
        Where training begins; brought up to date after each epoch.
    checkpoints : Checkpoints, optional
        Where it is kept; without, the best parameters stay in memory.
    log : Log, optional
        Where figures are written.
    epoch_done, batch_done : callable, optional
        Who is told.
    """

    def __init__(
        self,
        config: TrainConfig,
        monitor: Monitor,
        batches: TrainingBatches,
        share: Share,
        progress: Progress,
        *,
        checkpoints: Checkpoints | None = None,
        log: Log | None = None,
        epoch_done: EpochDone | None = None,
        batch_done: BatchDone | None = None,
    ) -> None:
        self.config = config
        self.monitor: Monitor = monitor
        self.batches = batches
        self.share = share
        self.progress = progress
        self.checkpoints = checkpoints
        self.written = log
        self.best: Tensors = {}
        self._epoch_done = epoch_done
        self._batch_done = batch_done
        self._before = progress.times.seconds
        self._started = self._begun = self._told = time.perf_counter()
        self._waited = 0.0
        self._images = 0

    @property
    def epoch(self) -> int:
        """The number of the epoch that is trained, counted from 1."""
        return len(self.progress.history) + 1

    def on_fit_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Put model and optimiser to where training was left."""
        if self.progress.history:
            _own(module).model.load_state_dict(self.progress.model)
            trainer.optimizers[0].load_state_dict(self.progress.optimizer)

    def on_train_epoch_start(self, *_: Any) -> None:
        """Seed what the model itself draws, and look at the clock."""
        rng = chance(self.config.seed, self.epoch, MODEL_CHANCE, self.share.rank)
        torch.manual_seed(int(rng.integers(2**63)))
        self._begun = time.perf_counter()
        self._waited, self._images = self.batches.waited, 0

    def on_train_batch_end(self, _: Any, __: Any, ___: Any, batch: Any, *____: Any) -> None:
        """Count images, and tell how far the epoch is."""
        self._images += len(batch[0]) * self.share.processes
        if self._batch_done is not None and time.perf_counter() - self._told > TELL_SECONDS:
            self._told = time.perf_counter()
            self._batch_done(self.epoch, self._images, self.batches.images)

    def on_validation_epoch_start(self, _: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Take the time of training, which ends here: validation runs inside the epoch, after its last batch."""
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        times = self.progress.times
        times.training += time.perf_counter() - self._begun
        times.waiting += self.batches.waited - self._waited
        times.images += self._images
        self._speed = self._images / (time.perf_counter() - self._begun)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Keep the figures, save, tell, and stop if it is time."""
        module = _own(module)
        if has_diverged(module.figures):
            raise diverged(module.task.id, self.epoch, self.config)
        history = self.progress.history
        history.append(module.figures)
        self.progress.times.seconds = self._before + time.perf_counter() - self._started
        if self.share.rank == 0:
            self._save(trainer, module)
            if self.written is not None:
                self.written.write(history)
            if self._epoch_done is not None:
                self._epoch_done(len(history), {**module.figures, "images_per_second": self._speed})
        settings = self.config
        if is_finished(history, self.monitor, patience=settings.patience, max_epochs=settings.max_epochs):
            trainer.should_stop = True

    def _save(self, trainer: lightning.Trainer, module: TrainingModule) -> None:
        history = self.progress.history
        state = module.model.state_dict()
        best = best_epoch(history, self.monitor) == len(history)
        if self.checkpoints is None:
            if best:
                self.best = {name: value.detach().to("cpu", copy=True) for name, value in state.items()}
            return
        if best:
            self.checkpoints.save_best(state, len(history))
        self.progress.model, self.progress.optimizer = state, trainer.optimizers[0].state_dict()
        self.checkpoints.save(self.progress)


def _own(module: lightning.LightningModule) -> TrainingModule:
    if not isinstance(module, TrainingModule):
        raise TypeError(f"expected a TrainingModule, got {type(module).__name__}")
    return module
