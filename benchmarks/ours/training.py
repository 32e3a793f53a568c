"""Seconds a training step of ResNet-18 takes, as our trainer takes it, without augmentation. Arguments: ROOT STEPS."""

from __future__ import annotations

import sys

import torch

import medimeta as mm
from benchmarks.pace import BATCH_SIZE, describe, seconds_per_step, tell
from medimeta.learning.backbones import make_backbone
from medimeta.learning.device import best_precision
from medimeta.learning.model import TaskModel
from medimeta.store.table import class_indices


def main(root: str, steps: str) -> None:
    """Measure and tell."""
    torch.manual_seed(0)
    dataset = mm.load("pbc/cell class", root=root, split="train")
    batches = mm.loader(dataset, BATCH_SIZE, shuffle=True, normalize=None, drop_last=True)
    info, task = dataset.stored.info, dataset.task
    backbone = make_backbone("resnet18", pretrained=False)
    model = TaskModel(backbone, task, channels=info.channels, size=info.size, normalize="imagenet")
    model = model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    precision = best_precision()
    losses = []

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        targets = torch.from_numpy(class_indices(task, labels.numpy()))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = model.head.loss(model(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    batch = describe(next(iter(batches))[0])
    tell(
        seconds_per_step(batches, step, int(steps)),
        batch=batch,
        precision=precision,
        threads=torch.get_num_threads(),
        last_loss=losses[-1],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
