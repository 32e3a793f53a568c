"""Run a pre-training through Lightning: epochs, early stopping, checkpoints, and resuming from the last of them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from medimeta.errors import MedimetaError
from medimeta.learning.device import Devices, gpus
from medimeta.learning.pretraining.modules import PretrainModule
from medimeta.learning.train import EpochDone, quiet

BEST, LAST = "best", "last"  # names of the checkpoints


@dataclass(frozen=True)
class Fitted:
    """How a training went.

    Attributes
    ----------
    best_epoch, epochs : int
        The epoch that was chosen, counted from 1, and how many were run.
    history : list of dict
        Figures of every epoch.
    seconds : float
        Of all epochs, validation included.
    """

    best_epoch: int
    epochs: int
    history: list[dict[str, Any]]
    seconds: float


def fit(
    module: PretrainModule,
    folder: Path,
    *,
    devices: Devices,
    epoch_done: EpochDone | None,
) -> Fitted:
    """Train a module, from the last epoch whose checkpoint lies in the folder; it ends with the best epoch's weights.

    Raises
    ------
    MedimetaError
        Training diverged in its first epoch.
    """
    config, monitor = module.config, module.monitor
    mode = "max" if monitor == "val_auroc" else "min"
    journal = _Journal(module, monitor, mode, config.patience, epoch_done)
    kept: dict[str, Any] = {"enable_version_counter": False, "save_on_train_epoch_end": True}
    best = ModelCheckpoint(folder, filename=BEST, monitor=monitor, mode=mode, save_weights_only=True, **kept)
    last = ModelCheckpoint(folder, filename=LAST, **kept)
    early = EarlyStopping(monitor, mode=mode, patience=config.patience, check_on_train_epoch_end=True)
    trainer = lightning.Trainer(
        accelerator="gpu" if gpus() else "cpu",
        devices=1,
        precision=config.precision,  # type: ignore[arg-type]
        max_epochs=config.epochs,
        callbacks=[journal, early, best, last],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        inference_mode=False,  # the inner loop of MAML needs gradients in validation too
    )
    path = folder / f"{LAST}.ckpt"
    try:
        trainer.fit(module, ckpt_path=path if path.is_file() else None, weights_only=True)
    except SystemExit as error:  # so Lightning leaves on Ctrl-C
        raise KeyboardInterrupt from error
    figures = [epoch[monitor] for epoch in journal.history]
    known = [(value, -number) for number, value in enumerate(figures) if not math.isnan(value)]
    if not known:
        raise MedimetaError("pre-training diverged in its first epoch; try a lower learning rate.")
    state = torch.load(folder / f"{BEST}.ckpt", map_location="cpu", weights_only=True)
    module.load_state_dict(state["state_dict"])
    chosen = max(known) if mode == "max" else min((value, -number) for value, number in known)
    return Fitted(abs(chosen[1]) + 1, len(figures), journal.history, journal.seconds)


@dataclass
class _Journal(Callback):
    """Keeps the figures of every epoch; also knows whether a resumed training had already ended."""

    module: PretrainModule
    monitor: str
    mode: str
    patience: int
    epoch_done: EpochDone | None
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    _started: float = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._started
        figures: dict[str, Any] = {
            name: float(trainer.callback_metrics[name]) for name in ("train_loss", "val_loss", "val_auroc")
        }
        self.history.append({**figures, "val_auroc_by_task": dict(self.module.by_task)})
        if self.epoch_done is not None and trainer.is_global_zero:
            self.epoch_done(len(self.history), figures)

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.history, self.seconds = state["history"], state["seconds"]
