"""Colour images that are stacked as they lie in memory.

Images are stored pixel by pixel, and given as views ``(3, S, S)``. PyTorch stacks such views byte by byte, which takes
over 100 times as long as to copy them. A plain `torch.utils.data.DataLoader` leaves no other place to say so than the
images themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch


class PixelByPixel(torch.Tensor):
    """A view ``(C, S, S)`` of an image that lies as ``(S, S, C)``: a tensor, but for `torch.stack`.

    Images stacked along a new first axis give a batch ``(B, C, S, S)`` in the memory format channels_last, a plain
    tensor. So does whatever else is done with an image.

    Examples
    --------
    >>> image = torch.arange(12, dtype=torch.uint8).view(2, 2, 3).permute(2, 0, 1).as_subclass(PixelByPixel)
    >>> batch = torch.stack([image, image])
    >>> torch.equal(batch[1], image), batch.is_contiguous(memory_format=torch.channels_last)
    (True, True)
    >>> type(batch) is type(image + 1) is torch.Tensor
    True
    """

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            return (_stack if func is torch.stack else func)(*args, **kwargs or {})


def _stack(tensors: list[torch.Tensor], dim: int = 0, *, out: torch.Tensor | None = None) -> torch.Tensor:
    first = tensors[0].shape
    lying = [tensor.permute(1, 2, 0) for tensor in tensors if tensor.shape == first and tensor.ndim == 3]
    if dim != 0 or len(lying) < len(tensors) or not all(image.is_contiguous() for image in lying):
        return torch.stack(tensors, dim, out=out)
    if out is None:
        return torch.stack(lying).permute(0, 3, 1, 2)
    if (
        out.untyped_storage().is_shared() and out.is_contiguous()
    ):  # a worker's batch to be: nobody else looks at this memory yet
        channels, height, width = first
        out.as_strided_(out.shape, (channels * height * width, 1, channels * width, channels))
        torch.stack(lying, out=out.permute(0, 2, 3, 1))
        return out
    return torch.stack(tensors, dim, out=out)
