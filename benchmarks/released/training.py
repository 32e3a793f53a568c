"""Seconds a training step of ResNet-18 takes the released way: float32, contiguous memory. Arguments: ROOT STEPS."""

from __future__ import annotations

import sys

import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.models import resnet18

from benchmarks.pace import BATCH_SIZE, describe, seconds_per_step, tell
from benchmarks.released.batches import NORMALIZE
from medimeta import MedIMeta

CLASSES = 8


def main(root: str, steps: str) -> None:
    """Measure and tell."""
    torch.manual_seed(0)
    dataset = MedIMeta(root, "pbc", "cell class", split="train", transform=NORMALIZE)
    batches = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True, num_workers=0, drop_last=True)
    model = resnet18(weights=None, num_classes=CLASSES).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    batch = describe(next(iter(batches))[0])
    tell(
        seconds_per_step(batches, step, int(steps)),
        batch=batch,
        precision="32-true",
        threads=torch.get_num_threads(),
        last_loss=losses[-1],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
