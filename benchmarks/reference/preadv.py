"""Images a second that bare ``os.preadv`` reads in random order. Arguments: ROOT SECONDS.

Two threads, each with its half of the images and a buffer for half a batch that it fills again and again: no queue, no
batches, no labels. No loader that copies images out of the page cache can be faster.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time

from benchmarks.pace import BATCH_SIZE, tell
from medimeta.store.reader import open_dataset

THREADS = 2


def main(root: str, seconds: str) -> None:
    """Measure and tell."""
    stored = open_dataset("pbc", root)
    images = stored.images
    if not images.contiguous or images.offset is None:
        raise SystemExit("positional reads need a contiguous block and a system with os.preadv")
    image_bytes = images.shape[1] * images.shape[2] * images.shape[3]
    train = stored.split("train").tolist()
    random.Random(0).shuffle(train)
    positions = [images.offset + index * image_bytes for index in train]
    file = os.open(images.path, os.O_RDONLY)
    buffers = [bytearray(BATCH_SIZE // THREADS * image_bytes) for _ in range(THREADS)]

    def read(part: int) -> None:
        view = memoryview(buffers[part])
        slots = [view[start : start + image_bytes] for start in range(0, len(view), image_bytes)]
        for place, position in enumerate(positions[part::THREADS]):
            os.preadv(file, [slots[place % len(slots)]], position)

    def one_pass() -> None:
        threads = [threading.Thread(target=read, args=(part,)) for part in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    one_pass()
    count = 0
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < float(seconds):
        one_pass()
        count += len(positions)
    tell(count / elapsed, threads=THREADS, images=len(positions))


if __name__ == "__main__":
    main(*sys.argv[1:])
