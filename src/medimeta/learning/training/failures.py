"""What goes wrong while a model is fitted, in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from medimeta.errors import DivergedError, OutOfMemoryError
from medimeta.learning.config import TrainConfig

# How torch's allocators and the system say it, where they have no type for it.
_SIGNS = ("out of memory", "DefaultCPUAllocator", "can't allocate memory", "Cannot allocate memory")


def diverged(task: str, epoch: int, config: TrainConfig) -> DivergedError:
    """Return the error for a loss that is no longer a number."""
    tries = f"try a lower rate, such as --learning-rate {config.learning_rate / 10:g}"
    if config.precision != "32-true":
        tries += ", or --precision 32-true"
    return DivergedError(
        f"{task}: training diverged in epoch {epoch}: at the learning rate {config.learning_rate:g} the loss is no "
        f"longer a number; {tries}."
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory is used up: on a GPU, or of the host."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


@contextmanager
def memory_explained(task: str, config: TrainConfig, device: str, processes: int = 1) -> Iterator[None]:
    """Turn running out of memory into an error that names the batch size to try."""
    try:
        yield
    except OutOfMemoryError:
        raise
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(_advice(task, config, device, processes)) from error


def _advice(task: str, config: TrainConfig, device: str, processes: int) -> str:
    share = "" if processes == 1 else f", shared by {processes} processes"
    told = f"{task}: {config.backbone} ran out of memory of {device} with batches of {config.batch_size}{share}."
    smaller = config.batch_size // 2 // processes * processes
    ways = [f"--batch-size {smaller} (batch_size={smaller})"] if smaller else ["a smaller backbone"]
    if config.precision == "32-true" and device != "the CPU":
        ways.append("--precision bf16-mixed")
    return f"{told} Try {', or '.join(ways)}."
