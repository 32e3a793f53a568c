"""Images a second from our loader, in random order. Arguments: ROOT uint8|float32 SECONDS."""

from __future__ import annotations

import sys

import medimeta as mm
from benchmarks.pace import BATCH_SIZE, describe, images_per_second, tell


def main(root: str, kind: str, seconds: str) -> None:
    """Measure and tell."""
    dataset = mm.load("pbc/cell class", root=root, split="train")
    batches = mm.loader(dataset, BATCH_SIZE, shuffle=True, normalize="imagenet" if kind == "float32" else None)
    batch = describe(next(iter(batches))[0])
    tell(images_per_second(batches, float(seconds)), batch=batch, images=len(dataset))


if __name__ == "__main__":
    main(*sys.argv[1:])
