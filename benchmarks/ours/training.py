"""Seconds a training step of ResNet-18 takes, as our trainer takes it. Arguments: ROOT STEPS loader|memory cpu|cuda.

The images come from our loader, or are one batch in the memory of the device. On a GPU they are varied, and the model
is compiled; on the processor neither.
"""

from __future__ import annotations

import sys
from itertools import repeat

import torch

import medimeta as mm
from benchmarks.pace import BATCH_SIZE, describe, seconds_per_step, tell
from medimeta.learning.augment import Augmentation
from medimeta.learning.backbones import make_backbone
from medimeta.learning.device import best_precision
from medimeta.learning.model import TaskModel


def main(root: str, steps: str, source: str, device: str) -> None:
    """Measure and tell."""
    torch.manual_seed(0)
    chance = torch.Generator().manual_seed(0)
    gpu = device == "cuda"
    dataset = mm.load("pbc/cell class", root=root, split="train")
    batches = mm.loader(dataset, BATCH_SIZE, shuffle=True, normalize=None, drop_last=True, device=device)
    if source == "memory":
        shape = (BATCH_SIZE, *dataset.image_shape)
        images = torch.randint(0, 256, shape, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
        labels = torch.randint(0, len(dataset.task.classes), (BATCH_SIZE,))
        batches = repeat((images.to(device), labels.to(device)), int(steps))
        batches = list(batches)
    info = dataset.stored.info
    backbone = make_backbone("resnet18", pretrained=False)
    model = TaskModel(backbone, dataset.task, channels=info.channels, size=info.size, normalize="imagenet")
    model = model.to(memory_format=torch.channels_last).to(device).train()
    network = torch.compile(model.forward) if gpu else model
    vary = Augmentation() if gpu else lambda images, _: images
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    precision = best_precision()
    losses = []

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        varied = vary(images, chance)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = model.head.loss(network(varied), labels)  # the classes of blood cells count from 0
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach() if gpu else loss.item())

    batch = describe(next(iter(batches))[0])
    tell(
        seconds_per_step(batches, step, int(steps), finish=torch.cuda.synchronize if gpu else None),
        batch=batch,
        precision=precision,
        threads=torch.get_num_threads(),
        last_loss=float(losses[-1]),
        **({"device": torch.cuda.get_device_name()} if gpu else {}),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
