"""Images a second of Lightning and torchcross, in an epoch after a first. Arguments: ROOT STEPS."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
import warnings

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, Subset
from torchcross.models.lightning import SimpleClassifier
from torchvision.models import resnet18

from benchmarks.pace import BATCH_SIZE, EPOCHS, describe, tell, validation_places
from benchmarks.released.batches import NORMALIZE
from medimeta import MedIMeta

FEATURES = 512


class Ends(pl.Callback):
    """Keeps when each epoch ended, validation included."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_epoch_end(self, *_: object) -> None:
        self.times.append(time.perf_counter())


def main(root: str, steps: str) -> None:
    """Measure and tell."""
    torch.manual_seed(0)
    images = BATCH_SIZE * int(steps)
    train_set, val_set = (
        MedIMeta(root, "pbc", "cell class", split=split, transform=NORMALIZE) for split in ("train", "val")
    )
    batches = DataLoader(Subset(train_set, range(images)), batch_size=BATCH_SIZE, shuffle=True, num_workers=0)
    validation = DataLoader(Subset(val_set, validation_places(len(val_set))), batch_size=BATCH_SIZE, num_workers=0)
    backbone = resnet18(weights=None)
    backbone.fc = torch.nn.Identity()
    model = SimpleClassifier(backbone, FEATURES, train_set.task_description, torch.optim.Adam)
    ends = Ends()
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor="AUROC/val", mode="max", save_weights_only=True)
        trainer = pl.Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            callbacks=[best, ends],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, batches, validation)
    tell(
        images / (ends.times[-1] - ends.times[-2]),
        batch=describe(next(iter(batches))[0]),
        precision="32-true",
        threads=torch.get_num_threads(),
        last_loss=float(trainer.callback_metrics["loss/train"]),
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # advice on workers and logging
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    main(*sys.argv[1:])
