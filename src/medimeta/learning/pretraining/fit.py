"""Run a pre-training through Lightning: epochs, early stopping, checkpoints, and resuming from the last of them."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed

from medimeta._files import write_whole
from medimeta.errors import MedimetaError, UsageError
from medimeta.learning.device import Devices, gpus
from medimeta.learning.pretraining.config import PretrainConfig
from medimeta.learning.pretraining.modules import PretrainModule
from medimeta.learning.train import EpochDone
from medimeta.learning.training.fit import stopped_by

BEST, LAST = "best", "last"  # names of the checkpoints
DIVERGED = "pre-training diverged in its first epoch; try a lower learning rate"
LESS_MEMORY = {
    "multi-task": "Halve batch_size, which was {batch_size}.",
    "maml": "Ask for fewer shots or queries, which were {shots} and {queries}, or for order 1, which was {order}.",
}


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


def fit(module: PretrainModule, folder: Path, *, devices: Devices, nodes: int, epoch_done: EpochDone | None) -> Fitted:
    """Train a module, from the last epoch whose checkpoint lies in the folder; it ends with the best epoch's weights.

    Raises
    ------
    MedimetaError
        Training diverged in its first epoch, memory is too small, or a checkpoint cannot be written.
    """
    config = module.config
    journal = _Journal(module, epoch_done)
    often: dict[str, Any] = {"enable_version_counter": False, "save_on_train_epoch_end": True}
    mode = "max" if module.monitor == "val_auroc" else "min"
    best = ModelCheckpoint(folder, BEST, module.monitor, mode=mode, save_weights_only=True, **often)
    last = folder / f"{LAST}.ckpt"
    if last.is_file():
        journal.load_state_dict(torch.load(last, map_location="cpu", weights_only=True)["callbacks"][journal.state_key])
    if not journal.ended:
        trainer = lightning.Trainer(
            accelerator="gpu" if gpus() else "cpu",
            devices=1 if devices == "auto" else devices,
            num_nodes=nodes,
            strategy="auto" if devices in ("auto", 1) and nodes == 1 else _distributed_strategy(),
            precision=config.precision,  # type: ignore[arg-type]
            max_epochs=config.epochs,
            callbacks=[journal, best, ModelCheckpoint(folder, LAST, **often)],
            plugins=[_WholeCheckpoints()],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # our batches know their rank
            inference_mode=False,  # the inner loop of MAML needs gradients in validation too
        )
        with _explained(config, folder):
            trainer.fit(module, ckpt_path=last if last.is_file() else None, weights_only=True)
        folder = Path(best.dirpath or folder)  # that of rank 0
    if not journal.history:
        raise UsageError("there are more devices than batches or episodes of an epoch: use fewer.")
    chosen = journal.best
    if chosen is None:
        raise MedimetaError(f"{DIVERGED} than {config.learning_rate:g}.")
    state = torch.load(folder / f"{BEST}.ckpt", map_location="cpu", weights_only=True)
    module.load_state_dict(state["state_dict"])
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()  # rank 0 removes the checkpoints; all must have read them
    return Fitted(chosen + 1, len(journal.history), journal.history, journal.seconds)


def _distributed_strategy() -> DDPStrategy:
    """Return DDP for batches that have labels of some tasks alone: the heads of the others get no gradient.

    Running averages are pooled by the module before validation. DDP would broadcast them at every forward pass, and
    wait for ever where one rank has a batch more to validate.
    """
    return DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)


@dataclass
class _Journal(Callback):
    """Keeps the figures of every epoch, and stops where patience ends, also a training that is resumed after that."""

    module: PretrainModule
    epoch_done: EpochDone | None
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    _started: float = 0.0

    @property
    def best(self) -> int | None:
        """Place of the best epoch, the first of equals; None where no figure is a number."""
        figures = {place: epoch[self.module.monitor] for place, epoch in enumerate(self.history)}
        known = {place: value for place, value in figures.items() if not math.isnan(value)}
        if not known:
            return None
        choose = max if self.module.monitor == "val_auroc" else min
        return choose(known, key=lambda place: known[place])

    @property
    def ended(self) -> bool:
        """Whether patience or the number of epochs ends it, or it has diverged."""
        if not self.history:
            return False
        count, best = len(self.history), self.best
        config = self.module.config
        diverged = math.isnan(self.history[-1][self.module.monitor])
        return diverged or best is None or count - 1 - best >= config.patience or count >= config.epochs

    def on_train_epoch_start(self, *_: Any) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._started
        figures: dict[str, Any] = {
            name: float(trainer.callback_metrics[name]) for name in ("train_loss", "val_loss", "val_auroc")
        }
        self.history.append({**figures, "val_auroc_by_task": dict(self.module.by_task)})
        trainer.should_stop = trainer.should_stop or self.ended
        if self.epoch_done is not None and trainer.is_global_zero:
            self.epoch_done(len(self.history), figures)

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.history, self.seconds = list(state["history"]), state["seconds"]


class _WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the old one before it takes its place: a kill or a full disk leaves the old one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(Path(path), buffer.getvalue())


@contextmanager
def _explained(config: PretrainConfig, folder: Path) -> Iterator[None]:
    """Say what to do where memory or disk are too small."""
    try:
        yield
    except SystemExit as error:
        raise stopped_by(error) from error
    except torch.OutOfMemoryError as error:
        way_out = LESS_MEMORY[config.method].format(**config.as_dict())
        raise MedimetaError(
            f"the memory of the device is too small to pre-train {config.backbone}. {way_out}"
        ) from error
    except OSError as error:
        if error.filename is not None and Path(error.filename).parent != folder:
            raise
        raise MedimetaError(
            f"{folder}: a checkpoint cannot be written ({error.strerror or error}). The last whole one is kept: make "
            f"room and run the same again, and it goes on from there."
        ) from error
