"""Images a second from the released package's dataset, in random order. Arguments: ROOT plain|normalized SECONDS."""

from __future__ import annotations

import sys

from torch.utils.data import DataLoader
from torchvision import transforms

from benchmarks.pace import BATCH_SIZE, describe, images_per_second, tell
from medimeta import MedIMeta

NORMALIZE = transforms.Compose(
    [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
)


def main(root: str, kind: str, seconds: str) -> None:
    """Measure and tell."""
    options = {"transform": NORMALIZE} if kind == "normalized" else {}
    dataset = MedIMeta(root, "pbc", "cell class", split="train", **options)
    batches = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True, num_workers=0)
    batch = describe(next(iter(batches))[0])
    tell(images_per_second(batches, float(seconds)), batch=batch, images=len(dataset))


if __name__ == "__main__":
    main(*sys.argv[1:])
