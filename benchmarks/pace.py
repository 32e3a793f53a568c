"""How workers measure: the same rules for either side, and the standard library alone, as both sides import it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from itertools import chain, islice, repeat
from typing import Any

BATCH_SIZE = 64
WARM_UP_BATCHES = 4
WARM_UP_STEPS = 2
EPOCHS = 2  # the first of which warms up
VALIDATION_IMAGES = 16
SHOTS, QUERIES = 5, 10


def images_per_second(batches: Iterable[Any], seconds: float) -> float:
    """Pass over all batches, again and again, and stop with the first batch after `seconds`."""
    for _ in islice(batches, WARM_UP_BATCHES):
        pass
    count = 0
    started = time.perf_counter()
    for images, _ in chain.from_iterable(repeat(batches)):
        count += len(images)
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return count / elapsed
    raise ValueError("there are no batches")


def images_per_second_in_passes(
    one_pass: Callable[[], int], seconds: float, before: Callable[[], object] = lambda: None
) -> float:
    """Make whole passes until they took `seconds` together; each says how many images it read.

    A first pass warms up. `before` is called ahead of each of the others, and is not timed.
    """
    one_pass()
    count, elapsed = 0, 0.0
    while elapsed < seconds:
        before()
        started = time.perf_counter()
        count += one_pass()
        elapsed += time.perf_counter() - started
    return count / elapsed


def per_second(items: Iterable[Any], seconds: float) -> float:
    """Take items, and stop with the first after `seconds`; a first one warms up."""
    stream = iter(items)
    next(stream)
    started = time.perf_counter()
    for count, _ in enumerate(stream, 1):
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return count / elapsed
    raise ValueError(f"there are too few items for {seconds} s")


def seconds_per_step(
    batches: Iterable[Any],
    step: Callable[[Any, Any], None],
    steps: int,
    finish: Callable[[], object] | None = None,
) -> float:
    """Take steps on one batch after another, getting the batch included, and return their mean time.

    `finish` waits for what a device has yet to do.
    """
    stream = chain.from_iterable(repeat(batches))
    for images, labels in islice(stream, WARM_UP_STEPS):
        step(images, labels)
    if finish is not None:
        finish()
    started = time.perf_counter()
    for images, labels in islice(stream, steps):
        step(images, labels)
    if finish is not None:
        finish()
    return (time.perf_counter() - started) / steps


def validation_places(count: int) -> list[int]:
    """Return places of a few images from all over a split, so that there are several classes."""
    return [place * count // VALIDATION_IMAGES for place in range(VALIDATION_IMAGES)]


def tell(value: float, **facts: Any) -> None:
    """Print the figure, and what was measured, as the worker's one line."""
    print(json.dumps({"value": value, "facts": facts}))


def describe(images: Any) -> str:
    """Return dtype and shape of a batch, so that the results say what either side delivered."""
    return f"{str(images.dtype).removeprefix('torch.')} {'x'.join(map(str, images.shape))}"
