"""Where batches lie: memory of the host that is used again, and the way from there to a device."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import torch

from medimeta.errors import UsageError
from medimeta.loading.buffers import BufferPool


class Transfer:
    """Memory for batches of at most `size` bytes, and their way to a device.

    On the CPU memory is used again once nobody holds the batch. For CUDA it is pinned, and copied by a stream of its
    own, so that the copy runs beside what the GPU computes; PyTorch uses pinned memory again once it is copied.

    Parameters
    ----------
    device : str or torch.device, optional
        Where batches go; without it they stay.
    size : int
        Bytes of the largest batch.

    Raises
    ------
    UsageError
        There is no such device.

    Examples
    --------
    >>> transfer = Transfer("cpu", 100)
    >>> memory = transfer.memory((2, 3, 3))
    >>> memory.shape, memory.dtype
    (torch.Size([2, 3, 3]), torch.uint8)
    >>> Transfer("abacus", 100)
    Traceback (most recent call last):
    ...
    medimeta.errors.UsageError: device 'abacus' cannot be used: ...
    """

    def __init__(self, device: str | torch.device | None, size: int) -> None:
        self.device = None if device is None else _checked(device)
        self.cuda = self.device is not None and self.device.type == "cuda"
        self._size = size
        self._pool = BufferPool((size,), np.uint8)

    def memory(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Return uninitialised memory of the host, uint8, to read a batch into."""
        if self.cuda:
            with torch.cuda.device(self.device):  # which is each thread's own
                flat = torch.empty(self._size, dtype=torch.uint8, pin_memory=True)
        else:
            flat = torch.from_numpy(self._pool.take())
        return flat[: math.prod(shape)].view(shape)

    def send(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy a tensor of the host to the device; work that is queued there afterwards finds it copied."""
        if self.device is None or self.device.type == "cpu":
            return tensor
        if not self.cuda:
            return tensor.to(self.device)
        current = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._copying):
            moved = tensor.to(self.device, non_blocking=True)
        current.wait_stream(self._copying)
        moved.record_stream(current)
        return moved

    def send_labels(self, labels: np.ndarray[Any, Any]) -> torch.Tensor:
        """Copy labels to the device."""
        tensor = torch.from_numpy(labels)
        return self.send(tensor.pin_memory() if self.cuda else tensor)

    @cached_property
    def _copying(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_copying"}


def _checked(device: str | torch.device) -> torch.device:
    try:
        target = torch.device(device)
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {device!r} cannot be used: {reason}") from None
    if target.type == "cuda" and (target.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {str(device)!r} cannot be used: PyTorch sees {torch.cuda.device_count()} CUDA GPUs.")
    if target.type == "cuda" and target.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return target
