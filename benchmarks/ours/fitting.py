"""Images a second of our trainer, in an epoch after a first. Arguments: ROOT STEPS."""

from __future__ import annotations

import sys
import time

import torch

import medimeta as mm
from benchmarks.pace import BATCH_SIZE, EPOCHS, describe, tell, validation_places
from medimeta.learning.augment import Augmentation
from medimeta.learning.config import TrainConfig
from medimeta.learning.device import best_precision
from medimeta.learning.train import train

STILL = Augmentation(horizontal_flip=0, vertical_flip=0, rotation=0, crop=0)


def main(root: str, steps: str) -> None:
    """Measure and tell."""
    images = BATCH_SIZE * int(steps)
    train_set, val_set = (mm.load("pbc/cell class", root=root, split=split) for split in ("train", "val"))
    train_set, val_set = train_set.subset(range(images)), val_set.subset(validation_places(len(val_set)))
    config = TrainConfig(weights="none", max_epochs=EPOCHS, augmentation=STILL, precision=best_precision())
    ends = []
    trained = train(train_set, val_set, config, epoch_done=lambda *_: ends.append(time.perf_counter()))
    batch, _ = next(iter(mm.loader(train_set, BATCH_SIZE, normalize=None)))
    tell(
        images / (ends[-1] - ends[-2]),
        batch=describe(batch),
        precision=config.precision,
        threads=torch.get_num_threads(),
        last_loss=trained.history[-1]["train_loss"],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
