"""From uint8 images to normalised float32, on whatever device they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medimeta.errors import UsageError
from medimeta.loading.buffers import BufferPool
from medimeta.loading.statistics import ChannelStatistics

STATISTICS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": (
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    ),  # of images scaled to 0..1; as torchvision has them
    "half": ((0.5,), (0.5,)),
}

IMAGES_AT_ONCE = 4
POOLS = 2  # shapes whose memory is kept: the batches of an epoch, and its last one, which may be smaller

Statistics = str | ChannelStatistics | tuple[Sequence[float], Sequence[float]]
Floats = npt.NDArray[np.float64]


class Normalize(nn.Module):
    """Scale uint8 to 0..1, subtract the mean and divide by the standard deviation, channel by channel.

    A module without state: what it does follows from how it was made, so a ``state_dict`` has nothing of it. It moves
    with a model from device to device. Where a model is rounded, as by ``model.bfloat16()``, its results are rounded
    too, but its own arithmetic stays float32.

    Parameters
    ----------
    statistics : str, ChannelStatistics or (mean, std)
        ``"imagenet"``, ``"half"`` (mean and deviation 0.5), the result of `channel_statistics`, or one value or one per
        channel of images in 0..1.
    channels : int
        Channels of the images to come, 1 or 3.
    rgb : bool
        Repeat grey images to three channels, each normalised with its own statistics. Without it, grey images are
        normalised with the mean of per-channel statistics.

    Attributes
    ----------
    mean, std : tuple of float
        The statistics, one value for each channel of the results.
    dtype : torch.dtype
        Of the results: float32, unless the module was converted.

    Raises
    ------
    UsageError
        Unknown or unusable statistics.

    Examples
    --------
    >>> grey = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    >>> Normalize("half", channels=1)(grey).unique()
    tensor([-1.])
    >>> Normalize("imagenet", channels=1, rgb=True)(grey).shape
    torch.Size([2, 3, 8, 8])
    >>> model = torch.nn.Sequential(Normalize("half"), torch.nn.Conv2d(3, 4, 3))
    >>> sorted(model.state_dict())
    ['1.bias', '1.weight']
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, statistics: Statistics = "imagenet", *, channels: int = 3, rgb: bool = False) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise UsageError(f"channels must be 1 (grey) or 3 (colour), got {channels!r}.")
        mean, std = _statistics(statistics)
        outputs = 3 if rgb else channels
        if len(mean) != outputs:
            mean, std = np.broadcast_to(mean.mean(), outputs), np.broadcast_to(std.mean(), outputs)
        self.channels = channels
        self.outputs = outputs
        self.mean: tuple[float, ...] = tuple(mean.tolist())
        self.std: tuple[float, ...] = tuple(std.tolist())
        self.dtype = torch.float32
        self.register_buffer("scale", None, persistent=False)
        self.register_buffer("shift", None, persistent=False)
        self._set_constants(None)
        self._pools: dict[torch.Size, BufferPool] = {}

    if TYPE_CHECKING:

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            """Call `forward`: PyTorch tells type checkers that a module may return anything."""

    def extra_repr(self) -> str:
        """Describe the module for ``print(model)``."""
        mean, std = (f"({', '.join(f'{value:.4g}' for value in values)})" for values in (self.mean, self.std))
        return f"mean={mean}, std={std}, channels={self.channels}, outputs={self.outputs}"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise a batch.

        Parameters
        ----------
        images : tensor, shape (B, C, S, S)
            uint8; or numbers of the same range, 0 to 255, such as images that were augmented. On any device, in any
            memory format.

        Returns
        -------
        tensor of float32, shape (B, C, S, S), or (B, 3, S, S) with `rgb`
            On the same device. On the CPU its memory is reused once nobody holds it.

        Raises
        ------
        UsageError
            Images of another shape or number of channels, or of no numbers.
        """
        self._check(images)
        if self._is_plain(images):
            wide = torch.promote_types(self.dtype, torch.float32)
            scale, shift = (part.to(images.device).view(1, -1, 1, 1) for part in (self.scale, self.shift))
            return torch.addcmul(shift, images.to(wide), scale).to(self.dtype)
        out = torch.from_numpy(self._pool(images).take())
        return self._as_stored(images, out) if self.outputs == self.channels else self._repeated(images, out)

    def _is_plain(self, images: torch.Tensor) -> bool:
        """Whether the formula is left to PyTorch: what a compiler sees must not depend on memory of ours."""
        return (
            images.device.type != "cpu"
            or self.scale.device.type != "cpu"
            or images.dtype != torch.uint8
            or self.dtype != torch.float32
            or images.numel() == 0
            or torch.compiler.is_compiling()
            or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        )

    def _check(self, images: torch.Tensor) -> None:
        shape, dtype = tuple(images.shape), images.dtype
        if len(shape) == 4 and shape[1] == self.channels and dtype is not torch.bool and not dtype.is_complex:
            return
        hint = ""
        if len(shape) == 3:
            hint = " A single image needs an axis in front: images[None]."
        elif len(shape) == 4 and shape[3] == self.channels:
            hint = " The channels come second: images.permute(0, 3, 1, 2)."
        elif len(shape) == 4 and (shape[1], self.channels) == (1, 3):
            hint = " Make the module for grey images: Normalize(..., channels=1, rgb=True)."
        raise UsageError(
            f"expected images of shape (B, {self.channels}, S, S), uint8 or numbers of 0 to 255; "
            f"got {dtype} of shape {shape}.{hint}"
        )

    def _pool(self, images: torch.Tensor) -> BufferPool:
        # Threads may do this at once: the dict is never changed, only replaced.
        pools = self._pools
        if images.shape not in pools:
            batch, _, height, width = images.shape
            made = BufferPool((batch, self.outputs * height * width), np.float32)
            pools = self._pools = {**dict([*pools.items()][1 - POOLS :]), images.shape: made}
        return pools[images.shape]

    # Both work on a few images at a time, so that the addition finds its numbers in the cache: 5 times as fast as on
    # whole batches, on two cores. Single images are a little faster still, but suffer more from busy neighbours.

    def _as_stored(self, images: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = images.shape
        # Rows of pixels; no copy where colour is channels_last, as we store it.
        rows = images.permute(0, 2, 3, 1).reshape(batch * height, width * channels)
        results = out.view(batch * height, width * channels)
        scale, shift = (part.repeat(width) for part in (self.scale, self.shift))
        for start in range(0, batch * height, IMAGES_AT_ONCE * height):
            some = slice(start, start + IMAGES_AT_ONCE * height)
            torch.mul(rows[some], scale, out=results[some]).add_(shift)
        return out.view(batch, height, width, channels).permute(0, 3, 1, 2)

    def _repeated(self, images: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = images.shape
        planes = out.view(batch, self.outputs, height, width)
        scale, shift = (part.view(1, -1, 1, 1) for part in (self.scale, self.shift))
        for start in range(0, batch, IMAGES_AT_ONCE):
            some = slice(start, start + IMAGES_AT_ONCE)
            torch.mul(images[some], scale, out=planes[some]).add_(shift)
        return planes

    def _set_constants(self, device: torch.device | None) -> None:
        # (x / 255 - mean) / std in one multiplication and one addition.
        mean, std = np.array(self.mean), np.array(self.std)
        wide = torch.promote_types(self.dtype, torch.float32)
        self.scale = torch.tensor(1 / (255 * std), dtype=wide, device=device)
        self.shift = torch.tensor(-mean / std, dtype=wide, device=device)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        # Every .to(), .half() or .to_empty() of a model comes here. Constants that were rounded, or that lie in memory
        # that was never written, are of no use: only device and dtype are taken over.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.dtype = self.scale.dtype
        self._set_constants(self.scale.device)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pools": {}}  # memory for reuse is of no use to others


def _statistics(statistics: Statistics) -> tuple[Floats, Floats]:
    if isinstance(statistics, str):
        if statistics not in STATISTICS:
            raise UsageError(
                f"normalize must be one of {', '.join(STATISTICS)}, a pair (mean, std), or None; got {statistics!r}."
            )
        statistics = STATISTICS[statistics]
    elif isinstance(statistics, ChannelStatistics):
        statistics = (statistics.mean, statistics.std)
    try:
        mean, std = (np.atleast_1d(np.asarray(part, dtype=np.float64)) for part in statistics)
    except (TypeError, ValueError):
        raise UsageError(f"normalize must be a name or a pair (mean, std) of numbers, got {statistics!r}.") from None
    if mean.shape != std.shape or mean.shape not in ((1,), (3,)) or not ((std > 0) & np.isfinite(std)).all():
        raise UsageError(f"mean and std must be one or three numbers each, std positive; got {mean} and {std}.")
    if not ((mean >= 0) & (mean <= 1)).all():
        raise UsageError(
            f"mean and std are those of images in 0..1, so that the mean is too; got {mean} and {std}. "
            f"Divide statistics of images in 0..255 by 255."
        )
    return mean, std
